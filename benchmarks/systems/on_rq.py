"""RQ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import work
from redis import Redis
from rq import Queue, Retry
from rq.job import Job

REDIS_URL = work.REDIS
queues = {name: Queue(name, connection=Redis.from_url(REDIS_URL)) for name in ("default", "cpu")}
tasks = {function.__name__: function for function in (work.noop, work.take, work.stamp, work.nap, work.burn)}


def _queue(task: str) -> Queue:
    return queues["cpu" if task == "burn" else "default"]


def _options() -> dict[str, Any]:
    # Without a retry a job whose worker dies is put among those that failed.
    return {"retry": Retry(max=1), "result_ttl": None if work.RESULTS else 0}


def send(task: str, *args: Any) -> Job:
    return _queue(task).enqueue_call(tasks[task], args, **_options())


def send_many(task: str, rows: Sequence[tuple[Any, ...]]) -> list[Job]:
    return _queue(task).enqueue_many([Queue.prepare_data(tasks[task], row, **_options()) for row in rows])


def result(job: Job) -> Any:
    found = job.latest_result(timeout=60)
    return found and found.return_value
