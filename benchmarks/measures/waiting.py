"""Jobs that wait, on threads and on event loops."""

from __future__ import annotations

from benchmarks.catalogue import System
from benchmarks.lab import lab, span

Numbers = dict[str, float]
NAP = 0.02
THREADS = 2 * 16


def threads(system: System) -> Numbers:
    """20 ms of waiting in 2 x 16 threads, as a share of the ideal 1,600 jobs a second."""
    if "io" not in system.lanes:
        return {}
    jobs = 4800
    with lab(system) as place:
        place.fill(jobs, "nap", 0.0, NAP)
        with place.working("io") as workers:
            notes = place.notes(jobs, workers)
    return {"io_share": 100 * jobs / span(notes) / (THREADS / NAP)}


def coroutines(system: System) -> Numbers:
    """20 ms of waiting on event loops, jobs a second; and 10,000 jobs of 1 s, 1,000 at a time in 2 processes each."""
    if "async" not in system.lanes:
        return {}
    with lab(system) as place:
        place.fill(10_000, "anap", 0.0, NAP)
        with place.working("async") as workers:
            rate = 10_000 / span(place.notes(10_000, workers))
    with lab(system) as place:
        place.fill(10_000, "anap", 0.0, 1.0)
        with place.working("async") as workers:
            seconds = span(place.notes(10_000, workers))
    return {"async_rate": rate, "async_seconds": seconds}
