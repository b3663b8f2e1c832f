"""Waiting for files to become readable. Not `select.select`, which fails for file numbers from 1024 on."""

from __future__ import annotations

import math
import select
from collections.abc import Sequence
from typing import Protocol, TypeVar


class HasFileno(Protocol):
    def fileno(self) -> int: ...


F = TypeVar("F", bound=HasFileno)
STANDSTILL = 2.0
"""Seconds that a connection of the supervisor may take for each answer while it connects, when nothing else is done.

A Redis that is connected and silent must not keep dead children from being replaced, or signals from being heeded, for
longer. Nothing else waits: a reply is read when it has arrived, and who sent the call knows how long it may take.
"""


def readable(files: Sequence[F], timeout: float) -> list[F]:
    """Which of `files` can be read (or have failed), after at most `timeout` seconds."""
    poll = select.poll()
    by_number = {file.fileno(): file for file in files}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(math.ceil(max(0.0, timeout) * 1000))]
