"""What a bench has measured, as frozen records. Times are in seconds, CPU in seconds of one core, memory in bytes.

What Redis or this machine does not tell is None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long something took, over `samples` times."""

    samples: int
    p50: float
    p99: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(
        samples=len(values), p50=percentile(values, 0.50), p99=percentile(values, 0.99), most=percentile(values, 1.0)
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The least of `values` that at least `share` of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The Redis. `url` is masked; `local`: it shares this machine's cores."""

    url: str
    version: str | None
    local: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Workforce:
    """The worker: its processes, the threads of each, the cores that it may use; `memory` when the drain was over."""

    processes: int
    threads: int
    cores: int
    memory: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """Jobs enqueued one by one: how long each call took, and how many went in a second."""

    took: Spread
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """`jobs` enqueued in bulk in `seconds`; `memory`: of Redis for each of them while it waited in line."""

    jobs: int
    seconds: float
    memory: float | None

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """`jobs` run until each had a stored outcome, in `seconds`, and the CPU that it took.

    `redis_cpu` is that of the server's main thread, which carries out all commands; `machine_cpu` that of everything
    that ran on this machine.
    """

    jobs: int
    seconds: float
    redis_cpu: float | None
    worker_cpu: float | None
    machine_cpu: float | None

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds

    def cores(self, cpu: float | None) -> float | None:
        """How many cores `cpu` kept busy."""
        return None if cpu is None else cpu / self.seconds

    def a_job(self, cpu: float | None) -> float | None:
        """`cpu` for each job."""
        return None if cpu is None else cpu / self.jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All of it. `start`: from before `enqueue` to the start of the job on an idle worker; `result`: to its result."""

    redis: Server
    worker: Workforce
    ping: Spread
    single: Single
    start: Spread
    result: Spread
    bulk: Bulk
    drain: Drain
