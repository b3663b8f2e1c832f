"""What the jobs of every system do. Each but `noop` and `take` notes when it was sent, started and ended.

The notes go to the file BENCH_JOURNAL: three doubles a job (monotonic seconds, one clock for all processes of a
machine), in one write to a file opened for appending, so that processes need no lock and Redis no further work.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time

_NOTE = struct.Struct("=3d")
_journal = os.open(os.environ.get("BENCH_JOURNAL", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
RESULTS = os.environ.get("BENCH_RESULTS", "1") == "1"
"""Is what jobs return to be stored?"""
AWAITED = os.environ.get("BENCH_AWAITED") == "1"
"""Will somebody wait for results? A system may have settings that tell them sooner, at a cost for all others."""
REDIS = os.environ["BENCH_REDIS"]


def _note(sent: float, started: float) -> None:
    os.write(_journal, _NOTE.pack(sent, started, time.monotonic()))


def noop() -> None:
    """Nothing: what is left is the cost of the system."""


async def anoop() -> None:
    """`noop` for systems that run coroutines only."""


def take(payload: bytes | str) -> int:
    """The size of what came."""
    return len(payload)


async def atake(payload: bytes | str) -> int:
    return len(payload)


def stamp(sent: float) -> None:
    """Note when this started."""
    _note(sent, time.monotonic())


async def astamp(sent: float) -> None:
    _note(sent, time.monotonic())


def nap(sent: float, seconds: float) -> None:
    """Wait, as for a network."""
    started = time.monotonic()
    time.sleep(seconds)
    _note(sent, started)


async def anap(sent: float, seconds: float) -> None:
    started = time.monotonic()
    await asyncio.sleep(seconds)
    _note(sent, started)


def burn(sent: float, rounds: int) -> int:
    """Calculate in pure Python: the same work whatever else runs, so a busy machine takes longer."""
    started = time.monotonic()
    total = 0
    for number in range(rounds):
        total += number * number % 7
    _note(sent, started)
    return total


async def aburn(sent: float, rounds: int) -> int:
    return burn(sent, rounds)
