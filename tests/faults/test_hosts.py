"""Hosts that vanish, freeze and die: nothing is lost, nothing has two outcomes, and their jobs start again in time.

TASKQ_HOST_LEASE sets the lease of these workers in seconds (default 2), to measure with the one that is used.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from taskq.broker.broker import Broker
from taskq.broker.connection import READ_TIMEOUT
from taskq.config import WorkerSettings
from taskq.job import Job
from taskq_workers.exchange import BLOCK, PATIENCE
from tests.faults.hosts import Host, Site, site
from tests.process import jobs
from tests.support.census import one_place, take_census
from tests.support.journal import Journal
from tests.support.scene import left_over
from tests.support.workers import Worker

LEASE = float(os.environ.get("TASKQ_HOST_LEASE", "2"))
RECOVERY = LEASE + 2 * WorkerSettings(lease=LEASE).beat
"""Seconds after which the jobs of a host that is gone run elsewhere."""
LONG_LEASE = 2 * LEASE
"""That of hosts that are disturbed, but not gone."""
RESUME = 3.0
"""Seconds after which a host works again that can reach Redis again."""
BOOT = 3.0
"""Seconds for new processes to start, on a machine that is busy."""
WAIT = 60 + 2 * RECOVERY
SLOTS = ("--procs", "2", "--threads", "2")
FLAGS = (*SLOTS, "--lease", f"{LEASE:g}")
PATIENT = (*SLOTS, "--lease", f"{LONG_LEASE:g}")

pytestmark = pytest.mark.timeout(120 + 10 * RECOVERY)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    with TemporaryDirectory(prefix="taskq-") as folder:
        journal = Journal(Path(folder))
        for name, value in journal.environ.items():
            monkeypatch.setenv(name, value)
        yield journal
        journal.close()


@pytest.fixture
def two(journal: Journal) -> Iterator[Site]:
    """Two hosts and a Redis; the tasks of `jobs` are enqueued to it."""
    with site(hosts=2) as made:
        jobs.app.use(Broker(made.url))
        yield made
        jobs.app.close()


def until(true: Callable[[], bool], within: float) -> None:
    """Wait for what gives no sign when it happens."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within, "it did not happen in time"
        time.sleep(0.02)


def nothing_is_left() -> None:
    """Every job is done, and nobody holds anything."""
    found = take_census(jobs.app.broker)
    assert one_place(found) == []
    assert left_over(found) == {}


def dropped() -> int:
    """How many outcomes came too late, says Redis."""
    return sum(int(minute.get(b"dropped", 0)) for minute in take_census(jobs.app.broker)["stats"].values())


def running_on(host: Host, journal: Journal, seconds: float = BOOT) -> list[Job[int]]:
    """Four jobs that have begun on `host`, the only one with a worker, and take `seconds`."""
    enqueued = jobs.slow_at_first.enqueue_many([(seconds,)] * 4)
    journal.wait_for("slow_at_first", 4)
    assert {entry.pid for entry in journal.entries()} <= set(host.pids())
    return enqueued


def run_again(enqueued: list[Job[int]], journal: Journal, gone: float) -> None:
    """Assert that these four, which were running when their host was gone at `gone`, run a second time, in time."""
    last = journal.wait_for("slow_at_first", 8, timeout=WAIT)
    assert [job.result(WAIT) for job in enqueued] == [2] * 4
    assert Counter(entry.job for entry in journal.entries()) == {job.id: 2 for job in enqueued}
    print(f"they ran again {last.at - gone:.2f} s after their host was gone")
    assert last.at - gone < RECOVERY


def stop(worker: Worker) -> None:
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0


def test_a_host_that_vanishes_loses_its_jobs_after_its_lease_and_works_again_when_it_is_back(
    two: Site, journal: Journal
) -> None:
    lost, other = two.hosts
    with lost.worker(*FLAGS) as worker:
        enqueued = running_on(lost, journal)
        with other.worker(*FLAGS) as survivor:
            lost.cable.cut, gone = True, time.monotonic()
            run_again(enqueued, journal, gone)
            stop(survivor)
        until(lambda: lost.unsent() == 0, within=READ_TIMEOUT + RESUME)
        job = jobs.add.enqueue(1, 2)
        lost.cable.cut = False
        assert job.result(RESUME + BOOT) == 3
        stop(worker)
    assert len(journal.entries()) == 8
    nothing_is_left()


