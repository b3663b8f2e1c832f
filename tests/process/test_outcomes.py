"""Every way that a job can end, on a real worker: each has a defined outcome, and the worker goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from taskq import TaskFailed, TaskQ
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.embedded import Server
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import MalformedJob, ResultNotStored, TimeLimitExceeded, WorkerLost
from taskq.ids import show
from tests.process import jobs
from tests.support.census import one_place, take_census
from tests.support.journal import Journal
from tests.support.servers import ask
from tests.support.workers import Worker, worker

WAIT = 30


@pytest.fixture(scope="module")
def journal() -> Iterator[Journal]:
    with TemporaryDirectory(prefix="taskq-") as folder:
        journal = Journal(Path(folder))
        yield journal
        journal.close()


@pytest.fixture(scope="module")
def shared_worker(redis_server: Server, journal: Journal) -> Iterator[Worker]:
    """One worker for all tests of this file: that it survives each of them is part of what they show."""
    ask(redis_server.url, "FLUSHALL")
    with worker(redis_server.url, "--procs", "2", "--threads", "4", **journal.environ) as started:
        jobs.app.use(Broker(redis_server.url))
        yield started
        jobs.app.close()


pytestmark = pytest.mark.usefixtures("shared_worker")


def test_a_result_comes_back() -> None:
    assert jobs.add.enqueue(2, 3).result(WAIT) == 5


def test_a_coroutine_gives_its_result() -> None:
    assert jobs.anap.enqueue(0.01).result(WAIT) == 0.01


def test_a_cpu_job_gives_its_result() -> None:
    assert jobs.spin.enqueue(0.01).result(WAIT) > 0


def test_a_failing_job_is_retried_until_it_succeeds() -> None:
    assert jobs.third_time_lucky.enqueue().result(WAIT) == 3


def test_a_job_can_ask_to_be_run_again() -> None:
    assert jobs.ask_again.enqueue().result(WAIT) == 2


def test_a_built_in_exception_is_raised_as_itself_with_the_workers_traceback() -> None:
    with pytest.raises(ValueError, match="bad image") as caught:
        jobs.fail.enqueue("value").result(WAIT)
    assert "in fail" in str(caught.value.__cause__)


def test_an_exception_that_is_not_registered_is_a_task_failed() -> None:
    with pytest.raises(TaskFailed, match=r"tests\.process\.jobs\.RefusedError: no"):
        jobs.fail.enqueue("own").result(WAIT)


@pytest.mark.parametrize(("kind", "name"), [("exit", "SystemExit"), ("ctrl-c", "KeyboardInterrupt")])
def test_an_exit_from_a_job_fails_the_job_and_not_the_process(kind: str, name: str) -> None:
    with pytest.raises(TaskFailed, match=name):
        jobs.fail.enqueue(kind).result(WAIT)


def test_endless_recursion_fails_the_job() -> None:
    with pytest.raises(RecursionError):
        jobs.recurse.enqueue().result(WAIT)


@pytest.mark.parametrize("task", [jobs.unserializable, jobs.too_large], ids=lambda task: task.name)
def test_a_result_that_cannot_be_stored_is_a_failure_that_says_so(task: Any) -> None:
    with pytest.raises(ResultNotStored, match=r"result of tests\.process\.jobs"):
        task.enqueue().result(WAIT)


@pytest.mark.parametrize("task", [jobs.exit_now, jobs.segfault], ids=lambda task: task.name)
def test_a_job_that_kills_its_process_three_times_is_dead(task: Any) -> None:
    job = task.enqueue()
    with pytest.raises(WorkerLost, match="3 times"):
        job.result(WAIT)
    assert job.status() == "dead"


def test_a_fork_in_a_job_does_not_give_two_outcomes() -> None:
    pid = jobs.fork_and_return.enqueue().result(WAIT)
    assert pid != os.getpid()


@pytest.mark.parametrize("task", [jobs.sleepy, jobs.busy, jobs.asleep], ids=lambda task: task.name)
def test_the_soft_limit_ends_a_job_that_runs_python(task: Any) -> None:
    with pytest.raises(TimeLimitExceeded, match=r"0\.3 s"):
        task.enqueue(20).result(5)


def test_the_hard_limit_ends_a_job_that_hangs_in_c_and_hurts_no_neighbour(journal: Journal) -> None:
    neighbours = jobs.nap.enqueue_many([(7.0,)] * 2)
    job = jobs.stuck.enqueue(60)
    with pytest.raises(TimeLimitExceeded):
        job.result(WAIT)
    assert [neighbour.result(WAIT) for neighbour in neighbours] == [7.0, 7.0]
    assert len(journal.entries("nap")) == 2


def test_bytes_that_are_no_job_are_dead_with_their_reason() -> None:
    raw = os.urandom(16)
    jobs.app.broker.run(calls.enqueue("default:io", [(raw, b"\xc1 no job")]))
    with pytest.raises(MalformedJob):
        jobs.app.job(show(raw)).result(WAIT)


def test_a_delayed_job_starts_in_time() -> None:
    late = [jobs.lateness.options(delay=0.2).enqueue(SYSTEM_CLOCK.monotonic() + 0.2).result(WAIT) for _ in range(5)]
    assert -0.002 <= sorted(late)[2] < 0.01


def test_a_job_of_a_task_that_nobody_knows_is_parked_until_a_worker_knows_it(redis_server: Server) -> None:
    app = TaskQ(redis_server.url)

    @app.task(name="tests.process.jobs.new_in_this_version")
    def new_in_this_version() -> str:
        return "not run here"

    job = new_in_this_version.enqueue()
    with worker(redis_server.url, "--procs", "1", TASKQ_TEST_FLAGS="only_new_workers"):
        assert job.result(WAIT) == "new"
    app.close()


def test_in_the_end_every_job_is_in_one_place_and_none_is_held(redis_server: Server) -> None:
    broker = Broker(redis_server.url)
    found = take_census(broker)
    broker.close()
    assert one_place(found) == []
    assert not found["held"]
    assert not found["delayed"]
    assert not found["parked"]
