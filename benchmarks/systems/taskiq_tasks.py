"""What taskiq on lists and taskiq on streams share: tasks, sending, waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import taskiq
import work
from taskiq import AsyncBroker, AsyncTaskiqTask
from taskiq_redis import RedisAsyncResultBackend


class Producer:
    """Sends tasks by `broker`, which it has start up with the first of them."""

    def __init__(self, broker: AsyncBroker):
        self.broker = broker
        if work.RESULTS:
            broker.with_result_backend(RedisAsyncResultBackend(work.REDIS, result_ex_time=600))
        functions = {
            "noop": work.anoop,
            "take": work.atake,
            "stamp": work.astamp,
            "nap": work.anap,
            "anap": work.anap,
            "burn": work.burn,
        }
        self._tasks: dict[str, Any] = {name: broker.task(task_name=name)(run) for name, run in functions.items()}
        self._started = False

    async def asend(self, task: str, *args: Any) -> AsyncTaskiqTask[Any]:
        if not self._started:
            self._started = True
            await self.broker.startup()
        return await self._tasks[task].kiq(*args)

    async def aresult(self, handle: AsyncTaskiqTask[Any]) -> Any:
        return (await handle.wait_result(check_interval=0.01, timeout=60)).return_value

    async def aresults(self, handles: Sequence[AsyncTaskiqTask[Any]]) -> list[Any]:
        found = await taskiq.gather(*handles, timeout=60, periodicity=0.01)
        return [each.return_value for each in found]
