"""The app that `taskq bench` enqueues to and that its worker runs: two tasks that do next to nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass

from taskq.app import TaskQ
from taskq.clock import SYSTEM_CLOCK
from taskq.tasks import Task

QUEUE = "default"
RESULT_TTL = 120.0
"""Seconds. Longer than a bench takes; results that one which was killed left behind are soon gone."""


@dataclass(frozen=True, slots=True)
class BenchApp:
    """The app with its tasks: `noop` for the drain, `started` for how late a job starts."""

    app: TaskQ
    noop: Task[[], None]
    started: Task[[], float]


def noop() -> None:
    """Nothing: what is measured is the way there and back."""


def started() -> float:
    """When the job started (monotonic seconds, which the processes of one machine share)."""
    return SYSTEM_CLOCK.monotonic()


def app_in(namespace: str) -> BenchApp:
    """The app in `namespace`, for who enqueues."""
    app = TaskQ(namespace=namespace)
    declare = app.task(queue=QUEUE, result_ttl=RESULT_TTL)
    return BenchApp(app, declare(noop), declare(started))


def app() -> TaskQ:
    """The app in the namespace that TASKQ_NAMESPACE says, for the worker."""
    return app_in(os.environ["TASKQ_NAMESPACE"]).app
