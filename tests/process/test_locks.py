"""Locks in real worker processes: nothing is counted twice, and a lock whose holder is killed soon goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskq import BrokenBarrier
from taskq.broker.broker import Broker
from taskq.clock import SYSTEM_CLOCK
from tests.process import jobs
from tests.support.census import take_census
from tests.support.journal import Journal
from tests.support.until import until
from tests.support.workers import ROOT, worker

WAIT = 60


def settled(broker: Broker) -> None:
    """Nobody has or waits for anything."""
    assert take_census(broker)["stakes"] == {}


def test_ten_jobs_in_two_processes_count_to_exactly_a_million(
    broker: Broker, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with worker(redis_url, "--procs", "2", "--threads", "4", app="examples.guide.counter:app"):
        command = [sys.executable, "-m", "examples.guide.counter"]
        environment = {**os.environ, "TASKQ_URL": redis_url, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=WAIT, check=True
        )
        assert done.stdout == "1,000,000\n"
    settled(broker)


def test_the_lock_of_a_worker_process_that_is_killed_is_free_at_once(
    broker: Broker, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "1") as started:
        job = jobs.hold_the_lock.enqueue()
        journal.wait_for("hold_the_lock")
        assert not jobs.app.lock("x").acquire(timeout=0)
        (child,) = started.children()
        killed = SYSTEM_CLOCK.monotonic()
        os.kill(child, signal.SIGKILL)
        with jobs.app.lock("x"):
            took = SYSTEM_CLOCK.monotonic() - killed
            assert took < 2, took
        assert job.result(WAIT) == "again"


def test_a_job_that_holds_the_gil_keeps_its_lock(broker: Broker, redis_url: str, journal: Journal) -> None:
    with worker(redis_url, "--procs", "1", "--lease", "1"):
        job = jobs.hold_the_gil_in_a_lock.enqueue(2.5)
        journal.wait_for("hold_the_gil_in_a_lock")
        assert not jobs.app.lock("x").acquire(timeout=1.5)
        assert job.result(WAIT) is False
    settled(broker)


def test_the_jobs_of_several_processes_meet_at_a_barrier(broker: Broker, redis_url: str) -> None:
    with worker(redis_url, "--procs", "2", "--threads", "2"):
        met = jobs.app.gather(jobs.meet.enqueue_many([(4, WAIT)] * 4), WAIT)
        assert sorted(place for place, _ in met) == [0, 1, 2, 3]
    settled(broker)


def test_the_death_of_a_process_breaks_the_barrier_at_which_it_waits(broker: Broker, redis_url: str) -> None:
    with worker(redis_url, "--procs", "1") as started, ThreadPoolExecutor(1) as pool:
        jobs.meet.enqueue(3, WAIT)
        waiting = pool.submit(jobs.app.barrier("x", 3).wait, WAIT)
        until(lambda: jobs.app.barrier("x", 3).n_waiting == 2)
        os.kill(started.children()[0], signal.SIGKILL)
        with pytest.raises(BrokenBarrier):
            waiting.result(WAIT)


@contextmanager
def program(url: str, code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is no worker. It runs `code`, which knows `app`."""
    command = [sys.executable, "-c", f"from taskq import *\napp = TaskQ({url!r})\n{code}"]
    with subprocess.Popen(
        command, stdin=-1, stdout=-1, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("lease", [1, 3])
def test_the_lock_of_another_process_that_is_killed_is_free_when_its_lease_has_run_out(
    broker: Broker, redis_url: str, lease: int
) -> None:
    code = f"with app.lock('x', lease={lease}) as held: print(held.fence, flush=True); input()"
    with program(redis_url, code) as process:
        assert process.stdout is not None
        fence = int(process.stdout.readline())
        process.kill()
        killed = SYSTEM_CLOCK.monotonic()
        with jobs.app.lock("x") as held:
            took = SYSTEM_CLOCK.monotonic() - killed
            assert lease * 0.6 < took < lease + 1, took
            assert held.fence > fence
