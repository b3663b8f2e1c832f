"""The app of the storm. Every execution is noted, apart from Redis, and a result says which execution it is of."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from taskq import TaskQ, current_job
from taskq.ids import named_id, show
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
        job = current_job()
        if job is not None and job.attempt <= failures:
            raise ValueError(f"attempt {job.attempt}")
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
