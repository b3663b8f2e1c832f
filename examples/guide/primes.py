"""Counting primes on all cores: pure Python, so a process for each of them.

    python -m examples.guide.primes

But for the app and its executor this is the program for a `ProcessPoolExecutor`. A call counts in a range: one for each
number would spend its time on the way.
"""

from __future__ import annotations

from concurrent.futures import Executor
from math import isqrt

from examples.guide.processes import beside_a_worker
from taskq import TaskQ

LIMIT, STEP = 200_000, 25_000
app = TaskQ(executor_modules=[__name__])


def count(start: int, stop: int) -> int:
    """How many primes there are from `start` to below `stop`, by trial division."""
    return sum(all(n % divisor for divisor in range(2, isqrt(n) + 1)) for n in range(max(2, start), stop))


def count_all(executor: Executor, limit: int) -> int:
    """How many there are below `limit`. What takes longest comes first: so no core stands idle at the end."""
    starts = range(limit - STEP, -1, -STEP)
    return sum(executor.map(count, starts, [start + STEP for start in starts]))


if __name__ == "__main__":
    with beside_a_worker(app, "examples.guide.primes"), app.executor(pool="cpu") as pool:
        print(f"{count_all(pool, LIMIT):,} primes below {LIMIT:,}")
