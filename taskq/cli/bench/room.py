"""The room of a bench: a namespace of its own, of which nothing is left, whatever ends the bench."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from taskq.broker import calls
from taskq.broker.keys import prefix
from taskq.cli.output import note
from taskq.cli.session import Session
from taskq.config import Sourced
from taskq.errors import BrokerError

STEP = 1000
"""Keys that Redis looks at in one step, so that nobody waits for long meanwhile."""
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


@contextmanager
def own_room(session: Session) -> Iterator[str]:
    """From here on `session` asks in a new namespace, whose name this is; at the end its keys are removed.

    SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does. While keys are removed nothing interrupts. Raises
    BrokerUnavailable.
    """
    name = f"taskq-bench-{os.urandom(4).hex()}"
    session.given["namespace"] = Sourced(name, "--namespace")
    session.ask(calls.ping())  # where Redis cannot be reached there will be nothing to remove
    with _on_end(signal.default_int_handler):
        try:
            yield name
        finally:
            with _on_end(signal.SIG_IGN):
                clear(session, name)


def clear(session: Session, name: str) -> int:
    """Remove every key of the namespace `name`; the answer is how many there were. Nobody may write there any more."""
    removed, cursor = 0, -1
    try:
        while cursor:
            cursor, keys = session.ask(calls.scan(max(cursor, 0), prefix(name) + b"*", STEP))
            removed += session.ask(calls.unlink(keys)) if keys else 0
    except BrokerError:
        note(f"keys may be left in Redis, which begin with {prefix(name).decode()}")
        raise
    return removed


@contextmanager
def _on_end(handler: _Handler) -> Iterator[None]:
    """`handler` for the signals that end a program, but for those that it was told to ignore (nohup)."""
    before = {number: signal.getsignal(number) for number in _ENDS}
    heeded = [number for number in _ENDS if before[number] not in (signal.SIG_IGN, None)]
    for number in heeded:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])
