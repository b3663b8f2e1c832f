"""How fast a worker gets through jobs that are already in line, and what that costs."""

from __future__ import annotations

from benchmarks.catalogue import System
from benchmarks.lab import Lab, Workers, lab

Numbers = dict[str, float]


def drain(system: System) -> Numbers:
    """No-op jobs, their results stored; what a queued job takes in Redis; memory of the worker afterwards."""
    with lab(system) as place:
        place.drive("one_by_one", count=1)
        place.redis.flushall()
        empty = place.redis_memory()
        place.fill(system.jobs)
        queued = (place.redis_memory() - empty) / system.jobs
        with place.working() as workers:
            numbers = rate(place, workers, system.jobs, results=system.jobs)
            return {**numbers, "queued_bytes": queued, "pss_after_mb": workers.pss()}


def drain_without_results(system: System) -> Numbers:
    """No-op jobs of which nothing is stored."""
    with lab(system, results=False) as place:
        place.fill(system.jobs)
        with place.working() as workers:
            return {f"bare_{name}": value for name, value in rate(place, workers, system.jobs).items()}


def rate(place: Lab, workers: Workers, jobs: int, *, left: int = 0, results: int = 0) -> Numbers:
    """From the first acknowledged job until `left` are pending: jobs a second, CPU microseconds a job."""
    first = place.wait_for_first(workers, jobs + left)
    done = jobs + left - place.pending()
    worker, redis = workers.cpu(), place.redis_cpu()
    end = place.wait_until_done(workers, results=results, left=left)
    worker, redis = workers.cpu() - worker, place.redis_cpu() - redis
    share = 1e6 / (jobs - done)
    return {
        "drain_rate": (jobs - done) / (end - first),
        "drain_worker_us": worker * share,
        "drain_redis_us": redis * share,
        "drain_us": (worker + redis) * share,
    }
