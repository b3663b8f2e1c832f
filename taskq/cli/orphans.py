"""Worker processes that hold jobs, and are neither alive nor known to be dead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from taskq.broker import calls
from taskq.broker.call import Call

T = TypeVar("T")


class Ask(Protocol):
    """Carries out a call."""

    def __call__(self, call: Call[T], /) -> T: ...


def orphans_among(ask: Ask, epochs: Iterable[str]) -> dict[str, int]:
    """How many jobs each of `epochs` holds that nobody knows and nobody will reap."""
    named = sorted(epochs)
    held = ask(calls.orphans(named)) if named else []
    return {epoch: jobs for epoch, jobs in zip(named, held, strict=True) if jobs}
