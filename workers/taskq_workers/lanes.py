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
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
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
from taskq_workers.runner import Run, Runner

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
        self.meter.begin(row, run.envelope.task, run.declaration)

    def end(self, run: Run, row: int, outcome: Outcome) -> None:
        self.meter.end(row)
        self._settle(run, row, outcome)

    def _settle(self, run: Run, row: int, outcome: Outcome) -> None:
        self.outcomes.put(self.runner.settle(run, outcome))
        self.board.end(row)

    def limit(self, run: Run, row: int, ticket: Ticket, interrupt: Callable[[], object]) -> None:
        """Begin a job whose task has a timeout."""
        timeout = run.timeout or 0.0
        self.begin(run, row, self.watch.guard(row, timeout, ticket, interrupt, lambda: self._abandon(run, row)))

    def _abandon(self, run: Run, row: int) -> None:
        self.meter.drop(row)
        self._settle(run, row, self.runner.late(run))
        self.retire(f"{run.envelope.task} did not stop at its time limit")


class ThreadLane:
    """`threads` slots, each a thread that runs one job after another. `rows`: their places on the board."""

    def __init__(self, name: str, rows: range, shop: Shop):
        self.slots = len(rows)
        self._shop = shop
        self._inbox: SimpleQueue[Claimed] = SimpleQueue()
        work = self._work_cpu if name == "cpu" else self._work
        for row in rows:
            threading.Thread(target=or_die, args=(work, row), name=f"taskq-{name}-{row}", daemon=True).start()

    def start(self, jobs: Sequence[Claimed]) -> None:
        for job in jobs:
            self._inbox.put(job)

    def withdraw(self) -> list[Claimed]:
        """The jobs that no slot has started; the lane forgets them."""
        jobs = []
        with suppress(Empty):
            while True:
                jobs.append(self._inbox.get_nowait())
        return jobs

    def _work(self, row: int) -> None:
        self._shop.meter.sit(row)
        while True:
            job = self._inbox.get()
            self._run(job, row)
            del job

    def _work_cpu(self, row: int) -> None:
        self._shop.meter.sit(row)
        usual = sys.getswitchinterval()
        while True:
            job = self._inbox.get()
            sys.setswitchinterval(SWITCH_INTERVAL)
            self._run(job, row)
            sys.setswitchinterval(usual)
            del job

    def _run(self, job: Claimed, row: int) -> None:
        run = self._shop.runner.open(job)
        if run.timeout is not None:
            self._run_limited(run, row)
        else:
            self._shop.begin(run, row)
            self._shop.end(run, row, self._shop.runner.call(run))

    def _run_limited(self, run: Run, row: int) -> None:
        shop, ticket, me = self._shop, Ticket(), threading.get_ident()
        outcome = None
        try:
            shop.limit(run, row, ticket, lambda: raise_in(me))
            outcome = shop.runner.call(run)
            mine = close(ticket, me)
        except TimeLimit:  # set while the job was ending by itself, and raised behind its back; there is no second one
            mine = close(ticket, me)
        if mine:
            shop.watch.release(row)
            shop.end(run, row, outcome or shop.runner.late(run))


class AsyncLane:
    """Up to as many coroutines at a time as there are `rows`, on the event loop of the process."""

    def __init__(self, rows: range, shop: Shop, loop: Loop):
        self.slots = len(rows)
        self._shop = shop
        self._inbox: deque[Claimed] = deque()
        self._rows = deque(rows)
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
                or_die(self._begin, self._inbox.popleft(), self._rows.popleft())

    def _begin(self, job: Claimed, row: int) -> None:
        # A context of its own: this may run in the task of the job before.
        task = self._loop.create_task(self._run(job, row), context=Context())
        self._tasks[task] = row
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:  # it did not come to its end
            or_die(task.result)

    async def _run(self, job: Claimed, row: int) -> None:
        shop, run = self._shop, self._shop.runner.open(job)
        if run.timeout is not None:
            await self._run_limited(run, row)
        else:
            shop.begin(run, row)
            shop.end(run, row, await shop.runner.acall(run))
        self._rows.append(row)
        self._launch()
        self._tasks.pop(cast("asyncio.Task[None]", asyncio.current_task()), None)

    async def _run_limited(self, run: Run, row: int) -> None:
        shop, ticket, task = self._shop, Ticket(), asyncio.current_task(self._loop)
        assert task is not None
        shop.limit(run, row, ticket, lambda: self._loop.call_soon_threadsafe(task.cancel))
        outcome = await shop.runner.acall(run)
        if ticket.take("job"):
            shop.watch.release(row)
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
