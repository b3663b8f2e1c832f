"""A job as its producer sees it (the handle) and as it sees itself (`current_job`)."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

from taskq import errors, ids
from taskq.codec import ErrorInfo, Record, decode_record, encode_record
from taskq.types import Types
from taskq.units import Duration, seconds

R = TypeVar("R")
Status = Literal["unknown", "queued", "delayed", "running", "parked", "dead", "done", "cancelled"]


class Post(Protocol):
    """What a handle needs of its app: to ask about a job and to wait for its record."""

    @property
    def exceptions(self) -> Mapping[str, type[BaseException]]: ...
    @property
    def types(self) -> Types: ...
    def wait(self, jobs: Sequence[tuple[bytes, str]], timeout: float | None) -> list[Future[bytes]]: ...
    async def await_(self, jobs: Sequence[tuple[bytes, str]], timeout: float | None) -> list[Future[bytes]]: ...
    def job_status(self, job_id: bytes, route: str) -> Status: ...
    def cancel_job(self, job_id: bytes, route: str, name: str) -> bool: ...


class Job(Generic[R]):
    """A handle on an enqueued job. Make one with `task.enqueue(...)`, or `app.job(id)` for one enqueued elsewhere.

    `raw`: the 16 bytes that Redis knows it by.
    """

    __slots__ = ("_key", "_outcome", "_post", "_route", "raw")

    def __init__(self, post: Post, raw: bytes, route: str, key: str | None = None):
        self._post, self.raw, self._route, self._key = post, raw, route, key
        self._outcome: Future[bytes] | None = None

    @property
    def id(self) -> str:
        """26 characters, or the id the user gave."""
        return self._key or ids.show(self.raw)

    @property
    def queue(self) -> str:
        return self._route.split(":", 1)[0]

    @property
    def awaited(self) -> tuple[bytes, str]:
        """What who waits for it has to know: `raw`, and its route, "" where that is not known."""
        return self.raw, self._route

    def result(self, timeout: Duration | None = None) -> R:
        """Wait for the job and return what the task returned.

        `timeout` is in seconds (or "10m", or a timedelta); None waits for ever. Raises the task's own exception where
        its type is built in or registered with the app (`__cause__` shows the worker's traceback), else TaskFailed;
        JobCancelled, TimeLimitExceeded, WorkerLost, UnknownTask, ResultNotStored for what else can become of a job;
        ResultTimeout; JobNotFound where the result expired or was never stored (`result_ttl=0`); MalformedJob where
        what is stored cannot be read, holds a type that is not registered here, or a newer taskq wrote it;
        BrokerUnavailable.

        Inside of a job it may run the other job, in this very thread, and never waits for a free slot. It raises
        WaitCycle where that one waits for this one.
        """
        outcome = self._outcome or self._post.wait([self.awaited], limit(timeout))[0]
        return cast("R", read(outcome, self._post.exceptions, self._post.types))

    async def aresult(self, timeout: Duration | None = None) -> R:
        """`result` for coroutines."""
        outcome = self._outcome or (await self._post.await_([self.awaited], limit(timeout)))[0]
        return cast("R", read(outcome, self._post.exceptions, self._post.types))

    def settle(self, outcome: Future[bytes]) -> None:
        """Its outcome is here: nobody has to ask for it again."""
        self._outcome = outcome

    def status(self) -> Status:
        """Where the job is: "queued", "delayed", "running", "parked", "dead", "done", "cancelled", or "unknown"."""
        return self._post.job_status(self.raw, self._route)

    def cancel(self) -> bool:
        """Cancel the job if no worker has taken it yet. True if it will not run."""
        return self._post.cancel_job(self.raw, self._route, self.id)

    def __repr__(self) -> str:
        return (
            f"<Job {self.id if self.id.isprintable() and len(self.id) <= 60 else errors.shown(self.id)} {self._route}>"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)


def limit(timeout: Duration | None) -> float | None:
    return None if timeout is None else seconds(timeout, "timeout")


class RemoteTraceback(Exception):
    """The worker's traceback, as the cause of the exception that `result` raises."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}" if self.args else ""


def read(outcome: Future[bytes], known: Mapping[str, type[BaseException]], types: Types) -> Any:
    """The result in an encoded outcome record that is there, or its error raised, as `unwrap` does."""
    return unwrap(decode_record(outcome.result()), known, types)


def _built(record: Record, types: Types) -> Record:
    """`record` with values of the app's own types. Raises MalformedJob where they cannot be made."""
    error = record.error
    try:
        if error is None:
            return replace(record, value=types.build(record.value), named=())
        return replace(record, error=replace(error, args=types.build(error.args)), named=())
    except Exception as broken:
        if error is not None:  # it is told without its args
            return replace(record, error=replace(error, args=None), named=())
        if isinstance(broken, errors.MalformedJob):
            raise
        why = f"{type(broken).__name__}: {str(broken)[:200]}"
        raise errors.MalformedJob(f"cannot build the result of {record.task}: {why}") from broken


def unwrap(record: Record, known: Mapping[str, type[BaseException]], types: Types) -> Any:
    """The result in `record`, or its error raised. `known` are exception types that may be built, by dotted name.

    Values of own types are built by `types`; where they cannot be, MalformedJob says why.
    """
    record = _built(record, types) if record.named else record
    if record.error is None:
        return record.value
    error = rebuild(record.error, known)
    raise error from (RemoteTraceback(record.error.traceback) if record.error.traceback else None)


def rebuild(info: ErrorInfo, known: Mapping[str, type[BaseException]]) -> BaseException:
    """The exception that `info` describes, if its type is known and takes its arguments; else a TaskFailed."""
    found = known.get(info.type) or _BUILT_IN.get(info.type)
    if found is not None and info.args is not None:
        try:
            return found(*info.args)
        except Exception:
            found = None
    return errors.TaskFailed(info.type, info.text, info.traceback)


def _public_errors() -> dict[str, type[BaseException]]:
    own = {f"taskq.errors.{name}": getattr(errors, name) for name in errors.__all__}
    python = {f"builtins.{name}": value for name, value in vars(builtins).items() if isinstance(value, type)}
    # A coroutine cannot raise the excluded ones: Python makes a RuntimeError of them.
    excluded = (StopIteration, StopAsyncIteration)
    return {
        name: kind
        for name, kind in (own | python).items()
        if issubclass(kind, Exception) and not issubclass(kind, excluded)
    }


_BUILT_IN = _public_errors()


def cancelled_record(name: str, now: float) -> bytes:
    """The outcome of a job that was cancelled before it started."""
    text = f"job {name} was cancelled"
    error = ErrorInfo(type="taskq.errors.JobCancelled", text=text, args=(text,))
    return encode_record(
        Record(
            state="cancelled", error=error, task="", enqueued_at=now, started_at=now, seconds=0.0, attempt=0, worker=""
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentJob:
    """The job that runs here. `attempt` counts from 1; `fence` names the one worker process that may finish it."""

    id: str
    task: str
    queue: str
    attempt: int
    retries: int
    enqueued_at: float
    fence: str


class Running(Protocol):
    """What a worker leaves in the context of a job: most jobs never ask, so it makes the record only when one does."""

    def describe(self) -> CurrentJob: ...


running: ContextVar[Running | None] = ContextVar("taskq_running", default=None)


def current_job() -> CurrentJob | None:
    """The job that runs in this thread or coroutine, or None outside of jobs."""
    job = running.get()
    return job.describe() if job is not None else None
