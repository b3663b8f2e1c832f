"""Processes that die, stop and hang, and a Redis that goes away: nothing is lost, and nothing has two outcomes."""

from __future__ import annotations

import os
import random
import signal
import threading
from itertools import pairwise
from typing import Any

import pytest

from taskq.broker.broker import Broker
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import TimeLimitExceeded
from taskq.job import Job
from tests.process import jobs
from tests.support.census import one_place, take_census
from tests.support.journal import Entry, Journal
from tests.support.servers import ends, server_or_skip
from tests.support.workers import Worker, worker

WAIT = 60


def settled(broker: Broker) -> dict[str, Any]:
    """A census in which nothing is wrong and nobody holds anything."""
    found = take_census(broker)
    assert one_place(found) == []
    assert not found["held"]
    return found


class Killer(threading.Thread):
    """Kills a random process of a worker twice a second until it is told to stop; remembers whom and when."""

    def __init__(self, victims: Worker, seed: int):
        super().__init__(daemon=True)
        self._victims, self._chance, self._over = victims, random.Random(seed), threading.Event()
        self.killed: dict[int, float] = {}

    def run(self) -> None:
        while not self._over.wait(0.5):
            pid = self._chance.choice(self._victims.children())
            os.kill(pid, signal.SIGKILL)
            self.killed[pid] = SYSTEM_CLOCK.monotonic()

    def stop(self) -> None:
        self._over.set()
        self.join(WAIT)


def test_jobs_survive_the_death_of_their_processes_and_start_again_within_a_second(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "4", "--threads", "4") as started:
        killer = Killer(started, seed=1)
        enqueued: list[Job[float]] = jobs.nap.enqueue_many([(0.02,)] * 2000)
        killer.start()
        assert [job.result(WAIT) for job in enqueued] == [0.02] * 2000
        killer.stop()
        assert started.process.poll() is None
        assert killer.killed
        assert max(again_after(journal, killer.killed), default=0.0) < 1.0
        started.signal(signal.SIGTERM)
        assert started.end() == 0
    found = settled(broker)
    assert not found["jobs"]
    assert not found["dead"]


def again_after(journal: Journal, killed: dict[int, float]) -> list[float]:
    """For each run in a killed process that was followed by another of the same job: seconds from death to that."""
    runs: dict[str, list[Entry]] = {}
    for entry in journal.entries():
        runs.setdefault(entry.job, []).append(entry)
    pairs = [pair for of_job in runs.values() for pair in pairwise(of_job)]
    return [again.at - killed[first.pid] for first, again in pairs if first.pid in killed]


def test_the_children_of_a_killed_supervisor_are_gone_within_a_second_and_their_jobs_after_the_lease(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "2", "--threads", "2", "--lease", "1") as started:
        job = jobs.nap.enqueue(0.5)
        first = journal.wait_for("nap")
        children = started.children()
        assert len(children) == 2
        with ends(children[0], within=1), ends(children[1], within=1):
            started.signal(signal.SIGKILL)
    with worker(redis_url, "--procs", "1", "--lease", "1"):
        assert job.result(WAIT) == 0.5
    again = journal.entries("nap")[1:]
    assert len(again) == 1
    assert again[0].at - first.at < 10
    settled(broker)


def test_a_stopped_child_is_replaced_after_a_lease_and_its_job_runs_elsewhere(broker: Broker, redis_url: str) -> None:
    with worker(redis_url, "--procs", "2", "--threads", "1", "--lease", "1") as started:
        assert jobs.stop_myself.enqueue().result(WAIT) in started.children()
    settled(broker)


def test_a_job_that_holds_the_gil_beyond_its_hard_limit_is_killed_and_its_neighbour_runs_again(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "1", "--threads", "2", "--lease", "5") as started:
        neighbour = jobs.nap.enqueue(1.0)
        journal.wait_for("nap")
        jobs.hold_the_gil.enqueue()
        started.wait_for("killed", why="a job holds the GIL beyond its hard time limit")
        assert neighbour.result(WAIT) == 1.0
        assert len(losses(broker)) <= 1


