"""The lanes of one process: `threads` for io and cpu jobs, `coroutines` for async jobs, or one job alone.

start(jobs) -> inbox -> a slot runs the job -> Outcomes        withdraw() takes back what has not started
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from taskq.broker.records import Claimed


class Lane(Protocol):
    """What the exchange sees of a lane."""

    slots: int

    def start(self, jobs: Sequence[Claimed]) -> None: ...
    def withdraw(self) -> list[Claimed]: ...


class SoloLane:
    """One job at a time with no other beside it in the process, on the lane that its task asks for."""

    slots = 1

    def __init__(self, thread: Lane, loop: Lane, is_async: Callable[[Claimed], bool]):
        self._thread, self._loop, self._is_async = thread, loop, is_async

    def start(self, jobs: Sequence[Claimed]) -> None:
        for job in jobs:
            (self._loop if self._is_async(job) else self._thread).start([job])

    def withdraw(self) -> list[Claimed]:
        return [*self._thread.withdraw(), *self._loop.withdraw()]
