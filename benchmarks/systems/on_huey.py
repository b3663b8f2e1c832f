"""Huey on Redis."""

from __future__ import annotations

from typing import Any

import work
from huey import RedisHuey

huey, calculating = (
    RedisHuey(name, url=work.REDIS, results=work.RESULTS, store_none=work.RESULTS) for name in ("bench", "cpu")
)
tasks = {function.__name__: huey.task()(function) for function in (work.noop, work.take, work.stamp, work.nap)}
tasks["burn"] = calculating.task()(work.burn)


def send(task: str, *args: Any) -> Any:
    return tasks[task](*args)


def result(handle: Any) -> Any:
    return handle.get(blocking=True, timeout=60, preserve=True)
