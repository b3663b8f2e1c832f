"""Worker processes that give their place to a successor: nothing is interrupted, run twice or lost."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

from taskq.broker.broker import Broker
from tests.process import jobs
from tests.support.census import ask, one_place, take_census
from tests.support.journal import Journal
from tests.support.workers import worker

WAIT = 60


def settled_without_losses(broker: Broker) -> None:
    found = take_census(broker)
    assert one_place(found) == []
    assert not found["jobs"]
    assert not found["held"]
    assert not found["losses"]


def test_processes_are_replaced_after_their_share_and_each_job_runs_once(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "2", "--threads", "2", "--max-jobs", "500") as started:
        first, at_work, alive = set(started.children()), [], []
        for number, job in enumerate(jobs.nap.enqueue_many([(0.004,)] * 3000)):
            assert job.result(WAIT) == 0.004
            if number % 20 == 0:
                at_work.append(ask(broker, "ZCARD", broker.key("workers")))
                alive.append(len(started.children()))
        while first & set(started.children()):
            started.wait_for("recycled")
        started.signal(signal.SIGTERM)
        assert started.end() == 0
    runs = Counter(entry.job for entry in journal.entries("nap"))
    assert (len(runs), set(runs.values())) == (3000, {1})
    assert min(at_work) == 2
    assert (min(alive), max(alive)) == (2, 3)
    assert "process died" not in started.log()
    settled_without_losses(broker)


def test_a_long_job_in_the_old_process_is_finished(
    broker: Broker, redis_url: str, journal: Journal, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with worker(redis_url, "--procs", "1", "--threads", "2", "--max-jobs", "5", "--grace", "1") as started:
        (old,) = started.children()
        long = jobs.hold.enqueue(str(fifo))
        journal.wait_for("hold")
        pids = [old] * 5
        while pids[-1] == old:
            pids.append(jobs.pid.enqueue().result(WAIT))
        fifo.write_bytes(b"go on")
        assert long.result(WAIT) == old
        started.wait_for("recycled")
        assert started.children() == [pids[-1]]
    assert len(journal.entries("hold")) == 1


def test_a_process_that_leaks_is_replaced_and_each_job_runs_once(broker: Broker, redis_url: str) -> None:
    with worker(redis_url, "--procs", "1", "--threads", "1", "--max-rss", "150M", "--lease", "1") as started:
        (old,) = started.children()
        for job in jobs.hoard.enqueue_many([(10,)] * 16):
            job.result(WAIT)
        assert started.wait_for("recycling")["why"].endswith("of memory, --max-rss is 150M")
        started.wait_for("recycled")
        assert old not in started.children()
        started.signal(signal.SIGTERM)
        assert started.end() == 0
    settled_without_losses(broker)


def test_a_stop_while_a_process_is_replaced_lets_its_job_finish(
    broker: Broker, redis_url: str, journal: Journal, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with worker(redis_url, "--procs", "1", "--threads", "2", "--max-jobs", "1") as started:
        long = jobs.hold.enqueue(str(fifo))
        journal.wait_for("hold")
        jobs.pid.enqueue().result(WAIT)
        started.wait_for("recycling")
        started.signal(signal.SIGTERM)
        started.wait_for("stopping")
        fifo.write_bytes(b"go on")
        assert started.end() == 0
    assert long.status() == "done"
    settled_without_losses(broker)
