"""Celery on Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import work
from celery import Celery
from celery.result import AsyncResult, ResultSet

app = Celery("bench", broker=work.REDIS, backend=work.REDIS)
app.conf.update(
    task_ignore_result=not work.RESULTS,
    task_acks_late=True,
    task_routes={"burn": {"queue": "cpu"}},
)
tasks = {
    function.__name__: app.task(name=function.__name__)(function)
    for function in (work.noop, work.take, work.stamp, work.nap, work.burn)
}


def send(task: str, *args: Any) -> AsyncResult[Any]:
    return tasks[task].delay(*args)


def result(handle: AsyncResult[Any]) -> Any:
    return handle.get(timeout=60)


def results(handles: Sequence[AsyncResult[Any]]) -> list[Any]:
    # A handle remembers its result: new ones ask Redis each time.
    return ResultSet([app.AsyncResult(handle.id) for handle in handles], app=app).get(timeout=60)
