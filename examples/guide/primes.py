"""Counting primes on all cores: pure Python, so a process for each of them.

    python -m examples.guide.primes

But for the app and its executor this is the program for a `ProcessPoolExecutor`. One call takes microseconds, a job on
its way some tens of them: so a job makes 5,000 calls (`chunksize`).
"""

from __future__ import annotations

from concurrent.futures import Executor
from math import isqrt

from examples.guide.processes import beside_a_worker
from taskq import TaskQ

LIMIT, CHUNK = 200_000, 5_000
app = TaskQ(executor_modules=[__name__])


def is_prime(n: int) -> bool:
    """By trial division."""
    return n > 1 and all(n % divisor for divisor in range(2, isqrt(n) + 1))


def count(executor: Executor, limit: int) -> int:
    """How many primes there are below `limit`. The last, the longest, come first: so no core stands idle at the end."""
    return sum(executor.map(is_prime, range(limit - 1, -1, -1), chunksize=CHUNK))


if __name__ == "__main__":
    with beside_a_worker(app, "examples.guide.primes"), app.executor(pool="cpu") as pool:
        print(f"{count(pool, LIMIT):,} primes below {LIMIT:,}")
