"""The tasks that the benchmarks run."""

from __future__ import annotations

import time

from taskq import TaskQ

app = TaskQ()


@app.task
def noop() -> None:
    pass


@app.task
def lateness(enqueued: float) -> float:
    """Seconds from `enqueued` (monotonic) to now; then 2 ms of waiting."""
    late = time.monotonic() - enqueued
    time.sleep(0.002)
    return late


@app.task(pool="cpu", retries=0)
def spin(seconds: float) -> None:
    """Pure Python for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
