"""Huey on Redis."""

from __future__ import annotations

from typing import Any

import work
from huey import RedisHuey

kept = {"results": work.RESULTS, "store_none": work.RESULTS, "notify_result": work.AWAITED}
huey, calculating = (RedisHuey(name, url=work.REDIS, **kept) for name in ("bench", "cpu"))
tasks = {function.__name__: huey.task()(function) for function in (work.noop, work.take, work.stamp, work.nap)}
tasks["burn"] = calculating.task()(work.burn)


def send(task: str, *args: Any) -> Any:
    return tasks[task](*args)


def result(handle: Any) -> Any:
    return huey.result(handle.id, blocking=True, timeout=60, preserve=True)  # a handle keeps what it has fetched
