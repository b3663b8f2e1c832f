"""What the jobs of a process share, in real workers: made once in each, closed after the last job, whatever happens."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from taskq import exit_codes
from taskq.broker.broker import Broker
from tests.process import sharing
from tests.support.census import one_place, take_census
from tests.support.journal import Journal
from tests.support.workers import Worker, worker

WAIT = 30
APP = "tests.process.sharing:app"
ORDER = ["first", "second", "third"]


@pytest.fixture
def shop(broker: Broker) -> Any:
    """The app of this process, on the server of the worker. Afterwards each job must be in one place."""
    sharing.app.use(broker)
    yield sharing
    assert one_place(take_census(broker)) == []


def told(journal: Journal, what: str, pid: int) -> list[str]:
    return [entry.job for entry in journal.entries(what) if entry.pid == pid]


def test_it_is_made_once_in_each_process_and_closed_in_reverse(shop: Any, redis_url: str, journal: Journal) -> None:
    with worker(redis_url, "--procs", "2", "--threads", "4", app=APP) as started:
        pids = set(started.children())
        assert {job.result(WAIT) for job in shop.use.enqueue_many([()] * 200)} <= pids
        assert all(job.result(WAIT) for job in [shop.ause.enqueue() for _ in range(20)])
        assert journal.entries("close") == []
        started.signal(signal.SIGTERM)
        assert started.end() == 0
    for pid in pids:
        assert told(journal, "open", pid) == ORDER
        assert told(journal, "close", pid) == ORDER[::-1]
    assert "cannot close" not in started.log()


def test_it_is_closed_after_the_last_job(shop: Any, redis_url: str, journal: Journal, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with worker(redis_url, "--procs", "1", app=APP) as started:
        job = shop.hold.enqueue(str(fifo))
        journal.wait_for("hold")
        started.signal(signal.SIGTERM)
        started.wait_for("stopping")
        assert journal.entries("close") == []
        fifo.write_bytes(b"go on")
        assert job.result(WAIT)
        assert started.end() == 0
    assert [entry.job for entry in journal.entries("close")] == ORDER[::-1]


def test_a_process_that_is_recycled_closes_it_and_its_successor_makes_its_own(
    shop: Any, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "1", "--max-jobs", "20", app=APP) as started:
        (old,) = started.children()
        for _ in range(20):
            shop.use.enqueue().result(WAIT)
        started.wait_for("recycled")
        new = shop.use.enqueue().result(WAIT)
        assert new != old
        assert (told(journal, "open", old), told(journal, "close", old)) == (ORDER, ORDER[::-1])
        assert (told(journal, "open", new), told(journal, "close", new)) == (ORDER, [])


def test_a_process_that_is_killed_closes_nothing_and_its_successor_makes_its_own(
    shop: Any, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "1", app=APP) as started:
        (old,) = started.children()
        os.kill(old, signal.SIGKILL)
        started.wait_for("process died")
        new = shop.use.enqueue().result(WAIT)
        assert told(journal, "close", old) == []
        assert told(journal, "open", new) == ORDER


def test_a_process_for_jobs_that_run_alone_has_it_too(shop: Any, redis_url: str, journal: Journal) -> None:
    with worker(redis_url, "--procs", "1", app=APP):
        job = shop.die.enqueue()
        with pytest.raises(Exception, match="its process died 3 times"):
            job.result(WAIT)
    opened = Counter(entry.pid for entry in journal.entries("open"))
    assert len(opened) >= 3
    assert set(opened.values()) == {3}


# What goes wrong at first


@pytest.mark.parametrize(
    ("sharing_", "name", "error"),
    [
        ("enter raise", "third", "ConnectionError: the database is away"),
        ("enter exit", "third", "SystemExit: 3"),
        ("aenter raise", "second", "ConnectionError: the database is away"),
        ("aenter exit", "second", "SystemExit: 3"),
    ],
)
def test_what_raises_at_first_is_told_and_ends_the_worker(
    redis_url: str, journal: Journal, sharing_: str, name: str, error: str
) -> None:
    with Worker(redis_url, "--procs", "1", app=APP, SHARING=sharing_) as started:
        said = started.wait_for("cannot start")["error"]
        assert started.end() == exit_codes.FAILED
    assert said.startswith(
        f"cannot enter lifespan 'tests.process.sharing.{name}': it raised\n\nTraceback (most recent call last):\n  File"
    )
    assert "taskq_workers" not in said
    assert "contextlib" not in said
    assert said.endswith(error)
    opened, closed = ([entry.job for entry in journal.entries(what)] for what in ("open", "close"))
    assert closed == opened[::-1] == ORDER[: ORDER.index(name)][::-1]
    assert "process died" not in started.log()


@pytest.mark.parametrize("moment", ["enter", "aenter"])
def test_a_process_that_ends_at_first_ends_the_worker(redis_url: str, journal: Journal, moment: str) -> None:
    with Worker(redis_url, "--procs", "1", app=APP, SHARING=f"{moment} die") as started:
        assert started.wait_for("process died")["exit"] == "exit code 9"
        assert started.end() == exit_codes.FAILED


@pytest.mark.parametrize(
    ("sharing_", "name"),
    [
        ("enter fork", "third"),
        ("aenter fork and exit", "second"),
        ("aclose fork", "second"),
        ("close fork and exit", "third"),
    ],
)
def test_a_copy_that_is_forked_meanwhile_goes_no_further_than_its_own_function(
    shop: Any, redis_url: str, journal: Journal, sharing_: str, name: str
) -> None:
    with worker(redis_url, "--procs", "1", app=APP, SHARING=sharing_) as started:
        (pid,) = started.children()
        assert {job.result(WAIT) for job in shop.use.enqueue_many([()] * 20)} == {pid}
        started.signal(signal.SIGTERM)
        assert started.end() == 0
    assert told(journal, "close", pid) == ORDER[::-1]
    assert {entry.job for entry in journal.entries() if entry.pid != pid} <= {name}
    assert "cannot close" not in started.log()


def test_a_successor_that_cannot_enter_is_tried_again_and_the_others_work_on(
    shop: Any, redis_url: str, journal: Journal, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    with worker(
        redis_url, "--procs", "2", app=APP, SHARING="enter raise while down", SHARING_DOWN=str(down)
    ) as started:
        down.touch()
        killed, other = started.children()
        os.kill(killed, signal.SIGKILL)
        assert "the database is away" in started.wait_for("cannot start")["error"]
        assert shop.use.enqueue().result(WAIT) == other
        down.unlink()
        journal.wait_for("open", 3 * 3 + 2)
        started.signal(signal.SIGTERM)
        assert started.end() == 0


def test_a_stop_while_it_is_being_entered_is_heeded_at_once(redis_url: str, journal: Journal) -> None:
    with Worker(redis_url, "--procs", "1", app=APP, SHARING="enter hang") as started:
        journal.wait_for("open", 2)
        started.signal(signal.SIGTERM)
        assert started.end(5) == 0


# What goes wrong at last


@pytest.mark.parametrize(
    ("sharing_", "name", "error"),
    [
        ("close raise", "third", "ConnectionError: the database is away"),
        ("close exit", "third", "SystemExit: 3"),
        ("aclose raise", "second", "ConnectionError: the database is away"),
        ("aclose exit", "second", "SystemExit: 3"),
    ],
)
def test_what_raises_as_it_closes_is_told_the_others_close_and_every_outcome_is_written(
    shop: Any, redis_url: str, journal: Journal, sharing_: str, name: str, error: str
) -> None:
    with worker(redis_url, "--procs", "1", app=APP, SHARING=sharing_) as started:
        jobs = shop.use.enqueue_many([()] * 50)
        started.signal(signal.SIGTERM)
        said = started.wait_for("cannot close")["error"]
        assert started.end() == 0
    assert said.startswith(f"lifespan 'tests.process.sharing.{name}' raised\n\nTraceback")
    assert said.endswith(error)
    assert [entry.job for entry in journal.entries("close")] == [one for one in ORDER[::-1] if one != name]
    assert {job.status() for job in jobs} <= {"done", "queued"}
    assert "process died" not in started.log()


@pytest.mark.parametrize("moment", ["close", "aclose"])
def test_what_hangs_as_it_closes_ends_with_the_grace(shop: Any, redis_url: str, journal: Journal, moment: str) -> None:
    with worker(redis_url, "--procs", "1", "--grace", "1", app=APP, SHARING=f"{moment} hang") as started:
        job = shop.use.enqueue()
        assert job.result(WAIT)
        started.signal(signal.SIGTERM)
        assert started.end() == 0
    assert job.status() == "done"


def test_what_hangs_as_it_closes_does_not_keep_a_recycled_process(shop: Any, redis_url: str, journal: Journal) -> None:
    flags = ("--procs", "1", "--grace", "1", "--max-jobs", "1")
    with worker(redis_url, *flags, app=APP, SHARING="close hang") as started:
        (old,) = started.children()
        assert shop.use.enqueue().result(WAIT) == old
        assert started.wait_for("process died")["exit"] == "exit code 1"
        assert started.wait_for("recycled")["worker"]
        log = started.log()
    assert "in misbehave" in log  # where it stood


def test_a_job_that_cancels_all_tasks_of_the_loop_closes_what_is_there_and_loses_nothing(
    shop: Any, redis_url: str, journal: Journal
) -> None:
    with worker(redis_url, "--procs", "1", app=APP) as started:
        shop.cancel_all.enqueue().result(WAIT)
        started.signal(signal.SIGTERM)
        said = started.wait_for("cannot close")["error"]
        assert started.end() == 0
    assert said.startswith("lifespan 'tests.process.sharing.second' raised")
    assert said.endswith("CancelledError")
    assert {"first", "third"} <= {entry.job for entry in journal.entries("close")}


def test_a_successor_that_hangs_as_it_starts_shows_where_and_another_takes_its_place(
    shop: Any, redis_url: str, journal: Journal, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    flags = ("--procs", "1", "--max-jobs", "1", "--boot-timeout", "2")
    with worker(redis_url, *flags, app=APP, SHARING="enter hang while down", SHARING_DOWN=str(down)) as started:
        (old,) = started.children()
        down.touch()
        assert shop.use.enqueue().result(WAIT) == old
        assert started.wait_for("killed")["why"].startswith("it was not up after 2.0s (--boot-timeout)")
        down.unlink()
        started.wait_for("process died", exit="SIGKILL")
        assert shop.use.enqueue().result(WAIT)
        started.wait_for("recycled")
        assert "in third" in started.log()
