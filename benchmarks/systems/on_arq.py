"""arq."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import work
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.jobs import Job
from arq.worker import Function, func

SETTINGS = RedisSettings.from_dsn(work.REDIS)
LOGGING = {"version": 1, "loggers": {"arq": {"level": "WARNING"}}}
"""arq logs two lines a job by default."""
_pools: list[ArqRedis] = []


def _task(name: str, body: Callable[..., Coroutine[Any, Any, Any]]) -> Function:
    async def run(ctx: dict[str, Any], *args: Any) -> Any:
        return await body(*args)

    return func(run, name=name)


async def burn(ctx: dict[str, Any], sent: float, rounds: int) -> int:
    return await asyncio.get_running_loop().run_in_executor(ctx["processes"], work.burn, sent, rounds)


async def _start(ctx: dict[str, Any]) -> None:
    ctx["processes"] = ProcessPoolExecutor(2)


# A job is picked by polling: the shorter the delay, the sooner.
quick: dict[str, Any] = {
    "redis_settings": SETTINGS,
    "functions": [
        _task("noop", work.anoop),
        _task("take", work.atake),
        _task("stamp", work.astamp),
        _task("nap", work.anap),
        _task("anap", work.anap),
    ],
    "keep_result": 3600 if work.RESULTS else 0,
    "poll_delay": 0.01,
    "max_jobs": 100,
}
waiting = {**quick, "max_jobs": 1000}
calculating = {
    **quick,
    "queue_name": "arq:cpu",
    "functions": [func(burn, name="burn")],
    "max_jobs": 4,
    "on_startup": _start,
}


async def _pool() -> ArqRedis:
    if not _pools:
        _pools.append(await create_pool(SETTINGS))
    return _pools[0]


async def asend(task: str, *args: Any) -> Job | None:
    queue = calculating["queue_name"] if task == "burn" else None
    return await (await _pool()).enqueue_job(task, *args, _queue_name=queue)


async def aresult(job: Job) -> Any:
    return await job.result(60, poll_delay=0.01)
