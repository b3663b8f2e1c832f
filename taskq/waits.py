"""Waiting for the outcomes of some jobs: plainly, or inside of a job, whose worker has something to do meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Protocol, Self, cast

from taskq.broker.keys import ID_BYTES
from taskq.errors import ResultTimeout
from taskq.ids import show
from taskq.job import running
from taskq.results import Mailbox, Page

Awaited = tuple[bytes, str]
"""A job's id, and the route on which it was enqueued; "" where that is not known."""
Left = Callable[[], float | None]
"""How many seconds are left to wait, whenever that is asked; None where there is no end."""


class Wait:
    """One wait for `jobs`. A context manager: at its end nobody waits any more.

    `futures`: of their outcome records, in the order of `jobs`; `next` tells of each once, as they come.
    """

    def __init__(self, mailbox: Mailbox, jobs: Sequence[Awaited]):
        self._mailbox = mailbox
        self.ids: list[bytes] = []
        self.futures: list[Future[bytes]] = []
        self._by_id: dict[bytes, Future[bytes]] = {}
        self._turn: deque[bytes] = deque()
        self._came: SimpleQueue[int] = SimpleQueue()
        self._told = 0
        self._watched: int | None = None
        self._heard: Callable[[], object] = lambda: None
        self.add(jobs)

    def add(self, jobs: Sequence[Awaited]) -> None:
        """Wait for these as well. Not in several threads at a time."""
        ids = [job_id for job_id, _ in jobs]
        futures = self._mailbox.expect(ids)
        self.ids += ids
        self.futures += futures
        self._by_id.update(zip(ids, futures, strict=True))
        # The youngest first: it stands at the end of its line, where it can be taken out of it.
        self._turn.extend(job_id + route.encode() for job_id, route in reversed(jobs) if route)
        if self._watched is not None:
            self.watch()

    def watch(self) -> None:
        """From now on `next` has something to tell."""
        first, self._watched = self._watched or 0, len(self.futures)
        for number in range(first, self._watched):
            self.futures[number].add_done_callback(partial(self._arrive, number))

    def _arrive(self, number: int, _: Future[bytes]) -> None:
        self._came.put(number)
        self._heard()

    @property
    def over(self) -> bool:
        """Has `next` told of all of them?"""
        return self._told == len(self.futures)

    def next(self, timeout: float | None = 0.0) -> int | None:
        """Which outcome has come, by its place in `jobs`; None where none came in `timeout` seconds."""
        try:
            number = self._came.get(timeout is None or timeout > 0, timeout)
        except Empty:
            return None
        self._told += 1
        return number

    async def anext(self, timeout: float | None) -> int | None:
        """`next` for coroutines."""
        number = self.next()
        if number is not None:
            return number
        came = asyncio.Event()
        self._heard = partial(asyncio.get_running_loop().call_soon_threadsafe, came.set)
        if self._came.empty():
            with suppress(TimeoutError):
                await asyncio.wait_for(came.wait(), timeout)
        self._heard = lambda: None
        return self.next()

    def pages(self) -> Iterator[Page]:
        """The calls that ask for what has not come yet: give their answers to `absorb`."""
        return self._mailbox.pages([job_id for job_id, future in self._by_id.items() if not future.done()])

    def absorb(self, ids: Sequence[bytes], answers: Sequence[bytes | None]) -> None:
        self._mailbox.absorb(ids, answers)

    def members(self, most: int) -> list[bytes]:
        """Up to `most` members of jobs that have no outcome yet; others with the next call."""
        chosen: list[bytes] = []
        for _ in range(len(self._turn)):
            member = self._turn.popleft()
            if not self._by_id[member[:ID_BYTES]].done():
                self._turn.append(member)
                chosen.append(member)
            if len(chosen) == most:
                break
        return chosen

    def leave(self, member: bytes) -> None:
        """This one is not for `members` any more."""
        self._turn.remove(member)

    def windows(self, most: int) -> int:
        """How many times `members` has to be called to see all of them."""
        return -(-len(self._turn) // most)

    def awaits(self, job_id: bytes) -> bool:
        """Is this one of them, and has no outcome yet?"""
        future = self._by_id.get(job_id)
        return future is not None and not future.done()

    def wants(self, member: bytes) -> bool:
        return self.awaits(member[:ID_BYTES])

    def deliver(self, job_id: bytes, record: bytes) -> None:
        """The outcome of one of them, which ended in this process; b"" where its task stores none."""
        self._mailbox.resolve(job_id, record)

    def refuse_late(self, timeout: float | None) -> None:
        """Raise ResultTimeout where one has no outcome yet."""
        late = [show(job_id) for job_id, future in zip(self.ids, self.futures, strict=True) if not future.done()]
        if late:
            who = f"job {late[0]} has" if len(self.ids) == 1 else f"{len(late)} of {len(self.ids)} jobs have"
            hint = f"  hint: taskq jobs show {late[0]}"
            raise ResultTimeout(f"{who} no outcome after {timeout or 0:g} s of waiting\n{hint}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mailbox.forget(self.ids, self.futures)


class Place(Protocol):
    """Where somebody waits: what is done there meanwhile."""

    def wait(self, wait: Wait, ask: Callable[[], object], left: Left) -> Iterator[int]:
        """What `wait.next` tells, until that is all, or no time is `left`. `ask` asks Redis for what is pending."""

    async def await_(self, wait: Wait, ask: Callable[[], Awaitable[object]], left: Left) -> None:
        """The same for coroutines: it returns when all outcomes are there, or no time is `left`."""


class _Outside:
    """Not in a job: nothing."""

    def wait(self, wait: Wait, ask: Callable[[], object], left: Left) -> Iterator[int]:
        wait.watch()
        ask()
        while not wait.over and (number := wait.next(left())) is not None:
            yield number

    async def await_(self, wait: Wait, ask: Callable[[], Awaitable[object]], left: Left) -> None:
        wait.watch()
        await ask()
        while not wait.over and (await wait.anext(left())) is not None:
            pass


OUTSIDE = _Outside()


def place() -> Place:
    """Where the caller waits: a job's place in its worker, or anywhere else."""
    return cast("Place | None", running.get()) or OUTSIDE
