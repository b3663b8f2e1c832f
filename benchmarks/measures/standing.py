"""What a worker costs that has nothing to do, and how soon it is there."""

from __future__ import annotations

import time

from benchmarks.catalogue import System
from benchmarks.lab import lab

Numbers = dict[str, float]
IDLE = 60.0


def idle(system: System) -> Numbers:
    """Memory of a worker that has run a few jobs, and the CPU that it and Redis use in a minute of nothing."""
    with lab(system) as place, place.working() as workers:
        place.drive("roundtrips", count=1)
        time.sleep(2)
        worker, redis = workers.cpu(), place.redis_cpu()
        time.sleep(IDLE)
        return {
            "idle_pss_mb": workers.pss(),
            "idle_cpu_percent": 100 * (workers.cpu() - worker) / IDLE,
            "idle_redis_percent": 100 * (place.redis_cpu() - redis) / IDLE,
        }


def start(system: System) -> Numbers:
    """From the start of the worker's command to the start of a job that is in line."""
    with lab(system) as place:
        place.fill(1, "stamp", 0.0)
        with place.working() as workers:
            started = min(note.started for note in place.notes(1, workers))  # some run it twice
            return {"start_seconds": started - workers.began}
