"""taskiq on Redis streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import taskiq
import work
from taskiq import AsyncTaskiqTask
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

broker = RedisStreamBroker(work.REDIS)
if work.RESULTS:
    broker.with_result_backend(RedisAsyncResultBackend(work.REDIS, result_ex_time=600))
tasks = {
    "noop": broker.task(task_name="noop")(work.anoop),
    "take": broker.task(task_name="take")(work.atake),
    "stamp": broker.task(task_name="stamp")(work.astamp),
    "nap": broker.task(task_name="nap")(work.anap),
    "anap": broker.task(task_name="anap")(work.anap),
    "burn": broker.task(task_name="burn")(work.burn),
}
_started: list[bool] = []


async def asend(task: str, *args: Any) -> AsyncTaskiqTask[Any]:
    if not _started:
        _started.append(True)
        await broker.startup()
    return await tasks[task].kiq(*args)


async def aresult(handle: AsyncTaskiqTask[Any]) -> Any:
    return (await handle.wait_result(check_interval=0.01, timeout=60)).return_value


async def aresults(handles: Sequence[AsyncTaskiqTask[Any]]) -> list[Any]:
    found = await taskiq.gather(*handles, timeout=60, periodicity=0.01)
    return [each.return_value for each in found]
