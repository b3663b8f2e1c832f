"""The app of the storm. Every execution is noted, apart from Redis, and a result says which execution it is of."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from taskq import TaskQ, current_job
from taskq.errors import BrokerError
from taskq.ids import named_id, show
from taskq.job import Job
from taskq.tasks import Task
from tests.faults import journals

app = TaskQ()
BRIEF = 0.05
"""Ceiling of the backoff of tasks that fail, in seconds."""
KEPT = "30d"
"""The server's clock may jump by hours: results are for the judge, and must not expire."""


@contextmanager
def execution(token: str) -> Iterator[str]:
    """Notes when it begins and ends; gives its name."""
    job = current_job()
    assert job is not None
    serial = journals.begin(token, show(named_id(job.id)), job.attempt, job.fence)
    try:
        yield journals.name_of(os.getpid(), serial)
    finally:
        journals.note("end", serial)


@app.task(result_ttl=KEPT)
def quick(token: str) -> str:
    with execution(token) as name:
        return name


@app.task(result_ttl=KEPT)
def nap(token: str, seconds: float) -> str:
    with execution(token) as name:
        time.sleep(seconds)
        return name


@app.task(retries=3, backoff=BRIEF, result_ttl=KEPT)
def stumble(token: str, failures: int) -> str:
    """Fails so many times, then returns; more than 3 are its death."""
    with execution(token) as name:
        fail(failures)
        return name


@app.task(pool="cpu", result_ttl=KEPT)
def spin(token: str, seconds: float) -> str:
    with execution(token) as name:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass
        return name


@app.task(result_ttl=KEPT)
async def anap(token: str, seconds: float) -> str:
    with execution(token) as name:
        await asyncio.sleep(seconds)
        return name


# Families: jobs that enqueue others and wait for them. A child's id is made of its parent's: whoever runs the parent
# again enqueues the same children.

CHILDREN = 3


@app.task(retries=3, backoff=BRIEF, result_ttl=KEPT)
def mother(token: str, depth: int, failures: int) -> str:
    """Waits for her children, which have children down to `depth`; then she fails so many times, and returns."""
    with execution(token) as name:
        born = [(child, _born(child, task, args)) for child, task, args in children(token, depth)]
        way = Random(token).choice([_one_by_one, _together, _as_they_come])
        for child, told in way(born):
            journals.note("heard", name, child, told)
        fail(failures)
        return name


@app.task(retries=3, backoff=BRIEF, result_ttl=KEPT)
async def amother(token: str, depth: int, failures: int) -> str:
    with execution(token) as name:
        for child, task, args in children(token, depth):
            journals.note("intent", child)
            job = await task.options(job_id=child).aenqueue(child, *args)
            journals.note("ack", child, show(job.raw))
            with _unless_dead():
                journals.note("heard", name, child, await job.aresult())
        fail(failures)
        return name


def fail(failures: int) -> None:
    job = current_job()
    if job is not None and job.attempt <= failures:
        raise ValueError(f"attempt {job.attempt}")


def children(token: str, depth: int) -> Iterator[tuple[str, Task[..., Any], tuple[Any, ...]]]:
    """Their tokens, tasks and further arguments: the same whenever they are asked for."""
    chance = Random(f"children of {token}")
    for number in range(CHILDREN):
        grown = [(mother, (depth - 1, chance.choice((0, 0, 1)))), (amother, (depth - 1, 0))]
        small: list[tuple[Any, tuple[Any, ...]]] = [
            (quick, ()),
            (nap, (chance.uniform(0.0, 0.05),)),
            (anap, (chance.uniform(0.0, 0.05),)),
            (spin, (0.002,)),
            (stumble, (chance.choice((1, 2, 4)),)),
        ]
        task, args = chance.choice(grown if number == 0 and depth > 1 else small)
        yield f"{token}.{number}", task, args


def _born(child: str, task: Task[..., Any], args: tuple[Any, ...]) -> Job[str]:
    journals.note("intent", child)
    job: Job[str] = task.options(job_id=child).enqueue(child, *args)
    journals.note("ack", child, show(job.raw))
    return job


@contextmanager
def _unless_dead() -> Iterator[None]:
    """A child may die; not to reach Redis is a failure of who waits."""
    try:
        yield
    except BrokerError:
        raise
    except Exception:
        return


Born = list[tuple[str, Job[str]]]
Heard = Iterable[tuple[str, str]]


def _one_by_one(born: Born) -> Heard:
    for child, job in born:
        with _unless_dead():
            yield child, job.result()


def _together(born: Born) -> Heard:
    results = app.gather([job for _, job in born], return_exceptions=True)
    return [(child, told) for (child, _), told in zip(born, results, strict=True) if isinstance(told, str)]


def _as_they_come(born: Born) -> Heard:
    tokens = {job: child for child, job in born}
    for job in app.as_completed(list(tokens)):
        with _unless_dead():
            yield tokens[job], job.result()