def test_coroutines_behind_a_loop_that_hangs_run_again_elsewhere(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "1", "--threads", "1", "--grace", "1"):
        neighbour = jobs.anap.enqueue(1.0)
        journal.wait_for("anap")
        job = jobs.block_the_loop.enqueue(60)
        with pytest.raises(TimeLimitExceeded):
            job.result(WAIT)
        assert neighbour.result(WAIT) == 1.0
        assert not losses(broker)


def losses(broker: Broker) -> dict[bytes, Any]:
    """Jobs that have been lost, with how often."""
    return dict(take_census(broker)["losses"].get("", {}))


def test_stop_lets_what_runs_finish_and_gives_back_the_rest(broker: Broker, redis_url: str, journal: Journal) -> None:
    with worker(redis_url, "--procs", "1", "--threads", "2") as started:
        enqueued = jobs.nap.enqueue_many([(1.0,)] * 10)
        journal.wait_for("nap", 2)
        started.signal(signal.SIGTERM)
        assert started.end() == 0
    places = [job.status() for job in enqueued]
    assert places.count("done") == 2
    assert places.count("queued") == 8
    settled(broker)


@pytest.mark.parametrize("how", ["grace ran out", "second signal"])
def test_when_stopping_takes_too_long_running_jobs_are_given_back(
    broker: Broker, redis_url: str, journal: Journal, how: str
) -> None:
    grace = "0.2" if how == "grace ran out" else "60"
    with worker(redis_url, "--procs", "1", "--threads", "2", "--grace", grace) as started:
        job = jobs.nap.enqueue(60.0)
        journal.wait_for("nap")
        started.signal(signal.SIGINT)
        started.wait_for("stopping")
        if how == "second signal":
            started.signal(signal.SIGINT)
        assert started.end() == 75
    assert job.status() == "queued"
    assert not settled(broker)["losses"]


def test_a_burst_ends_when_nothing_is_ready_or_held_and_leaves_delayed_jobs(broker: Broker, redis_url: str) -> None:
    enqueued = jobs.add.enqueue_many([(i, i) for i in range(500)])
    later = jobs.add.options(delay=600).enqueue(1, 1)
    with Worker(redis_url, "--procs", "2", "--burst") as started:
        assert started.end() == 0
    assert {job.status() for job in enqueued} == {"done"}
    assert later.status() == "delayed"
    settled(broker)


def test_two_workers_share_the_work_and_long_jobs_do_not_wait_behind_one_another(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "2", "--threads", "1") as started:
        jobs.add.enqueue_many([(i, i) for i in range(2000)])[-1].result(WAIT)
        began = SYSTEM_CLOCK.monotonic()
        for job in jobs.nap.enqueue_many([(0.5,)] * 4):
            job.result(WAIT)
        assert SYSTEM_CLOCK.monotonic() - began < 1.9
        assert len({entry.pid for entry in journal.entries("nap")}) == 2
        assert started.process.poll() is None


def test_workers_and_producers_resume_after_redis_was_killed_and_restarted(journal: Journal) -> None:
    with server_or_skip(appendonly="yes", appendfsync="always") as server:
        broker = Broker(server.url)
        jobs.app.use(broker)
        with worker(server.url, "--procs", "2", "--threads", "4") as started:
            enqueued = jobs.nap.enqueue_many([(0.05,)] * 200)
            journal.wait_for("nap", 20)
            server.kill()
            server.start()
            assert [job.result(WAIT) for job in enqueued] == [0.05] * 200
            assert jobs.add.enqueue(1, 2).result(WAIT) == 3
            started.signal(signal.SIGTERM)
            assert started.end() == 0
        settled(broker)
        jobs.app.close()
