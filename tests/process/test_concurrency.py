"""`concurrency=` with real worker processes: how many run at a time, in which order, and what a death does to it."""

from __future__ import annotations

import os
import signal
from itertools import accumulate

import pytest

from taskq.broker.broker import Broker
from taskq.broker.keys import MODEL
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import WorkerLost
from tests.process import jobs
from tests.support.census import one_place, take_census
from tests.support.journal import Journal
from tests.support.workers import worker

WAIT = 60


def settled(broker: Broker) -> None:
    """All jobs have ended, and nothing of limits is left."""
    found = take_census(broker)
    assert one_place(found) == []
    assert not any(found[row] for row in ("jobs", "delayed", "held", "permits", "limited"))
    assert {"permits", "limited"} <= set(MODEL)


def test_never_more_run_at_a_time_than_the_limit_whatever_runs_beside_them(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    limited = jobs.two_at_a_time.enqueue_many([(number, 0.02) for number in range(40)])
    with worker(redis_url, "--procs", "2", "--threads", "8"):
        assert jobs.add.enqueue(1, 2).result(WAIT) == 3
        assert jobs.app.gather(limited, WAIT) == list(range(40))
    steps = [1 if entry.task.startswith("begin") else -1 for entry in journal.entries()]
    assert max(accumulate(steps)) == 2
    assert steps.count(1) == 40
    settled(broker)


def test_they_begin_in_the_order_in_which_they_were_enqueued(broker: Broker, redis_url: str, journal: Journal) -> None:
    limited = jobs.one_at_a_time.enqueue_many([(number, 0.0) for number in range(40)])
    with worker(redis_url, "--procs", "1", "--threads", "8"):
        jobs.app.gather(limited, WAIT)
    assert [entry.job for entry in journal.entries("one_at_a_time")] == [job.id for job in limited]


def test_a_process_that_is_killed_frees_its_place_at_once(broker: Broker, redis_url: str, journal: Journal) -> None:
    with worker(redis_url, "--procs", "2", "--threads", "4") as started:
        first = jobs.one_at_a_time.enqueue(0, 1.5)
        victim = journal.wait_for("one_at_a_time")
        rest = jobs.one_at_a_time.enqueue_many([(number, 0.0) for number in range(1, 10)])
        assert victim.pid in started.children()
        killed = SYSTEM_CLOCK.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        assert journal.wait_for("one_at_a_time", 2).at - killed < 1
        assert jobs.app.gather([first, *rest], WAIT) == list(range(10))
    settled(broker)


def test_a_job_that_is_dead_with_its_process_leaves_its_place_to_the_next(broker: Broker, redis_url: str) -> None:
    with worker(redis_url, "--procs", "1"):
        deadly, harmless = jobs.one_and_deadly.enqueue_many([(True,), (False,)])
        with pytest.raises(WorkerLost):
            deadly.result(WAIT)
        assert harmless.result(20) is False  # it would come back by itself after 60 s


def test_a_burst_ends_when_the_last_of_those_that_waited_has_ended(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    limited = jobs.one_at_a_time.enqueue_many([(number, 0.01) for number in range(30)])
    with worker(redis_url, "--procs", "2", "--burst") as started:
        assert started.end(WAIT) == 0
    assert jobs.app.gather(limited, 0) == list(range(30))
    settled(broker)
