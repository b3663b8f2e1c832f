"""Work going on, for a test to disturb: clients, a worker and a journal on one server; then the promises checked.

with at_work(server.url) as scene:
    crash(server)
    scene.settle()
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import pytest

from taskq.broker.broker import PATIENCE, Broker
from taskq.job import Job
from tests.process import jobs
from tests.support.census import Census, one_place, take_census
from tests.support.journal import Journal
from tests.support.producer import Producer, Waiter
from tests.support.workers import Worker, worker

WAIT = 60
FLAGS = ("--procs", "2", "--threads", "8", "--lease", "2")
_STAYS = {"result", "queues", "levels", "stats", "clock", "wake", "schema", "profiles"}
"""Rows that hold something when there is no work: outcomes until their TTL, names, counters, a silent bell or not."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What goes on. `settle` ends it."""

    broker: Broker
    journal: Journal
    worker: Worker
    producer: Producer
    waiter: Waiter

    def settle(self, missing: Collection[bytes] = (), undone: Collection[bytes] = ()) -> list[Job[float]]:
        """Let more jobs run, stop everything, and check the promises; the answer is what was acknowledged.

        Jobs of `missing` may have no outcome, those of `undone` may have run more often than once: their enqueue, or
        a later move, was lost by Redis itself.
        """
        self.journal.wait_for("nap", len(self.journal.entries("nap")) + 20)
        acknowledged = self.producer.stop()
        kept = [job for job in acknowledged if job.raw not in missing]
        got = self.waiter.finish(WAIT)
        assert {got[job.raw] for job in kept} == {self.producer.seconds}
        self.worker.signal(signal.SIGTERM)
        assert self.worker.end() == 0
        exempt = {job.id for job in acknowledged if job.raw in undone}
        assert self.repeated() - exempt == set()
        found = take_census(self.broker)
        assert one_place(found) == []
        assert left_over(found) == {}
        assert {job.raw for job in kept} <= {rest.encode("latin-1") for rest in found["result"]}
        return acknowledged

    def repeated(self) -> set[str]:
        """Ids of the jobs that have run more often than once."""
        runs = Counter(entry.job for entry in self.journal.entries("nap"))
        return {job for job, times in runs.items() if times > 1}


def left_over(census: Census) -> Census:
    """What should be gone when there is neither work nor a worker."""
    return {row: found for row, found in census.items() if found and row not in _STAYS}


@contextmanager
def at_work(
    url: str,
    *flags: str,
    every: float = 0.005,
    patience: float = PATIENCE,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Scene]:
    """A worker that runs what a producer enqueues `every` so many seconds; at least 20 jobs have started.

    `patience`: seconds for which an enqueue waits for a Redis that went away. `environ`: the worker's.
    """
    broker = Broker(url)
    broker.patience = patience
    with TemporaryDirectory(prefix="taskq-") as folder, pytest.MonkeyPatch.context() as patch:
        journal = Journal(Path(folder))
        for name, value in journal.environ.items():
            patch.setenv(name, value)
        jobs.app.use(broker)
        try:
            with worker(url, *(flags or FLAGS), **environ) as started, Producer(every=every) as producer:
                journal.wait_for("nap", 20)
                waiter = Waiter(producer.on_its_way)
                waiter.start()
                yield Scene(broker, journal, started, producer, waiter)
        finally:
            jobs.app.close()
            journal.close()
