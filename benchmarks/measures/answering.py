"""How soon an idle worker starts a job, and how soon its producer has the result."""

from __future__ import annotations

from benchmarks.catalogue import System
from benchmarks.lab import lab
from taskq.cli.bench.figures import percentile

Numbers = dict[str, float]
STAMPS = 400


def latency(system: System) -> Numbers:
    """One job now and then: from before `enqueue` to its start, and to its result."""
    with lab(system, awaited=True) as place, place.working() as workers:
        place.drive("stamps", count=STAMPS, gap=0.01)
        late = [1000 * note.late for note in place.notes(STAMPS + 20, workers) if note.sent]
        back = place.drive("roundtrips", count=200)
    return {
        "start_p50_ms": percentile(late, 0.5),
        "start_p99_ms": percentile(late, 0.99),
        "start_max_ms": max(late),
        "result_p50_ms": 1000 * back["p50"],
        "result_p99_ms": 1000 * back["p99"],
    }


def gathering(system: System) -> Numbers:
    """10,000 results, fewer of slow systems: from enqueueing the jobs to the last result, and once more when stored."""
    with lab(system, awaited=True) as place, place.working():
        place.drive("roundtrips", count=10)
        found = place.drive("gather", count=min(10_000, system.jobs))
    return {"gather_work_rate": found["with_work"], "gather_rate": found["stored"]}
