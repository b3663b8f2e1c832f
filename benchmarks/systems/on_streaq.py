"""streaQ."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import coredis
import work
from streaq import Worker
from streaq.task import Task

coredis.Config.optimized = True
_uvloop: dict[str, Any] = {"anyio_kwargs": {"use_uvloop": True}}
_options: dict[str, Any] = {"silent": True, "ttl": 300 if work.RESULTS else 0}


def _worker(concurrency: int) -> Worker[None]:
    made = Worker[None](work.REDIS, concurrency=concurrency, **_uvloop)
    for name, body in (
        ("noop", work.anoop),
        ("take", work.atake),
        ("stamp", work.astamp),
        ("nap", work.anap),
        ("anap", work.anap),
    ):
        made.task(name=name, **_options)(body)
    return made


quick = _worker(32)
waiting = _worker(1000)
calculating = Worker[None](work.REDIS, queue_name="cpu", concurrency=2, prefetch=1, **_uvloop)
calculating.task(name="burn", **_options)(work.burn)
_connected: set[asyncio.Task[None]] = set()


async def _connect() -> None:
    """Keep both workers' connections until the loop ends: they belong to the task that opened them."""
    ready = asyncio.Event()

    async def hold() -> None:
        async with quick, calculating:
            ready.set()
            await asyncio.Event().wait()

    _connected.add(asyncio.create_task(hold()))
    await ready.wait()


def _made(task: str, args: tuple[Any, ...]) -> Task[Any, Any]:
    return (calculating if task == "burn" else quick).registry[task].enqueue(*args)


async def asend(task: str, *args: Any) -> Task[Any, Any]:
    if not _connected:
        await _connect()
    return await _made(task, args)


async def asend_many(task: str, rows: Sequence[tuple[Any, ...]]) -> list[Task[Any, Any]]:
    if not _connected:
        await _connect()
    made = [_made(task, row) for row in rows]
    await (calculating if task == "burn" else quick).enqueue_many(made)
    return made


async def aresult(task: Task[Any, Any]) -> Any:
    return (await task.result(60)).result


async def aresults(tasks: Sequence[Task[Any, Any]]) -> list[Any]:
    # Each waits on a connection of its own, and the pool has 64: with none left for asking they would wait forever.
    found = []
    for start in range(0, len(tasks), 32):
        found += await asyncio.gather(*map(aresult, tasks[start : start + 32]))
    return found
