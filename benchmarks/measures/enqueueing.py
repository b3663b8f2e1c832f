"""How fast a producer is: alone, in bulk, from threads and from coroutines."""

from __future__ import annotations

from benchmarks.catalogue import System
from benchmarks.lab import lab

Numbers = dict[str, float]


def enqueue(system: System) -> Numbers:
    """Jobs a second that reach Redis, with no worker about."""
    with lab(system) as place:
        alone = place.drive("one_by_one", count=6000)
        bulk = place.drive("bulk", count=60_000)
        threads = place.drive("from_threads", count=8000, threads=8)
        coroutines = place.drive("concurrent", count=8000, coroutines=100)
    numbers = {"enqueue_rate": alone["rate"], "enqueue_us": alone["cpu_us"]}
    for name, found in (("enqueue_many_rate", bulk), ("enqueue_threads_rate", threads), ("aenqueue_rate", coroutines)):
        numbers |= {name: found["rate"]} if found else {}
    return numbers
