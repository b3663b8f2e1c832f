"""The lanes of one process: threads for io jobs, one thread for cpu jobs, an event loop for async jobs.

    start(jobs) -> inbox -> a slot runs the job -> Outcomes        withdraw() takes back what has not started

Threads are our own, not a ThreadPoolExecutor's: that one waits for its threads at exit (one stuck job would hold the
process) and pays a Future a job.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol, cast

from taskq.broker.keys import member_id
from taskq.broker.records import Claimed
from taskq.errors import TimeLimit
from taskq.lifecycle import Failed, Outcome
from taskq_workers.board import Board
from taskq_workers.fatal import or_die
from taskq_workers.limits import Ticket, Watch, close, raise_in
from taskq_workers.loop import Loop
from taskq_workers.meter import LOOP, Meter, Tally
from taskq_workers.outcomes import Outcomes
from taskq_workers.runner import Run, Runner, describe

SWITCH_INTERVAL = 0.0005
"""Seconds until a thread of pure Python gives way, while a cpu job runs: io jobs beside it wake up in time."""


class Lane(Protocol):
    """What the exchange sees of a lane."""

    slots: int

    def start(self, jobs: Sequence[Claimed]) -> None: ...
    def withdraw(self) -> list[Claimed]: ...


@dataclass(frozen=True, slots=True)
class Shop:
    """What the lanes of a process share. `retire` is told why, when a thread had to be abandoned."""

    runner: Runner
    board: Board
    outcomes: Outcomes
    watch: Watch
    retire: Callable[[str], None]
    meter: Meter = field(default_factory=Meter)

    def begin(self, run: Run, row: int, hard_deadline: float = 0.0) -> None:
        self.board.begin(row, member_id(run.member), hard_deadline)
        self.meter.begin(row, run.envelope.task, run.declaration, run.lane)

    def end(self, run: Run, row: int, outcome: Outcome) -> None:
        self.meter.end(row)
        self._settle(run, row, outcome)

    def _settle(self, run: Run, row: int, outcome: Outcome) -> None:
        settled = self.runner.settle(run, outcome)
        told, run.told = run.told, None
        settled.heard = told is not None
        self.outcomes.put(settled)
        self.board.end(row)
        if told is not None:
            told(settled)

    def fail(self, run: Run, row: int, error: BaseException) -> None:
        """A job for which another one waits could not be run, or ended, for `error`."""
        if run.told is None:  # its outcome is known
            raise error
        if run.ticket is not None:
            self.watch.release(run.ticket)
        if run.ticket is None or run.ticket.take("job"):
            self.end(run, row, Failed(describe(error)))

    def limit(self, run: Run, row: int, ticket: Ticket, interrupt: Callable[[], object]) -> None:
        """Begin a job whose task has a timeout."""
        run.ticket, abandon = ticket, partial(self._abandon, run, row)
        self.begin(run, row, self.watch.guard(ticket, run.timeout or 0.0, ticket, interrupt, abandon))

    def _abandon(self, run: Run, row: int) -> None:
        """Its thread is lost, also to the jobs below it. Each of them has a ticket: see `lay`."""
        self.meter.drop(row)
        self._settle(run, row, self.runner.late(run))
        below = run.below
        while below is not None:
            if below.ticket is not None and below.ticket.take("watch"):
                self._settle(below, row, self.runner.stranded(below, run))
            below = below.below
        self.retire(f"{run.envelope.task} did not stop at its time limit")

    @contextmanager
    def sheltered(self, run: Run) -> Iterator[None]:
        """Inside, `run` is out of reach of its limits. Of one that was reached just before it hears at once."""
        ticket = run.ticket
        try:
            if ticket is not None:
                ticket.shelter()
                _give_way()
            yield
        finally:
            if ticket is not None:
                self.watch.expose(ticket)

    @contextmanager
    def exposed(self, run: Run) -> Iterator[None]:
        """Inside of `sheltered`: within their reach again."""
        ticket = run.ticket
        if ticket is not None:
            self.watch.expose(ticket)
        try:
            yield
        finally:
            if ticket is not None:
                ticket.shelter()
                _give_way()

    @staticmethod
    def lay(inner: Run, run: Run) -> None:
        """`inner` is about to run on top of `run`, which is sheltered, and can lose its thread by it."""
        inner.below, run.ticket = run, run.ticket or Ticket()

    def resume(self, run: Run, row: int) -> None:
        """`run` goes on, on top of which another one has run."""
        self.begin(run, row, self.watch.postpone(run.ticket))


def _give_way() -> None:
    """Python looks at the begin of each function whether an exception was set for this thread."""


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
        self._most = 2 * self.slots
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
        if self.slots >= self._most or not self._open_spare(self._work):
            return False
        self.slots += 1
        self._shop.outcomes.wake()
        return True

    def take_back(self) -> None:
        """That job goes on: the next thread without a job ends."""
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


class AsyncLane:
    """Up to as many coroutines at a time as there are `rows`, on the event loop of the process.

    `spare`: places for coroutines beyond them: for jobs beside those that wait.
    """

    def __init__(self, rows: range, shop: Shop, loop: Loop, spare: Iterable[int] = ()):
        self.slots = len(rows)
        self._most = 2 * self.slots
        self._shop = shop
        self._inbox: deque[Claimed] = deque()
        self._rows, self._spare = deque(rows), deque(spare)
        self._surplus = 0
        self._tasks: dict[asyncio.Task[Any], int] = {}
        self._loop = loop.loop
        self._turned = self._loop.time()
        loop.start()
        self._loop.call_soon_threadsafe(shop.meter.sit, LOOP)

    def start(self, jobs: Sequence[Claimed]) -> None:
        self._inbox.extend(jobs)
        self._loop.call_soon_threadsafe(self._launch)

    def withdraw(self) -> list[Claimed]:
        """The jobs that were not started; the lane forgets them."""
        jobs = []
        with suppress(IndexError):
            while True:
                jobs.append(self._inbox.popleft())
        return jobs

    def find(self, wanted: Callable[[bytes], bool]) -> Claimed | None:
        """A job that no slot has started and whose member is `wanted`: it is the caller's now."""
        found = next((job for job in list(self._inbox) if wanted(job.member)), None)
        try:
            self._inbox.remove(found)  # type: ignore[arg-type]
        except ValueError:  # there is none, or it was withdrawn just now
            return None
        return found

    # More coroutines than slots

    def lend(self) -> bool:
        """Have one slot more, for as long as the job of another one waits; False where there are too many already."""
        if self.slots >= self._most or not self._spare:
            return False
        self.slots += 1
        self._rows.append(self._spare.popleft())
        self._launch()
        self._shop.outcomes.wake()
        return True

    def take_back(self) -> None:
        """That job goes on: the next slot that is free is no more."""
        self.slots -= 1
        self._surplus += 1

    def beside(self, run: Run) -> bool:
        """Run this job beside all others; False where there are too many already."""
        try:
            self._loop.call_soon_threadsafe(self._begin, run, self._spare.popleft(), self._spare)
        except IndexError:
            return False
        return True

    def _leave(self, row: int, home: deque[int]) -> None:
        if self._surplus and home is self._rows:
            self._surplus, home = self._surplus - 1, self._spare
        home.append(row)

    def last_turn(self) -> float:
        """When the loop was last seen to go round (monotonic). Asks it to show itself once more."""
        self._loop.call_soon_threadsafe(self._turn)
        return self._turned

    def _turn(self) -> None:
        self._turned = self._loop.time()

    def stepping(self) -> Tally | None:
        """Whose job is in a step at this instant. Of a task that a job has started: if all jobs are of one task."""
        task, running = asyncio.current_task(self._loop), self._shop.meter.running
        if task is None:
            return None
        row = self._tasks.get(task)
        found = {running.get(row) for row in (list(self._tasks.values()) if row is None else [row])}
        return found.pop() if len(found) == 1 else None

    def _launch(self) -> None:
        while self._inbox and self._rows:
            with suppress(IndexError):
                or_die(self._start, self._inbox.popleft(), self._rows.popleft())

    def _start(self, job: Claimed, row: int) -> None:
        self._begin(self._shop.runner.open(job), row, self._rows)

    def _begin(self, run: Run, row: int, home: deque[int]) -> None:
        # A context of its own: this may run in the task of the job before.
        task = self._loop.create_task(self._run(run, row, home), context=Context())
        self._tasks[task] = row
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:  # it did not come to its end
            or_die(task.result)

    async def _run(self, run: Run, row: int, home: deque[int]) -> None:
        shop, run.slot = self._shop, self
        if run.timeout is not None:
            await self._run_limited(run, row)
        else:
            shop.begin(run, row)
            shop.end(run, row, await shop.runner.acall(run))
        self._leave(row, home)
        self._launch()
        self._tasks.pop(cast("asyncio.Task[None]", asyncio.current_task()), None)

    async def _run_limited(self, run: Run, row: int) -> None:
        shop, ticket, task = self._shop, Ticket(), asyncio.current_task(self._loop)
        assert task is not None
        shop.limit(run, row, ticket, lambda: self._loop.call_soon_threadsafe(task.cancel))
        outcome = await shop.runner.acall(run)
        if ticket.take("job"):
            shop.watch.release(ticket)
            shop.end(run, row, shop.runner.late(run) if ticket.interrupted and isinstance(outcome, Failed) else outcome)


class SoloLane:
    """One job at a time with no other beside it in the process, on the lane that its task asks for."""

    slots = 1

    def __init__(self, thread: ThreadLane, loop: AsyncLane, is_async: Callable[[Claimed], bool]):
        self._thread, self._loop, self._is_async = thread, loop, is_async

    def start(self, jobs: Sequence[Claimed]) -> None:
        for job in jobs:
            (self._loop if self._is_async(job) else self._thread).start([job])

    def withdraw(self) -> list[Claimed]:
        return [*self._thread.withdraw(), *self._loop.withdraw()]
