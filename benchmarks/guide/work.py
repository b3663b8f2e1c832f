"""What the guide's table measures besides its examples: jobs that differ in nothing but how long they take."""

from __future__ import annotations

import asyncio
import time

from examples.guide import etl, logs
from examples.guide.primes import count
from taskq import TaskQ

app = TaskQ(executor_modules=[__name__])


@app.task(retries=0)
async def anap(seconds: float) -> None:
    """A light request: nothing but waiting."""
    await asyncio.sleep(seconds)


def nap(seconds: float) -> None:
    time.sleep(seconds)


def spin(top: int) -> int:
    """Pure Python: `top` = 6,500 takes some 5 ms."""
    return count(0, top)


def square(x: int) -> int:
    return x * x


# Tasks, as a pool of processes can be given them: by their functions' names


def by_month(report: str) -> list[tuple[str, str, int]]:
    return etl.by_month(report)


def count_statuses(path: str) -> dict[str, int]:
    return logs.count_statuses(path)
