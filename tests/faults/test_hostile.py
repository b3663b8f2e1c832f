"""Hostile jobs, all in one worker: each ends as it should, its neighbours as if it had not been there.

TASKQ_HOSTILE_SECONDS: how long a job holds the GIL (default 4), with a lease of a fifth of that, at least a second.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from taskq.broker.broker import Broker
from taskq.broker.embedded import Server
from taskq.errors import TaskFailed, TimeLimitExceeded
from taskq.job import Job
from tests.faults import hostile, jobs, journals
from tests.faults.hostile import DONE, IN_LOOP, IN_THREADS, LOST, Way
from tests.faults.journals import Execution
from tests.support.census import one_place, take_census
from tests.support.servers import ask, ends, server_or_skip
from tests.support.workers import Worker, worker

WAIT = 30
APP = "tests.faults.hostile:app"
PROCS, THREADS = 2, 4
FLAGS = ("--procs", f"{PROCS}", "--threads", f"{THREADS}", "--lease", "1", "--grace", "1")
HELD = int(os.environ.get("TASKQ_HOSTILE_SECONDS", "4"))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="taskq-") as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv(journals.FOLDER, name)
        yield Path(name)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with server_or_skip() as server:
        hostile.app.use(Broker(server.url))
        yield server
        hostile.app.close()


@pytest.fixture(scope="module")
def shared_worker(server: Server) -> Iterator[Worker]:
    """One worker for all ways: that it survives each of them is part of what is shown."""
    with worker(server.url, *FLAGS, app=APP) as started:
        yield started


def runs(folder: Path, token: str) -> list[Execution]:
    return [run for run in journals.read(folder).executions if run.token == token]


def wait_for_start(folder: Path, token: str) -> None:
    until = time.monotonic() + WAIT
    while not runs(folder, token):
        assert time.monotonic() < until, f"{token} does not start"
        time.sleep(0.01)


def wait_for_end(pid: int) -> None:
    """So that the end of this process is no fault for the next test."""
    with suppress(ProcessLookupError), ends(pid):
        pass


def neighbours(token: str) -> list[Job[str]]:
    """Innocent jobs in all lanes, which run when the next job does."""
    naps = [jobs.nap.enqueue(f"{token}-thread-{n}", 0.1) for n in range(PROCS)]
    anaps = [jobs.anap.enqueue(f"{token}-loop-{n}", 0.1) for n in range(PROCS)]
    return [*naps, *anaps, jobs.spin.enqueue(f"{token}-cpu", 0.01)]


def how_it_ended(job: Job[Any]) -> str:
    """DONE, or the name of the error."""
    try:
        job.result(WAIT)
    except TaskFailed as error:
        return str(error).partition(":")[0].rpartition(".")[2]
    except Exception as error:
        return type(error).__name__
    return DONE


@pytest.mark.usefixtures("shared_worker")
@pytest.mark.parametrize(
    ("task", "how", "way"),
    [
        *(pytest.param(hostile.harm, how, way, id=f"thread-{how}") for how, way in IN_THREADS.items()),
        *(pytest.param(hostile.aharm, how, way, id=f"loop-{how}") for how, way in IN_LOOP.items()),
    ],
)
def test_a_hostile_job_ends_as_it_should_and_hurts_no_neighbour(folder: Path, task: Any, how: str, way: Way) -> None:
    token = f"hurt-{task.name.rpartition('.')[2]}-{how.replace(' ', '-')}"
    beside = neighbours(token)
    job = task.enqueue(token, how)
    assert how_it_ended(job) == way.ends
    assert [how_it_ended(one) for one in beside] == [DONE] * len(beside)
    found = runs(folder, token)
    assert len(found) == (3 if way.ends == LOST else 1)
    assert len({run.pid for run in found}) == len(found)
    if way.fatal:
        assert [run.end for run in found] == [None] * 3
    if way.later:
        wait_for_end(found[-1].pid)


def test_a_coroutine_that_never_awaits_is_a_job_like_others(shared_worker: Worker) -> None:
    assert how_it_ended(hostile.never_awaits.enqueue("never-awaits")) == DONE


@pytest.mark.parametrize("task", [hostile.loop_too_long, hostile.refuse_to_stop], ids=lambda task: task.name)
def test_a_job_without_end_ends_at_its_limit_and_hurts_no_neighbour(shared_worker: Worker, task: Any) -> None:
    beside = neighbours(task.name)
    with pytest.raises(TimeLimitExceeded):
        task.enqueue("without-end").result(WAIT)
    assert [how_it_ended(one) for one in beside] == [DONE] * len(beside)


def test_after_all_of_them_no_slot_is_lost(shared_worker: Worker, folder: Path, server: Server) -> None:
    # Processes that died young again and again are replaced after up to 10 s.
    assert any(all_at_once(folder, PROCS * THREADS, round_) for round_ in range(15))
    assert shared_worker.process.poll() is None
    shared_worker.signal(signal.SIGTERM)
    shared_worker.end()
    broker = Broker(server.url)
    census = take_census(broker)
    broker.close()
    assert one_place(census) == []
    assert not any(census[row] for row in ("ready", "held", "delayed", "parked", "workers", "fenced"))
    assert {len(dead) for dead in census["dead"].values()} == {len(census["jobs"][""])}


def all_at_once(folder: Path, many: int, round_: int) -> bool:
    """Do so many jobs run at the same time?"""
    tokens = [f"slot-{round_}-{number}" for number in range(many)]
    naps = [jobs.nap.enqueue(token, 1.0) for token in tokens]
    assert [how_it_ended(nap) for nap in naps] == [DONE] * many
    found = [run for run in journals.read(folder).executions if run.token in tokens]
    assert len(found) == many
    return max(run.start for run in found) < min(run.end or 0 for run in found)


def test_a_job_that_holds_the_gil_in_c_longer_than_the_lease_is_not_run_twice(folder: Path, server: Server) -> None:
    ask(server.url, "FLUSHALL")
    lease = ("--lease", f"{max(1.0, HELD / 5):g}")
    with worker(server.url, "--procs", "1", *lease, app=APP), worker(server.url, "--procs", "1", *lease, app=APP):
        assert hostile.hold_the_gil.enqueue("gil", HELD).result(WAIT) == runs(folder, "gil")[0].name
    assert len(runs(folder, "gil")) == 1


def test_a_job_without_end_and_limit_keeps_its_slot_only_and_is_given_back(folder: Path, server: Server) -> None:
    ask(server.url, "FLUSHALL")
    with worker(server.url, "--procs", "1", "--threads", "2", "--grace", "0.2", app=APP) as started:
        job = hostile.loop_forever.enqueue("forever")
        wait_for_start(folder, "forever")
        beside = [jobs.nap.enqueue(f"beside-forever-{n}", 0.01) for n in range(20)]
        assert [how_it_ended(one) for one in beside] == [DONE] * 20
        started.signal(signal.SIGTERM)
        assert started.end() == 75
    assert job.status() == "queued"
