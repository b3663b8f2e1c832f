"""SAQ on Redis."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import work
from saq import Job, Queue

POLL = 0.01
queue = Queue.from_url(work.REDIS, name="default")
cpu = Queue.from_url(work.REDIS, name="cpu")
bodies: dict[str, Callable[..., Any]] = {
    "noop": work.anoop,
    "take": work.atake,
    "stamp": work.astamp,
    "nap": work.anap,
    "anap": work.anap,
    "burn": work.burn,
}
names = {task: tuple(inspect.signature(body).parameters) for task, body in bodies.items()}
# A job whose worker dies is run again only if it has a second try.
options = {"retries": 2, "ttl": 600 if work.RESULTS else -1}


def _task(name: str) -> tuple[str, Callable[..., Any]]:
    body = bodies[name]

    async def run(ctx: Any, **kwargs: Any) -> Any:
        return await body(**kwargs)

    def calculate(ctx: Any, **kwargs: Any) -> Any:
        return body(**kwargs)

    return name, run if inspect.iscoroutinefunction(body) else calculate


quick = {"queue": queue, "functions": [_task(name) for name in bodies], "concurrency": 32}
waiting = {**quick, "concurrency": 1000}
calculating = {**quick, "queue": cpu, "concurrency": 2}


async def asend(task: str, *args: Any) -> Job | None:
    of = cpu if task == "burn" else queue
    return await of.enqueue(task, **dict(zip(names[task], args, strict=True)), **options)


async def aresult(job: Job) -> Any:
    # As Queue.apply does; job.refresh(until_complete) misses a job that ends before it has subscribed.
    while not job.completed:
        await job.refresh()
        if not job.completed:
            await asyncio.sleep(POLL)
    return job.result


async def aresults(jobs: Sequence[Job]) -> list[Any]:
    """As Queue.map does."""
    found: dict[str, Any] = {}
    while left := [job.key for job in jobs if job.key not in found]:
        found |= {job.key: job.result for job in await queue.jobs(left) if job and job.completed}
        if len(found) < len(jobs):
            await asyncio.sleep(POLL)
    return [found[job.key] for job in jobs]
