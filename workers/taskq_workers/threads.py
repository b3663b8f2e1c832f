"""The lanes of threads: some for io jobs, one for cpu jobs.

Threads are our own, not a ThreadPoolExecutor's: that one waits for its threads at exit (one stuck job would hold the
process) and pays a Future a job.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from taskq.broker.records import Claimed
from taskq.errors import TimeLimit
from taskq_workers.fatal import or_die
from taskq_workers.limits import Ticket, close, raise_in
from taskq_workers.runner import Run
from taskq_workers.shop import Shop

SWITCH_INTERVAL = 0.0005
"""Seconds until a thread of pure Python gives way, while a cpu job runs: io jobs beside it wake up in time."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A thread of a lane, and its place on the board."""

    lane: ThreadLane
    row: int
    thread: int


class ThreadLane:
    """Some slots, each a thread that runs one job after another. `rows`: their places on the board.

    `spare`: places for threads beyond the slots: for jobs beside those that wait.
    """

    def __init__(self, name: str, rows: range, shop: Shop, spare: Iterable[int] = ()):
        self.slots = len(rows)
        self._most, self._turn = 2 * self.slots, threading.Lock()
        self._name, self._shop = name, shop
        self._inbox: SimpleQueue[Claimed | None] = SimpleQueue()
        self._spare = deque(spare)
        for row in rows:
            self._open(row, self._work)

    def _open(self, row: int, work: Callable[..., object], *args: Any) -> None:
        name = f"taskq-{self._name}-{row}"
        threading.Thread(target=or_die, args=(work, row, *args), name=name, daemon=True).start()

    def start(self, jobs: Sequence[Claimed]) -> None:
        for job in jobs:
            self._inbox.put(job)

    def withdraw(self) -> list[Claimed]:
        """The jobs that no slot has started; the lane forgets them."""
        found: list[Claimed | None] = []
        with suppress(Empty):
            while True:
                found.append(self._inbox.get_nowait())
        jobs = [job for job in found if job is not None]
        for _ in range(len(found) - len(jobs)):
            self._inbox.put(None)
        return jobs

    def find(self, wanted: Callable[[bytes], bool]) -> Claimed | None:
        """A job that no slot has started and whose member is `wanted`: it is the caller's now."""
        jobs = [] if self._inbox.empty() else self.withdraw()
        found = next((job for job in jobs if wanted(job.member)), None)
        self.start([job for job in jobs if job is not found])
        return found

    # More threads than slots

    def lend(self) -> bool:
        """Have one slot more, for as long as the job of another one waits; False where there are too many already."""
        with self._turn:
            if self.slots >= self._most or not self._open_spare(self._work):
                return False
            self.slots += 1
        self._shop.outcomes.wake()
        return True

    def take_back(self) -> None:
        """That job goes on: the next thread without a job ends."""
        with self._turn:
            self.slots -= 1
        self._inbox.put(None)

    def beside(self, run: Run) -> bool:
        """Run this job in a thread of its own; False where there are too many already."""
        return self._open_spare(self._once, run)

    def _open_spare(self, work: Callable[..., object], *args: Any) -> bool:
        try:
            row = self._spare.popleft()
        except IndexError:
            return False
        try:
            self._open(row, work, *args)
        except (RuntimeError, MemoryError):  # the system has no thread left
            self._spare.append(row)
            return False
        return True

    def _once(self, row: int, run: Run) -> None:
        self.perform(run, Slot(self, row, threading.get_ident()))
        self._spare.append(row)

    def _work(self, row: int) -> None:
        slot, runner, usual = Slot(self, row, threading.get_ident()), self._shop.runner, sys.getswitchinterval()
        self._shop.meter.sit(row)
        while (job := self._inbox.get()) is not None:
            if self._name == "cpu":
                sys.setswitchinterval(SWITCH_INTERVAL)
            self.perform(runner.open(job), slot)
            if self._name == "cpu":
                sys.setswitchinterval(usual)
            del job
        self._shop.meter.rise(row)
        self._spare.append(row)

    def perform(self, run: Run, slot: Slot) -> None:
        """Run a job in this thread, whose slot that is, to its end."""
        run.slot = slot
        if run.timeout is not None:
            self._perform_limited(run, slot)
        else:
            self._shop.begin(run, slot.row)
            outcome = self._shop.runner.call(run)
            if run.ticket is None or run.ticket.take("job"):
                self._shop.end(run, slot.row, outcome)

    def _perform_limited(self, run: Run, slot: Slot) -> None:
        shop, ticket, me = self._shop, Ticket(), slot.thread
        outcome = None
        try:
            shop.limit(run, slot.row, ticket, lambda: raise_in(me))
            outcome = shop.runner.call(run)
            mine = close(ticket, me)
        except TimeLimit:  # set while the job was ending by itself, and raised behind its back; there is no second one
            mine = close(ticket, me)
        if mine:
            shop.watch.release(ticket)
            shop.end(run, slot.row, outcome or shop.runner.late(run))
