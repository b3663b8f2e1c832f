"""The lane of coroutines, on the event loop of the process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, cast

from taskq.broker.records import Claimed
from taskq.lifecycle import Failed
from taskq_workers.fatal import or_die
from taskq_workers.limits import Ticket
from taskq_workers.loop import Loop
from taskq_workers.meter import LOOP, Tally
from taskq_workers.runner import Run
from taskq_workers.shop import Shop


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
