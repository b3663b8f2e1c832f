"""taskq: a task queue for Python on Redis."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from taskq._version import __version__

if TYPE_CHECKING:
    from taskq.app import TaskQ, task
    from taskq.declaration import Declaration
    from taskq.errors import TaskFailed, TaskqError, TimeLimit
    from taskq.executor.executor import TaskQExecutor
    from taskq.job import CurrentJob, Job, current_job
    from taskq.retry import Backoff, Retry
    from taskq.sync.barrier import Barrier, BrokenBarrier
    from taskq.sync.lock import Held, Lock, Semaphore
    from taskq.tasks import AsyncTask, Task

_HOMES = {
    "AsyncTask": "taskq.tasks",
    "Backoff": "taskq.retry",
    "Barrier": "taskq.sync.barrier",
    "BrokenBarrier": "taskq.sync.barrier",
    "CurrentJob": "taskq.job",
    "Declaration": "taskq.declaration",
    "Held": "taskq.sync.lock",
    "Job": "taskq.job",
    "Lock": "taskq.sync.lock",
    "Retry": "taskq.retry",
    "Semaphore": "taskq.sync.lock",
    "Task": "taskq.tasks",
    "TaskFailed": "taskq.errors",
    "TaskQ": "taskq.app",
    "TaskQExecutor": "taskq.executor.executor",
    "TaskqError": "taskq.errors",
    "TimeLimit": "taskq.errors",
    "current_job": "taskq.job",
    "task": "taskq.app",
}

__all__ = [
    "AsyncTask",
    "Backoff",
    "Barrier",
    "BrokenBarrier",
    "CurrentJob",
    "Declaration",
    "Held",
    "Job",
    "Lock",
    "Retry",
    "Semaphore",
    "Task",
    "TaskFailed",
    "TaskQ",
    "TaskQExecutor",
    "TaskqError",
    "TimeLimit",
    "__version__",
    "current_job",
    "task",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: `taskq --help` must not import redis."""
    if name not in _HOMES:
        raise AttributeError(f"module 'taskq' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
