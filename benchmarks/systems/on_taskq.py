"""taskq."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import work

from taskq import Job, TaskQ

app = TaskQ(work.REDIS)
_kept: dict[str, Any] = {"retries": 0} if work.RESULTS else {"retries": 0, "result_ttl": 0}
tasks = {
    "noop": app.task(name="noop", **_kept)(work.noop),
    "take": app.task(name="take", **_kept)(work.take),
    "stamp": app.task(name="stamp", **_kept)(work.stamp),
    "nap": app.task(name="nap", **_kept)(work.nap),
    "anap": app.task(name="anap", **_kept)(work.anap),
    "burn": app.task(name="burn", pool="cpu", **_kept)(work.burn),
}


def send(task: str, *args: Any) -> Job[Any]:
    return tasks[task].enqueue(*args)


async def asend(task: str, *args: Any) -> Job[Any]:
    return await tasks[task].aenqueue(*args)


def send_many(task: str, rows: Sequence[tuple[Any, ...]]) -> list[Job[Any]]:
    return tasks[task].enqueue_many(rows)


def send_later_many(task: str, seconds: float, rows: Sequence[tuple[Any, ...]]) -> list[Job[Any]]:
    return tasks[task].options(delay=seconds).enqueue_many(rows)


def result(job: Job[Any]) -> Any:
    return job.result(60)


def results(jobs: Sequence[Job[Any]]) -> list[Any]:
    return app.gather(jobs, 60)
