"""Every error that taskq raises.

    TaskqError
    |- ConfigError             a setting, URL or name that cannot be used
    |- EnqueueError            nothing was sent
    |  |- BadArguments         the arguments do not fit the task's signature
    |  |- NotSerializable      a value that cannot travel
    |  |- TooLarge             more bytes than the limit
    |  `- QueueFull            no room in a bounded queue, or no memory in Redis
    |- BrokerError             the conversation with Redis failed
    |  |- BrokerUnavailable    Redis cannot be reached
    |  `- NotPermitted         Redis does not let this user do it
    |- SchemaMismatch          the namespace has data of another taskq
    |- SyncError               a lock, semaphore or barrier (also a RuntimeError)
    |  |- NotHeld              released, and not held
    |  |- LockLost             the lease ran out, or the worker process was declared dead
    |  `- WouldDeadlock        this thread waits for what only itself could release
    |- MalformedJob            a body in Redis that cannot be decoded
    |- JobNotFound             no such job: never enqueued, or its result expired
    |- NotMade                 what a lifespan makes was not made in this process
    |- ResultTimeout           waiting ended before the job did (also a TimeoutError)
    |- WaitCycle               a job would wait for one that waits for it
    `- JobFailed               the job has an outcome, and it is not a result
       |- TaskFailed           the task raised; carries type, text and remote traceback
       |- JobCancelled         cancelled before it started
       |- TimeLimitExceeded    ran longer than the task's `timeout`
       |- WorkerLost           its process died while it ran, too many times
       |- UnknownTask          no worker knew the task
       `- ResultNotStored      the result cannot be serialized, or is too large

    TimeLimit (BaseException)  raised inside a job at its soft time limit: `except Exception` does not eat it

The text says: cannot VERB NOUN: why, and on the next line what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = [
    "BadArguments",
    "BrokerError",
    "BrokerUnavailable",
    "ConfigError",
    "EnqueueError",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "LockLost",
    "MalformedJob",
    "NotHeld",
    "NotMade",
    "NotPermitted",
    "NotSerializable",
    "QueueFull",
    "ResultNotStored",
    "ResultTimeout",
    "SchemaMismatch",
    "SyncError",
    "TaskFailed",
    "TaskqError",
    "TimeLimit",
    "TimeLimitExceeded",
    "TooLarge",
    "UnknownTask",
    "WaitCycle",
    "WorkerLost",
    "WouldDeadlock",
]

CLOSED = "cannot talk to Redis: the app was closed\n  hint: call close() when nobody waits for results any more"


def shown(value: object, most: int = 60) -> str:
    """How an error writes a value that somebody gave: on one line, cut to `most` characters, whatever its repr does."""
    if type(value) in (str, bytes):
        value = value[:most]  # type: ignore[index]
    try:
        text = repr(value)
    except Exception:
        text = f"<a {type(value).__name__}>"
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= most else f"{text[: most - 3]}..."


class TaskqError(Exception):
    """Base of everything taskq raises to its callers."""


class ConfigError(TaskqError, ValueError):
    """A setting, URL or name cannot be used."""


class EnqueueError(TaskqError):
    """The job was refused before anything was sent."""


class BadArguments(EnqueueError, TypeError):
    """The arguments do not fit the task's signature."""


class NotSerializable(EnqueueError, TypeError):
    """A value has a type that cannot travel."""


class TooLarge(EnqueueError, ValueError):
    """An encoded value has more bytes than the limit."""


class QueueFull(EnqueueError):
    """A bounded queue has no room for another job, or Redis no memory.

    `sent`: of an `enqueue_many` the handles of the first jobs, which were sent.
    """

    sent: Sequence[Any] = ()


class BrokerError(TaskqError):
    """Redis answered with an error, or the connection broke midway."""


class BrokerUnavailable(BrokerError, ConnectionError):
    """Redis cannot be reached."""


class NotPermitted(BrokerError):
    """Redis does not let this user do it: a right is missing (ACL)."""


class SchemaMismatch(TaskqError):
    """The data in the namespace is of a taskq whose data model is another one: nothing was read or written."""


class SyncError(TaskqError, RuntimeError):
    """A lock, semaphore or barrier cannot do what it was asked for. `taskq.BrokenBarrier` is one too."""


class NotHeld(SyncError):
    """This process has no hold to release."""


class LockLost(SyncError):
    """The hold is another's, or may be: its lease ran out, or its worker process was declared dead."""


class WouldDeadlock(SyncError):
    """The thread or coroutine would wait for ever for what it holds itself."""


class MalformedJob(TaskqError):
    """Bytes from Redis are not a job, or not one this version can read."""


class JobNotFound(TaskqError, LookupError):
    """No job has this id: it was never enqueued, or its result expired."""


class NotMade(TaskqError, LookupError):
    """What a lifespan makes was not made in this process, which is no worker's."""


class ResultTimeout(TaskqError, TimeoutError):
    """The job had no outcome within the time given to wait."""


class WaitCycle(TaskqError):
    """A job would wait for one that waits for it, so that neither would ever end."""


class JobFailed(TaskqError):
    """The job has an outcome, and it is not a result."""


class TaskFailed(JobFailed):
    """The task raised an exception whose type cannot be rebuilt here.

    Attributes: `type` (dotted name), `text` (its str), `traceback` (of the worker, may be empty).
    """

    def __init__(self, kind: str, text: str, traceback: str = "") -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.type, self.text, self.traceback = kind, text, traceback

    def __reduce__(self) -> tuple[object, ...]:
        return TaskFailed, (self.type, self.text, self.traceback)


class JobCancelled(JobFailed):
    """The job was cancelled before it started."""


class TimeLimitExceeded(JobFailed):
    """The job ran longer than its task's `timeout`."""


class WorkerLost(JobFailed):
    """The job's process died while it ran, as often as the limit allows."""


class UnknownTask(JobFailed):
    """No worker knew the job's task while it was parked."""


class ResultNotStored(JobFailed):
    """The task returned, but its result cannot be serialized or is too large."""


class TimeLimit(BaseException):
    """Raised inside a job when its soft time limit is reached."""
