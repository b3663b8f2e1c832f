"""Bounded queues and weights with real workers."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskq import TaskQ
from taskq.broker import calls
from taskq.broker.broker import Broker
from tests.process import jobs
from tests.support.journal import Journal
from tests.support.workers import worker

PATIENCE = 30.0
ROOM = 4


@pytest.fixture
def small(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> str:
    """A queue that has little room."""
    declared = TaskQ()
    monkeypatch.setattr(jobs.app, "queues", declared.queues)
    return declared.queue("small", max_length=ROOM)


def length(broker: Broker) -> int:
    return sum(row.ready for row in broker.run(calls.overview()) if row.name == "small")


def test_a_producer_goes_on_when_a_worker_takes_a_job_from_a_full_queue(
    broker: Broker, small: str, redis_url: str, tmp_path: Path
) -> None:
    os.mkfifo(gate := tmp_path / "gate")
    hold, add = jobs.hold.options(queue=small), jobs.add.options(queue=small)
    with ThreadPoolExecutor(1) as thread, worker(redis_url, "--queues", small, "--procs", "1", "--threads", "1"):
        held = hold.enqueue(str(gate))
        while held.status() != "running":
            pass
        sums = add.enqueue_many([(n, n) for n in range(ROOM)])
        late = thread.submit(add.enqueue, 100, 100)
        rooms = jobs.app.rooms
        with rooms._changed:
            assert rooms._changed.wait_for(lambda: rooms._waiting[small], PATIENCE)
        assert length(broker) == ROOM
        gate.write_bytes(b"")
        assert jobs.app.gather([*sums, late.result(PATIENCE)], PATIENCE) == [0, 2, 4, 6, 200]


def test_a_line_is_never_longer_than_its_bound_and_nothing_in_it_is_lost_or_runs_twice(
    broker: Broker, small: str, redis_url: str, journal: Journal
) -> None:
    nap = jobs.nap.options(queue=small)
    longest, over = 0, threading.Event()

    def look() -> None:
        nonlocal longest
        while not over.is_set():
            longest = max(longest, length(broker))

    with ThreadPoolExecutor(4) as threads, worker(redis_url, "--queues", small, "--procs", "2", "--threads", "2"):
        looking = threads.submit(look)
        sent = [threads.submit(nap.enqueue_many, [(0.001,)] * 100) for _ in range(3)]
        naps = [job for sending in sent for job in sending.result(PATIENCE)]
        jobs.app.gather(naps, PATIENCE)
        over.set()
        looking.result(PATIENCE)
    assert longest == ROOM
    assert Counter(entry.job for entry in journal.entries("nap")) == {job.id: 1 for job in naps}


def test_a_worker_serves_queues_by_their_weights(broker: Broker, redis_url: str, journal: Journal) -> None:
    naps = {
        name: {job.id for job in jobs.nap.options(queue=name).enqueue_many([(0.001,)] * 700)} for name in ("a", "b")
    }
    with worker(redis_url, "--queues", "a=6,b=1", "--procs", "1", "--threads", "4"):
        journal.wait_for("nap", 700)
    first = [entry.job for entry in journal.entries("nap")[:490]]
    assert sum(job in naps["b"] for job in first) == pytest.approx(70, abs=20)  # a claim has some 80 jobs in its order
