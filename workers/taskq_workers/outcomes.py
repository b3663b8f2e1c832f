"""The way back: lanes put what they have settled, the exchange takes all of it at once."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass

from taskq.lifecycle import Bury, Delay, Finish, Park


@dataclass(slots=True)
class Settled:
    """A job that has left its slot, and what is to be written of it.

    `record`: of a job that ends. `history`: of one that failed. `seconds`: how long it ran. `ttl`: of the record.
    `heard`: a job of this process, which waited for it, knows already how it ended.
    """

    member: bytes
    lane: str
    task: str
    step: Finish | Delay | Bury | Park
    seconds: float
    ttl: float = 0.0
    record: bytes = b""
    history: bytes = b""
    waited: float = 0.0
    attempt: int = 1
    heard: bool = False


class Outcomes:
    """A queue of settled jobs with a file descriptor to select on. Putting is safe from any thread."""

    def __init__(self) -> None:
        self._queue: deque[Settled] = deque()
        self._awake = True
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        return self._reader

    def put(self, settled: Settled) -> None:
        self._queue.append(settled)
        if not self._awake:
            self.wake()

    def wake(self) -> None:
        """Wake whoever selects on this, whether there is anything or not."""
        self._awake = True
        try:
            os.write(self._writer, b"1")
        except BlockingIOError:
            return

    def take(self) -> list[Settled]:
        """All there is."""
        taken = []
        while self._queue:
            taken.append(self._queue.popleft())
        return taken

    def doze(self) -> bool:
        """Before selecting: ask to be woken by the next put. False where something was put already."""
        self._awake = False
        if self._queue:
            self._awake = True
            return False
        return True

    def rouse(self, *, woken: bool) -> None:
        """After selecting. `woken`: was this among what can be read?"""
        self._awake = True
        if woken:
            os.read(self._reader, 4096)