def test_what_a_host_writes_that_was_frozen_for_three_leases_is_dropped_and_counted(
    two: Site, journal: Journal
) -> None:
    frozen, other = two.hosts
    with frozen.worker(*FLAGS) as worker:
        enqueued, children = running_on(frozen, journal), worker.children()
        with other.worker(*FLAGS) as survivor:
            frozen.signal(signal.SIGSTOP)
            gone = time.monotonic()
            run_again(enqueued, journal, gone)
            stop(survivor)
        until(lambda: time.monotonic() - gone > 3 * LEASE, within=3 * LEASE)
        frozen.signal(signal.SIGCONT, children)  # before their supervisor hears that they are fenced, and kills them
        for _ in children:  # each ends when it hears that it is fenced, maybe with another outcome unwritten
            worker.wait_for("slow_at_first", outcome="dropped")
        job = jobs.add.enqueue(1, 2)
        frozen.signal(signal.SIGCONT)
        assert job.result(RESUME + BOOT) == 3
        worker.signal(signal.SIGTERM)
        late = worker.wait_for("stopped", ok=1)["dropped"]
    assert len(children) <= late <= len(enqueued)
    assert dropped() == late
    nothing_is_left()


def test_the_jobs_of_a_host_that_is_killed_whole_run_again_after_its_lease(two: Site, journal: Journal) -> None:
    killed, other = two.hosts
    with killed.worker(*FLAGS):
        enqueued = running_on(killed, journal)
        with other.worker(*FLAGS) as survivor:
            killed.signal(signal.SIGKILL)
            run_again(enqueued, journal, time.monotonic())
            stop(survivor)
    nothing_is_left()


def test_jobs_that_the_doors_of_a_vanished_host_take_wait_for_its_lease_and_those_behind_them_for_nothing(
    two: Site, journal: Journal
) -> None:
    """The server does not know yet that the host is gone: for up to BLOCK seconds it still hands it jobs."""
    lost, other = two.hosts
    enqueued: dict[str, float] = {}
    with lost.worker(*FLAGS), other.worker(*FLAGS) as survivor:
        lost.cable.cut, gone = True, time.monotonic()
        while time.monotonic() < gone + BLOCK + 1:
            enqueued[jobs.nap.enqueue(0.0).id] = time.monotonic()
            time.sleep(0.05)
        journal.wait_for("nap", len(enqueued), timeout=WAIT)
        started = {entry.job: entry.at for entry in journal.entries("nap")}
        delays = {job: started[job] - at for job, at in enqueued.items()}
        assert max(started[job] for job in enqueued if delays[job] > 1) < gone + RECOVERY
        assert max(delays[job] for job, at in enqueued.items() if at > gone + BLOCK) < 1
        until(lambda: not take_census(jobs.app.broker)["held"], within=RECOVERY)
        stop(survivor)
    assert len(journal.entries("nap")) == len(enqueued)


def test_a_host_that_is_cut_off_for_less_than_its_lease_goes_on_and_runs_nothing_twice(
    two: Site, journal: Journal
) -> None:
    lost, other = two.hosts
    with lost.worker(*PATIENT) as worker:
        enqueued = running_on(lost, journal)
        with other.worker(*PATIENT) as survivor:
            lost.cable.cut, gone = True, time.monotonic()
            until(lambda: time.monotonic() - gone > LONG_LEASE / 4, within=LONG_LEASE)
            lost.cable.cut = False
            assert {job.result(BOOT + RESUME) for job in enqueued} == {1}
            stop(survivor)
        worker.signal(signal.SIGTERM)
        worker.wait_for("stopped", ok=4, dropped=0)
    assert len(journal.entries()) == 4
    nothing_is_left()


def test_a_host_whose_connections_a_firewall_has_forgotten_makes_new_ones_within_its_lease(
    two: Site, journal: Journal
) -> None:
    host, judge = two.hosts
    with host.worker(*PATIENT) as worker, judge.worker(*PATIENT, "--queues", "none") as other:
        running_on(host, journal, 0.0)
        host.cable.forget_connections()
        assert jobs.nap.enqueue(0.0).result(PATIENCE + RESUME) == 0.0
        worker.signal(signal.SIGTERM)
        worker.wait_for("stopped", ok=5, dropped=0)
        stop(other)
    assert len(journal.entries()) == 5
    assert "fenced" not in worker.log()
    nothing_is_left()


def test_a_host_behind_a_slow_and_lossy_line_works_and_runs_nothing_twice(two: Site, journal: Journal) -> None:
    far, near = two.hosts
    with far.worker(*PATIENT) as worker, near.worker(*PATIENT) as other:
        far.cable.delay, far.cable.jitter, far.cable.loss = 0.02, 0.03, 0.05
        ran = 0
        for _ in range(20):
            enqueued = jobs.nap.enqueue_many([(0.1,)] * 100)
            assert {job.result(WAIT) for job in enqueued} == {0.1}
            ran += 100
            if far.cable.dropped:  # one in twenty packets, by chance
                break
        assert {entry.pid for entry in journal.entries("nap")} <= {*worker.children(), *other.children()}
        assert {entry.pid for entry in journal.entries("nap")} & {*worker.children()}
        far.cable.loss = 0.0
        stop(worker)
        stop(other)
    assert far.cable.dropped
    assert len(journal.entries("nap")) == ran
    nothing_is_left()
