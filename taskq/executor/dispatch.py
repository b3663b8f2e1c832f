"""Sending what is submitted and settling what comes back: one thread for an executor, while it has anything to do.

    submit --> inbox --> waiting --(room for it)--> away --enqueue, await--> Redis
                 ^                                                              |
                 `---------------- the app's Mailbox: there is an outcome <-----'

Everything that happens comes as a deed through the inbox, and only the thread does them. While one batch is under way
the next gathers. Callbacks of futures run in this thread; those that block hold up this executor only. The thread is no
daemon, and ends when no future is left open: so a program ends when all are done, and not before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from logging import getLogger
from queue import SimpleQueue
from typing import Any, TypeVar

from taskq.broker import calls
from taskq.broker.call import Call
from taskq.broker.keys import route_queue
from taskq.broker.records import Full, Place
from taskq.declaration import RESULT_TTL
from taskq.errors import BrokerUnavailable, TaskqError
from taskq.executor.future import JobFuture
from taskq.executor.help import Helper
from taskq.executor.host import Host
from taskq.job import cancelled_record
from taskq.tasks import BATCH, batches

T = TypeVar("T")
AnyFuture = JobFuture[Any]
Line = tuple[str, float | None, float | None]
"""Route, delay and due time: what the jobs of one call have in common."""
CLOSED = "cannot schedule new futures after shutdown"
PATIENCE = 1.0
"""Seconds that `cancel` and `running` wait for what is under way, and insist on an answer; and that they do not ask
again where there was none."""
NOT_STARTED: frozenset[Place] = frozenset({"queued", "delayed", "parked"})


class Dispatch:
    """`most`: how many jobs may be away at a time, None for any number."""

    def __init__(self, host: Host, most: int | None) -> None:
        self._host, self._most = host, most
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waiting: dict[AnyFuture, None] = {}
        self._away: dict[AnyFuture, None] = {}
        self._rings: dict[str, Future[None]] = {}  # where room is waited for, by queue
        self._turn = threading.Lock()
        self._open = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._silent_until = 0.0
        self._helper = Helper()

    # For any thread

    def check_open(self) -> None:
        """Raise RuntimeError after `close`."""
        if self._closed:
            raise RuntimeError(CLOSED)

    def add(self, future: AnyFuture) -> None:
        """Send the job of `future` when there is room for it. Raises RuntimeError after `close`."""
        with self._turn:
            self.check_open()
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="taskq-executor", daemon=False)
                thread.start()
                self._thread = thread
            self._open += 1
            self._inbox.put(partial(self._line_up, future))

    def close(self, *, cancel: bool) -> None:
        """Take no more; cancel what can be, if that is asked for."""
        with self._turn:
            self._closed = True
            if cancel:
                self._inbox.put(self._cancel_all)

    def join(self) -> None:
        """Wait until no future is left open."""
        thread = self._thread
        if thread is not None:
            thread.join()

    # For futures

    def recall(self, future: AnyFuture) -> bool:
        """Will its job not run, for it is still here, or was cancelled in Redis just now?"""
        if self._withdraw(future):
            return True
        transit = future.transit
        if transit is not None and (not transit.wait(PATIENCE) or future.done()):
            return False
        if self._withdraw(future):  # its queue was full
            return True
        places = self._ask(calls.cancel([future.job.awaited], self._record(), RESULT_TTL))
        return places is not None and _is_cancelled(future, places[0])

    def has_started(self, future: AnyFuture) -> bool:
        """Does a worker have its job?"""
        if future.transit is None or not future.transit.wait(PATIENCE):
            return False
        found = self._ask(calls.locate(*future.job.awaited))
        return found is not None and found.place == "running"

    def _withdraw(self, future: AnyFuture) -> bool:
        """Have a future that was not sent never be sent. False for one that was."""
        with self._turn:
            if future.transit is None and not future.withdrawn:
                future.withdrawn = True
                self._inbox.put(partial(self._drop, future))
            return future.withdrawn

    def _ask(self, call: Call[T]) -> T | None:
        """The answer of Redis, if it does not take long."""
        if time.monotonic() < self._silent_until:
            return None
        try:
            return self._host.broker.run(call, PATIENCE)
        except TaskqError:
            self._silent_until = time.monotonic() + PATIENCE
            return None

    def _record(self) -> bytes:
        return cancelled_record("of an executor", self._host.now())

    # The thread

    def _work(self) -> None:
        while self._has_more():
            for deed in self._deeds():
                try:
                    deed()
                except BaseException:  # a callback's SystemExit, or a bug: the other futures must not wait for ever
                    getLogger("concurrent.futures").critical("exception in the thread of an executor", exc_info=True)
            self._send()

    def _has_more(self) -> bool:
        with self._turn:
            if not self._open:
                self._thread = None
            return self._open > 0

    def _deeds(self) -> list[Callable[[], None]]:
        """What is to be done: at least one thing."""
        deeds = [self._inbox.get()]
        while len(deeds) < BATCH and not self._inbox.empty():
            deeds.append(self._inbox.get())
        return deeds

    def _line_up(self, future: AnyFuture) -> None:
        self._waiting[future] = None

    def _drop(self, future: AnyFuture) -> None:
        """It was withdrawn."""
        self._waiting.pop(future, None)
        self._end()

    def _settle(self, future: AnyFuture, outcome: Future[bytes]) -> None:
        del self._away[future]
        try:
            future.settle(outcome, self._host.exceptions, self._host.types)
        finally:
            self._end()

    def _end(self) -> None:
        with self._turn:
            self._open -= 1

    def _cancel_all(self) -> None:
        for future in [*self._waiting]:
            if self._withdraw(future):
                future.give_up()
        away = [*self._away]
        with suppress(TaskqError):
            for at in range(0, len(away), BATCH):
                self._cancel_away(away[at : at + BATCH])

    def _cancel_away(self, futures: Sequence[AnyFuture]) -> None:
        places = self._host.carry(calls.cancel([future.job.awaited for future in futures], self._record(), RESULT_TTL))
        for future, place in zip(futures, places, strict=True):
            if _is_cancelled(future, place):
                future.give_up()

    # Sending

    def _send(self) -> None:
        """Send what there is room for. Where Redis is lost, nothing that waits here waits any longer."""
        room = len(self._waiting) if self._most is None else self._most - len(self._away)
        transit = threading.Event()
        lost: Exception | None = None
        for futures in self._departing(room, transit):
            lost = self._carry(futures, lost)
        if lost is not None:
            for futures in self._departing(len(self._waiting), transit):
                self._carry(futures, lost)
        transit.set()

    def _departing(self, room: int, transit: threading.Event) -> Iterator[list[AnyFuture]]:
        """The first `room` that wait, by what one call can carry."""
        lines: dict[Line, list[AnyFuture]] = {}
        with self._turn:
            for future in [*islice(self._waiting, max(0, room))]:
                del self._waiting[future]
                if not future.withdrawn:
                    future.transit = transit
                    self._away[future] = None
                    lines.setdefault((future.draft.route, future.draft.delay, future.draft.eta), []).append(future)
        for futures in lines.values():
            left = iter(futures)
            for jobs in batches((future.draft.raw, future.draft.body) for future in futures):
                yield [*islice(left, len(jobs))]

    def _carry(self, futures: Sequence[AnyFuture], lost: Exception | None) -> Exception | None:
        """Send these jobs, unless Redis is `lost`; the answer is whether it is now."""
        first, error = futures[0].draft, lost
        jobs = [(future.draft.raw, future.draft.body) for future in futures]
        try:
            if lost is None:
                terms = self._host.queues.terms(route_queue(first.route))
                call = calls.enqueue(first.route, jobs, delay=first.delay, eta=first.eta, terms=terms)
                answer = self._host.carry(call)
                if isinstance(answer, Full):
                    self._postpone(futures[answer.dealt :])
                    futures = futures[: answer.dealt]
        except Exception as failure:
            error = failure
        for future in futures:
            future.draft = replace(future.draft, body=b"")  # it may be large
        if error is None:
            self._watch(futures)
        else:
            self._refuse(futures, error)
        return error if isinstance(error, BrokerUnavailable) else None

    def _refuse(self, futures: Iterable[AnyFuture], error: Exception) -> None:
        """These were not sent, or nobody will hear of them."""
        refusal: Future[bytes] = Future()
        refusal.set_exception(error)
        for future in futures:
            self._landed(future, refusal)

    def _postpone(self, futures: Sequence[AnyFuture]) -> None:
        """Their queue is full: they wait here again, before all others, until there may be room."""
        with self._turn:
            for future in futures:
                future.transit = None
                del self._away[future]
            self._waiting = dict.fromkeys([*futures, *self._waiting])
        queue = route_queue(futures[0].draft.route)
        if queue not in self._rings:
            self._rings[queue] = self._host.rooms.join(queue)
            self._rings[queue].add_done_callback(lambda _: self._inbox.put(partial(self._rang, queue)))

    def _rang(self, queue: str) -> None:
        """There may be room: what waits for it is sent now."""
        del self._rings[queue]

    def _watch(self, futures: Sequence[AnyFuture]) -> None:
        """Wait for the outcomes of these jobs, which Redis has now."""
        ids = [future.job.raw for future in futures]
        try:
            mailbox = self._host.mailbox
            outcomes = mailbox.expect(ids)
            self._helper.wait_for(mailbox, [future.job.awaited for future in futures])
        except TaskqError as error:  # the app was closed
            return self._refuse(futures, error)
        for future, outcome in zip(futures, outcomes, strict=True):
            outcome.add_done_callback(partial(self._landed, future))
        try:
            for page, call in mailbox.pages(ids):
                mailbox.absorb(page, self._host.carry(call))
        except TaskqError:
            mailbox.ask_again()  # the jobs are there, and Redis will come back

    def _landed(self, future: AnyFuture, outcome: Future[bytes]) -> None:
        """Called in any thread, and in `_send`: callbacks run when it is this deed's turn."""
        self._inbox.put(partial(self._settle, future, outcome))


def _is_cancelled(future: AnyFuture, place: Place) -> bool:
    """Was its job cancelled, which was in this `place`?"""
    if place == "running":
        future.started()
    return place in NOT_STARTED
