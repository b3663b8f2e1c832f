"""The app of the soak. Its results are kept for seconds, so that Redis comes to a steady state."""

from __future__ import annotations

import asyncio
import os
import time

from taskq import Retry, TaskQ, current_job

KEPT = 5.0
"""Seconds that results stay."""
LEAK, PRODUCES = "TASKQ_SOAK_LEAK", "TASKQ_SOAK_PRODUCES"
"""In the environment: what leaks, "" for nothing; and whether this process is the producer."""
LEAKED_BYTES = 2048

app = TaskQ()
_leak = os.environ.get(LEAK, "")
_memory: list[bytes] = []
_files: list[int] = []


class Refused(Exception):
    """What hopeless jobs die of."""


app.register_exceptions(Refused)


@app.task(result_ttl=86400 if _leak == "keys" else KEPT)
def quick(number: int) -> int:
    if _leak == "memory":
        _memory.append(bytes([number % 256]) * LEAKED_BYTES)
    if _leak == "files":
        _files.append(os.open(os.devnull, os.O_RDONLY))
    return number


@app.task(result_ttl=KEPT, timeout=30)
def limited(number: int) -> int:
    time.sleep(0.005)
    return number


@app.task(result_ttl=KEPT)
def echo(value: bytes) -> bytes:
    return value


@app.task(result_ttl=KEPT, pool="cpu")
def count(rounds: int) -> int:
    return sum(range(rounds))


@app.task(result_ttl=KEPT, timeout=30)
async def anap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@app.task(result_ttl=KEPT, retries=3, backoff=0.05)
def third_time_lucky() -> int:
    job = current_job()
    assert job is not None
    if job.attempt < 3:
        raise KeyError(job.attempt)
    return job.attempt


@app.task(result_ttl=KEPT, retries=1)
def ask_again() -> int:
    job = current_job()
    assert job is not None
    if job.attempt == 1:
        raise Retry("not yet", delay=0.5)
    return job.attempt


@app.task(result_ttl=KEPT, retries=0)
def hopeless() -> None:
    raise Refused("no")


@app.task(result_ttl=KEPT, timeout=0.05, retries=0)
def too_slow() -> None:
    end = time.monotonic() + 2
    while time.monotonic() < end:
        time.sleep(0.005)


if os.environ.get(PRODUCES):

    @app.task(result_ttl=KEPT)
    def unknown_to_workers() -> None:
        """Parked by every worker."""
