"""The future of a call that is a job, or waits here to become one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from taskq.codec import decode_record
from taskq.job import Job, Post, unwrap
from taskq.tasks import Draft
from taskq.types import Types

R = TypeVar("R")


class Desk(Protocol):
    """Whom a future asks what only Redis knows."""

    def recall(self, future: JobFuture[Any]) -> bool: ...
    def has_started(self, future: JobFuture[Any]) -> bool: ...


class JobFuture(Future[R]):
    """A `concurrent.futures.Future`, with `job`, the handle of its job.

    For its executor: `draft`, what is to be sent; `transit`, None until it is being sent, and set when it is no longer;
    `withdrawn`, it was cancelled before.
    """

    def __init__(self, desk: Desk, post: Post, draft: Draft) -> None:
        super().__init__()
        self.job: Job[R] = Job(post, draft.raw, draft.route)
        self.draft = draft
        self.transit: threading.Event | None = None
        self.withdrawn = False
        self._desk = desk
        self._started = False
        self._notified = threading.Lock()

    def cancel(self) -> bool:
        """Cancel the call, unless a worker has it or had it. True if it will not run.

        What waits here is cancelled here. What is in Redis is cancelled there, which takes a round trip, and where
        Redis does not answer some two seconds: then this is False, and the future will tell what became of the call.
        """
        if not self.done() and not self._started and self._desk.recall(self):
            self.give_up()
        return self.cancelled()

    def running(self) -> bool:
        """Has a worker taken the call, and not ended it? It cannot be cancelled then.

        While that is not known, this takes a round trip to Redis; False where Redis does not answer.
        """
        if not self._started and not self.done():
            self._started = self._desk.has_started(self)
        return self._started and not self.done()

    def started(self) -> None:
        """A worker has the job, or had it."""
        self._started = True

    def give_up(self) -> bool:
        """The call will not run: become cancelled, unless this is done. True where it is cancelled now."""
        cancelled = super().cancel()
        if cancelled and self._notified.acquire(blocking=False):  # who waits is told once
            self.set_running_or_notify_cancel()
        return cancelled

    def settle(self, outcome: Future[bytes], known: Mapping[str, type[BaseException]], types: Types) -> None:
        """Take the result or the error of `outcome`, an encoded record; `known` and `types` are what may be built."""
        with suppress(InvalidStateError):  # it was cancelled
            try:
                record = decode_record(outcome.result())
                if record.state == "cancelled" and self.give_up():
                    return
                value = unwrap(record, known, types)
            except BaseException as error:
                self.set_exception(error.with_traceback(None))  # its frames are ours, and would hold this future
            else:
                self.set_result(value)


def failed(error: Exception) -> Future[Any]:
    """The future of a call that cannot be sent."""
    future: Future[Any] = Future()
    future.set_exception(error.with_traceback(None))
    return future
