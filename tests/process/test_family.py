"""Jobs that wait for jobs, on a worker with one process, one thread and one coroutine: none waits for its own slot."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskq.broker.broker import Broker
from taskq.errors import WaitCycle
from taskq.job import Job
from tests.process import family
from tests.support.census import one_place, take_census
from tests.support.journal import Journal
from tests.support.workers import Worker, worker

WAIT = 60
ONE = ("--procs", "1", "--threads", "1", "--async", "1")


@pytest.fixture(autouse=True)
def office(broker: Broker) -> Iterator[Broker]:
    family.app.use(Broker(broker.url))
    yield broker
    family.app.close()


@pytest.fixture
def lonely(broker: Broker) -> Iterator[Worker]:
    """Afterwards each job is in one place, as always."""
    with family_worker(broker) as started:
        yield started
        started.signal(signal.SIGTERM)
        assert started.end() == 0
    assert one_place(take_census(broker)) == []


def family_worker(broker: Broker, *flags: str, **environ: str) -> Any:
    return worker(broker.url, *ONE, *flags, app="tests.process.family:app", **environ)


# Depth


@pytest.mark.usefixtures("lonely")
def test_a_recursive_merge_sort_ends() -> None:
    numbers = [random.random() for _ in range(500)]
    assert family.merge_sort.enqueue(numbers).result(WAIT) == sorted(numbers)


@pytest.mark.usefixtures("lonely")
def test_parallel_fibonacci_ends_in_the_cpu_lane_and_in_the_loop() -> None:
    jobs: list[Job[int]] = [family.fibonacci.enqueue(9), family.afibonacci.enqueue(9)]
    assert family.app.gather(jobs, WAIT) == [34, 34]


@pytest.mark.usefixtures("lonely")
def test_a_walk_over_a_tree_ends(tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path.joinpath(*f"{number:b}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").touch()
    assert family.files_below.enqueue(str(tmp_path)).result(WAIT) == 40


@pytest.mark.usefixtures("lonely")
def test_threads_and_coroutines_wait_for_each_other() -> None:
    assert family.ping.enqueue(40).result(WAIT) == 40


@pytest.mark.usefixtures("lonely")
def test_jobs_wait_for_one_another_deeper_than_one_stack_is() -> None:
    assert family.deep.enqueue(250).result(WAIT) == 250


@pytest.mark.usefixtures("lonely")
def test_who_waits_hears_of_each_job_before_the_next_one_runs_in_its_place() -> None:
    assert family.first_of.enqueue(9).result(WAIT) == 1


@pytest.mark.usefixtures("lonely")
def test_a_job_waits_in_threads_of_its_own() -> None:
    assert family.in_threads_of_its_own.enqueue(5).result(WAIT) == 5


@pytest.mark.usefixtures("lonely")
def test_a_job_waits_for_those_of_a_limited_task() -> None:
    assert family.mother_of_a_queue.enqueue(5).result(WAIT) == 5


@pytest.mark.usefixtures("lonely")
def test_a_job_waits_for_futures_of_an_executor() -> None:
    assert family.sum_by_executor.enqueue(4).result(WAIT) == 16


# Cycles


@pytest.mark.usefixtures("lonely")
def test_who_waits_for_itself_is_told_so() -> None:
    job = family.itself.enqueue()
    with pytest.raises(WaitCycle, match=f"cannot wait for job {job.id}: it waits for this one"):
        job.result(WAIT)


@pytest.mark.usefixtures("lonely")
def test_who_waits_for_an_ancestor_is_told_the_chain() -> None:
    job = family.await_child_that_waits.enqueue()
    with pytest.raises(WaitCycle) as caught:
        job.result(WAIT)
    assert f"await_child_that_waits {job.id} waits for tests.process.family.wait_for" in str(caught.value)


# Time limits


@pytest.mark.usefixtures("lonely")
def test_a_time_limit_waits_until_the_job_on_top_has_ended() -> None:
    assert family.hurried.enqueue(1.0).result(WAIT) == "after here"


@pytest.mark.usefixtures("lonely")
def test_a_job_on_top_is_interrupted_at_its_own_limit_and_the_one_below_goes_on() -> None:
    assert family.mother_of_a_loop.enqueue().result(WAIT) == "went on"


# Deaths


def test_who_kills_the_process_counts_the_loss_not_who_waits_for_it(
    office: Broker, journal: Journal, tmp_path: Path
) -> None:
    with family_worker(office, TASKQ_TEST_MARK=str(tmp_path / "mark")):
        job = family.mother_of_a_killer.enqueue()
        assert job.result(WAIT) == "spared"
        assert len(journal.entries("mother")) == 2
        first = journal.entries("kill")[0].job
        family.app.job(first).result(WAIT)
    losses = take_census(office)["losses"].get("", {})
    assert job.raw not in losses


def test_a_worker_that_is_told_to_stop_lets_a_family_end(office: Broker, journal: Journal) -> None:
    with family_worker(office) as started:
        job = family.hurried.enqueue(0.2)
        slow = family.nap.enqueue(0.5)
        journal.wait_for("nap")
        started.signal(signal.SIGTERM)
        assert started.end() == 0
        assert {job.status(), slow.status()} <= {"done", "queued"}
    assert one_place(take_census(office)) == []


# Lent slots


@pytest.mark.parametrize("waits", [family.wait_for_elsewhere, family.await_elsewhere], ids=lambda task: task.name)
def test_while_a_job_waits_for_one_elsewhere_its_slot_is_lent(
    office: Broker, journal: Journal, tmp_path: Path, waits: Any
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with family_worker(office), family_worker(office, "--queues", "elsewhere"):
        job = waits.enqueue(str(fifo))
        journal.wait_for("waits")
        others = [family.ping.enqueue(2), family.aping.enqueue()]
        assert family.app.gather(others, WAIT) == [2, "pong"]
        threading.Thread(target=fifo.write_text, args=("go",), daemon=True).start()
        assert job.result(WAIT) is None
