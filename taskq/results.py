"""Waiting for outcomes, without polling: one connection and one thread serve every waiter of a client.

waiter --await--> Redis: "client c waits for id"        worker: commit pushes the id to reply:c
  |                                                          |
  +-- Future <-- the thread: BLPOP reply:c <-----------------+     then fetches the records
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from itertools import chain

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.link import Link, values
from taskq.broker.reconnect import Reconnect
from taskq.clock import SYSTEM_CLOCK, Clock
from taskq.errors import CLOSED, BrokerError, JobNotFound
from taskq.ids import show

BLOCK = 2.0
ASK_AGAIN_AFTER = 30.0
"""Seconds after which a client asks for all it waits for: what it was told may have expired meanwhile (it was stopped,
the server's clock jumped), or an operator has deleted it."""
PAGE = 500
"""How many outcomes are asked for in one call."""
Answers = Sequence[bytes | None]
Page = tuple[Sequence[bytes], Call[Answers]]
"""Some ids, and the call that asks for their outcomes."""


class Mailbox:
    """Futures for the outcome records of jobs. Thread-safe. `clock` says when to ask again."""

    def __init__(self, broker: Broker, clock: Clock = SYSTEM_CLOCK):
        self._broker = broker
        self._clock = clock
        self._client = os.urandom(8)
        self._waiting: dict[bytes, list[Future[bytes]]] = {}
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._asked = clock.monotonic()

    def expect(self, job_ids: Sequence[bytes]) -> list[Future[bytes]]:
        """A future for each id: it stays without an answer until somebody asks, see `pages`."""
        futures: list[Future[bytes]] = [Future() for _ in job_ids]
        with self._changed:
            if self._closed:
                raise BrokerError(CLOSED)
            for job_id, future in zip(job_ids, futures, strict=True):
                self._waiting.setdefault(job_id, []).append(future)
        return futures

    def pages(self, job_ids: Sequence[bytes]) -> Iterator[Page]:
        """The calls that ask for the outcomes of these jobs, to be carried out: give their answers to `absorb`."""
        for at in range(0, len(job_ids), PAGE):
            page = job_ids[at : at + PAGE]
            yield page, calls.await_outcome(self._client, page)

    def absorb(self, job_ids: Sequence[bytes], answers: Answers) -> None:
        """Resolve what is there already; the thread waits for the rest."""
        for job_id, answer in zip(job_ids, answers, strict=True):
            if answer is not None:
                self.resolve(job_id, answer)
        self._wake()

    def listen(self) -> None:
        """Start the thread now: where a program is ending, and others still wait, no thread can be started any more."""
        if self._thread is None:
            with self._changed:
                self._start()

    def ask_again(self) -> None:
        """Have the thread ask for all who wait: some of the calls of `pages` could not be carried out."""
        self._asked = float("-inf")
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            if self._waiting:
                self._start()
                self._changed.notify()

    def forget(self, job_ids: Sequence[bytes], futures: Sequence[Future[bytes]]) -> None:
        """Nobody waits for these `futures` any more; others may wait for the same jobs."""
        with self._changed:
            for job_id, future in zip(job_ids, futures, strict=True):
                others = [other for other in self._waiting.pop(job_id, ()) if other is not future]
                if others:
                    self._waiting[job_id] = others

    def close(self) -> None:
        """Tell all who wait that there will be no answer, and let the thread end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._refuse(BrokerError(CLOSED))

    def _refuse(self, error: BrokerError) -> None:
        """Tell all who wait that there will be no answer."""
        with self._changed:
            waiting, self._waiting = self._waiting, {}
        for future in chain.from_iterable(waiting.values()):
            with suppress(InvalidStateError):
                future.set_exception(error)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="taskq-results", daemon=True)
            self._thread.start()

    def resolve(self, job_id: bytes, record: bytes) -> None:
        """Give its outcome to all who wait for this job; b"" where there is none.

        Who is interrupted in here (a TimeLimit in a job) leaves the rest to the thread that listens. No lock is held
        while futures are told: that runs callbacks.
        """
        with self._changed:
            futures = [*self._waiting.get(job_id, ())]
        for future in futures:
            with suppress(InvalidStateError):  # it was told before, or nobody wants it any more
                if record:
                    future.set_result(record)
                else:
                    future.set_exception(JobNotFound(missing(job_id)))
        self.forget([job_id] * len(futures), futures)

    def _listen(self) -> None:
        link, backoff = Link(self._broker), Reconnect()
        while self._wait_for_waiters():
            try:
                if self._clock.monotonic() - self._asked > ASK_AGAIN_AFTER:
                    self._fetch(link, list(self._waiting))
                    self._asked = self._clock.monotonic()
                self._fetch(link, self._told(link))
                backoff.succeeded()
            except BrokerError:
                link.close()
                time.sleep(backoff.failed(random.random()))
                self._asked = float("-inf")
            except Exception as error:  # this thread must not die: all who wait would do so for ever
                self._refuse(BrokerError(f"cannot wait for results: {type(error).__name__}: {error}"))
                link.close()
        link.close()

    def _wait_for_waiters(self) -> bool:
        """False once this is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return not self._closed

    def _told(self, link: Link) -> list[bytes]:
        reply = self._broker.key("reply", self._client)
        first, more = values(link.exchange(calls.told(reply, BLOCK), calls.told_more(reply)))
        return [*first, *more]

    def _fetch(self, link: Link, job_ids: list[bytes]) -> None:
        for at in range(0, len(job_ids), PAGE):
            page = job_ids[at : at + PAGE]
            (answers,) = values(link.exchange(calls.await_outcome(self._client, page)))
            for job_id, answer in zip(page, answers, strict=True):
                if answer is not None:
                    self.resolve(job_id, answer)


def missing(job_id: bytes) -> str:
    """Why there is no outcome."""
    return (
        f"there is no outcome for job {show(job_id)}: it was never enqueued here, was deleted, its result expired, "
        "or its task stores none\n  hint: ask for results within the task's result_ttl"
    )
