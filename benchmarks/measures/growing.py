"""Does it stay as fast when there is much of everything?"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from benchmarks.catalogue import System
from benchmarks.lab import Lab, lab
from benchmarks.measures.draining import rate
from taskq.broker import calls
from taskq.broker.broker import Broker

Numbers = dict[str, float]
LITTLE, MUCH, WORKERS = 10_000, 1_000_000, 1_000
LEASE = 15.0
PAYLOADS = {"100b": (100, 1.0), "10kb": (10_000, 0.25), "400kb": (400_000, 0.005)}
"""Bytes, and the share of a system's usual number of jobs that is enqueued with as many."""


def waiting(system: System) -> Numbers:
    """Enqueue one by one, and drain as many as always, while 10,000 or 1,000,000 others wait behind."""
    numbers: Numbers = {}
    for name, behind in (("10k", LITTLE), ("1m", MUCH)):
        with lab(system) as place:
            place.fill(behind)
            numbers[f"waiting_{name}_enqueue_rate"] = place.drive("one_by_one", count=3000)["rate"]
            jobs = max(0, system.jobs + behind - place.pending())
            place.fill(jobs)
            with place.working() as workers:
                found = rate(place, workers, place.pending() - behind, left=behind)
            numbers[f"waiting_{name}_drain_rate"] = found["drain_rate"]
    numbers["waiting_drain_share"] = numbers["waiting_1m_drain_rate"] / numbers["waiting_10k_drain_rate"]
    return numbers


def delayed(system: System) -> Numbers:
    """Enqueue and drain beside 1,000,000 jobs that are due in a day."""
    with lab(system) as place:
        if not place.drive("later", count=MUCH, delay=86_400):
            return {}
        before = place.pending()
        enqueue = place.drive("one_by_one", count=3000)["rate"]
        place.fill(system.jobs)
        with place.working() as workers:
            found = rate(place, workers, place.pending() - before, left=before)
    return {"delayed_1m_enqueue_rate": enqueue, "delayed_1m_drain_rate": found["drain_rate"]}


def connected(system: System) -> Numbers:
    """Enqueue and drain while 1,000 other workers are connected and have nothing to do."""
    with lab(system) as place, _idle_workers(place):
        enqueue = place.drive("one_by_one", count=3000)["rate"]
        place.fill(system.jobs)
        with place.working() as workers:
            found = rate(place, workers, place.pending())
    return {"connected_1k_enqueue_rate": enqueue, "connected_1k_drain_rate": found["drain_rate"]}


def payloads(system: System) -> Numbers:
    """Enqueue and drain jobs with arguments of 100 B, 10 kB and 400 kB."""
    numbers: Numbers = {}
    for name, (size, share) in PAYLOADS.items():
        with lab(system) as place:
            jobs = max(500, int(system.jobs * share))
            numbers[f"payload_{name}_enqueue_rate"] = place.drive("one_by_one", count=min(2000, jobs), size=size)[
                "rate"
            ]
            place.fill(jobs, "take", size=size)
            with place.working() as workers:
                found = rate(place, workers, place.pending())
            numbers[f"payload_{name}_drain_rate"] = found["drain_rate"]
    return numbers


@contextmanager
def _idle_workers(place: Lab) -> Iterator[None]:
    """Stand-ins for workers without work: connections that block in BLPOP.

    Those of taskq hold leases, which somebody renews, and listen to the doorbells of lanes that get no jobs here.
    Those of a peer wait for a list of their own, as its workers of another queue would.
    """
    broker, over = Broker(place.url), threading.Event()
    epochs = [f"idle-{number}" for number in range(WORKERS)] if place.system.name == "taskq" else []
    for epoch in epochs:
        broker.run(calls.register(epoch, LEASE, {"host": "idle"}))
    port = int(place.redis.connection_pool.connection_kwargs["port"])
    doors = [socket.create_connection(("127.0.0.1", port)) for _ in range(WORKERS)]
    for number, door in enumerate(doors):
        keys = [f"bench-idle-{number}"]
        if epochs:
            keys = ["{taskq}:poke:" + epochs[number], "{taskq}:wake:default:cpu", "{taskq}:wake:default:async"]
        words = ["BLPOP", *keys, "0"]
        door.sendall("".join([f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]).encode())
    beating = threading.Thread(target=_beat, args=(broker, epochs, over))
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
        for door in doors:
            with suppress(OSError):
                door.close()
        broker.close()


def _beat(broker: Broker, epochs: list[str], over: threading.Event) -> None:
    while epochs and not over.wait(LEASE / 5):
        broker.run(calls.heartbeat(LEASE, LEASE * 3 / 5, dict.fromkeys(epochs, b"")))
