"""What `taskq status` makes of the numbers, and when it says that something is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.broker.records import QueueRow, WorkerRow
from taskq.cli.picture import fleet, pause_note, paused_by, picture, quantile, state_of, troubles
from taskq.codec import Envelope, encode_job

NOW = 1_700_000_010.0
"""In the middle of a minute."""


def body(age: float) -> bytes:
    return encode_job(Envelope(task="t", args=(), kwargs={}, enqueued_at=NOW - age))


def row(name: str = "mail", **values: Any) -> QueueRow:
    known: dict[str, Any] = {"ready": 0, "delayed": 0, "parked": 0, "dead": 0, "paused": None, "oldest": None}
    return QueueRow(name=name, **{**known, **values})


def worker(epoch: str = "h-1-0", queues: str = "mail", lease: float = 10.0, held: tuple[bytes, ...] = ()) -> WorkerRow:
    info = {"supervisor": epoch.rpartition("-")[0], "queues": queues, "slots": "16 io + 1 cpu + 100 async"}
    return WorkerRow(epoch, lease, held, info)


def wrong(*rows: QueueRow, workers: tuple[WorkerRow, ...] = ()) -> list[str]:
    return troubles(picture(rows, workers, NOW), fleet(workers))


# Numbers


def test_rates_count_the_minute_that_is_under_way_for_what_has_passed_of_it() -> None:
    (line,) = picture([row(counters={"enqueued": 190, "done": 90, "dead": 5})], [], NOW)
    assert (line.came, line.went) == pytest.approx((20.0, 10.0))
    assert (line.died, line.ended) == (5, 95)


def test_running_is_what_the_workers_hold() -> None:
    held = (b"a" * 16 + b"mail:io", b"b" * 16 + b"mail:cpu:7", b"c" * 16 + b"low:io")
    mail, low = picture([row(), row("low")], [worker(held=held[:1]), worker("h-1-1", held=held[1:])], NOW)
    assert (mail.running, low.running) == (2, 1)


def test_only_living_workers_work_on_a_queue() -> None:
    mail, low = picture([row(), row("low")], [worker(queues="mail,low"), worker("x-0", lease=-1.0)], NOW)
    assert (mail.processes, low.processes) == (1, 1)


@pytest.mark.parametrize(("oldest", "age"), [(body(90), 90.0), (body(-5), 0.0), (b"nonsense", None), (None, None)])
def test_the_age_of_the_oldest_is_read_from_its_body(oldest: bytes | None, age: float | None) -> None:
    (line,) = picture([row(oldest=oldest)], [], NOW)
    assert line.oldest == (age if age is None else pytest.approx(age))


@pytest.mark.parametrize(
    ("counters", "share", "seconds"),
    [
        ({}, 0.5, None),
        ({"done": 5}, 0.5, None),
        ({"b10": 100}, 0.5, 768e-6),
        ({"b10": 100}, 1.0, 1024e-6),
        ({"b0": 10}, 0.5, 0.5e-6),
        ({"b10": 90, "b20": 10}, 0.5, (512 + 512 * 50 / 90) / 1e6),
        ({"b10": 90, "b20": 10}, 0.95, (2**19 + 2**19 * 0.5) / 1e6),
    ],
)
def test_quantiles_are_read_from_the_buckets(counters: dict[str, int], share: float, seconds: float | None) -> None:
    found = quantile(counters, share)
    assert found == (seconds if seconds is None else pytest.approx(seconds))


def test_a_fleet_is_counted_by_supervisors_processes_and_slots() -> None:
    rows = (
        worker("a-0"),
        worker("a-1", held=(b"x" * 23,)),
        worker("b-0"),
        worker("c-0", lease=-2.0, held=(b"y" * 23,)),
    )
    found = fleet(rows)
    assert (found.workers, found.processes, found.slots, found.busy) == (2, 3, 351, 1)
    assert [late.epoch for late in found.late] == ["c-0"]


# What is wrong


def test_nothing_is_wrong_where_jobs_wait_shortly_for_a_living_worker() -> None:
    assert wrong(row(ready=5, oldest=body(3), counters={"enqueued": 50}), workers=(worker(),)) == []
    assert wrong() == []


def test_jobs_without_any_worker_are_wrong() -> None:
    assert wrong(row(ready=2, delayed=1)) == [
        "3 jobs in line or delayed, and no worker is alive: taskq worker -A module:app"
    ]


def test_jobs_of_a_queue_that_nobody_works_on_are_wrong() -> None:
    assert wrong(row("low", ready=1), row(ready=1), workers=(worker(),)) == [
        "low: 1 job in line, and no worker works on this queue: --queues low"
    ]


def test_a_paused_queue_may_have_jobs_in_line() -> None:
    paused = row(ready=2, paused="ops 1", oldest=body(999), counters={"enqueued": 99})
    assert wrong(paused) == []
    assert wrong(paused, workers=(worker(queues="low"),)) == []


@pytest.mark.parametrize(
    ("age", "done", "is_wrong"), [(61, 10, True), (59, 10, False), (61, 99, False)], ids=["both", "young", "faster"]
)
def test_falling_behind_is_more_coming_than_going_and_a_long_wait(age: float, done: int, is_wrong: bool) -> None:
    line = row(ready=5, oldest=body(age), counters={"enqueued": 50, "done": done})
    found = wrong(line, workers=(worker(),))
    assert bool(found) == is_wrong
    if is_wrong:
        assert found == ["mail: more comes than goes, and the first in line has waited 1m01: add workers"]


def test_parked_and_dying_jobs_are_wrong() -> None:
    assert wrong(row(parked=1, dead=9, counters={"dead": 2}), workers=(worker(),)) == [
        "mail: no worker knows the task of 1 job: taskq jobs list --state parked",
        "mail: 2 jobs died in 10 min: taskq dead list --queue mail",
    ]


def test_old_dead_letters_are_not_wrong() -> None:
    assert wrong(row(dead=9), workers=(worker(),)) == []


def test_a_worker_whose_lease_ran_out_and_who_holds_jobs_is_wrong() -> None:
    assert wrong(workers=(worker("h-1-0", lease=-20.0, held=(b"x" * 23,)), worker("h-2-0", lease=-20.0))) == [
        "h-1-0: its lease ran out 20.0s ago, and it holds 1 job: they are given to others once a worker runs"
    ]


# The state of a queue


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, ""),
        ({"ready": 1}, ""),
        ({"parked": 2}, "2 parked"),
        ({"ready": 5, "oldest": body(99), "counters": {"enqueued": 9}}, "falling behind"),
        ({"ready": 5, "paused": pause_note("ops@web", NOW - 1200)}, "PAUSED by ops@web 20m00 ago"),
    ],
)
def test_a_queue_has_a_state_in_a_few_words(values: dict[str, Any], state: str) -> None:
    (line,) = picture([row(**values)], [worker()], NOW)
    assert state_of(line, NOW) == state


@pytest.mark.parametrize(("ready", "state"), [(2, ""), (3, "full (3)"), (5, "full (3)")])
def test_a_bounded_queue_without_room_says_so(ready: int, state: str) -> None:
    (line,) = picture([row(ready=ready, terms="lifo 3")], [worker()], NOW)
    assert (line.order, line.max_length) == ("lifo", 3)
    assert state_of(line, NOW) == state


def test_a_queue_with_jobs_and_without_workers_says_so() -> None:
    (line,) = picture([row(ready=1)], [], NOW)
    assert state_of(line, NOW) == "no worker"


@pytest.mark.parametrize("note", ["somebody", "a b", "", "9"])
def test_a_pause_that_others_wrote_is_shown_as_it_is(note: str) -> None:
    assert paused_by(note, NOW) == f"by {note}"
