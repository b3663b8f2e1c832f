"""Group commit: many outcomes, few calls."""

from __future__ import annotations

from typing import Any

import pytest

from taskq.broker.call import Call
from taskq.codec import ErrorInfo
from taskq.lifecycle import Bury, Delay, Finish, Park
from taskq_workers.commits import MOST, MOST_BYTES, bucket, commits
from taskq_workers.outcomes import Settled

ERROR = ErrorInfo(type="builtins.ValueError", text="bad image")


def member(number: int) -> bytes:
    return number.to_bytes(16, "big") + b"default:io"


def settled(number: int, step: Any, record: bytes = b"", history: bytes = b"") -> Settled:
    return Settled(member(number), "io", "tasks.add", step, 0.001, 60.0, record, history)


def done(number: int, record: bytes = b"record") -> Settled:
    return settled(number, Finish(record), record)


def sent(calls: list[Call[Any]]) -> list[tuple[Any, ...]]:
    return [(call.name, *call.args) for call in calls]


def test_nothing_settled_is_nothing_to_write() -> None:
    assert commits("w1", []) == ([], [])


def test_each_kind_of_step_is_one_call() -> None:
    mixed = [
        done(1),
        settled(2, Delay(2.5, ERROR), history=b"h2"),
        settled(3, Bury(ERROR), b"r3", b"h3"),
        settled(4, Park(600.0)),
        done(5),
        settled(6, Delay(0.0, ERROR), history=b"h6"),
        settled(7, Bury(ERROR), b"r7", b"h7"),
        settled(8, Park(600.0)),
    ]
    calls, batch = commits("w1", mixed)
    assert sent(calls) == [
        ("commit", "w1", member(1), 60_000, "b10", b"record", member(5), 60_000, "b10", b"record"),
        ("retry", "w1", member(2), 2500, b"h2", member(6), 0, b"h6"),
        ("bury", "w1", member(3), b"r3", b"h3", member(7), b"r7", b"h7"),
        ("park", "w1", 600_000, member(4), member(8)),
    ]
    assert batch == mixed


@pytest.mark.parametrize(
    ("step", "name"),
    [(Finish(b""), "commit"), (Delay(1.0, ERROR), "retry"), (Bury(ERROR), "bury"), (Park(1.0), "park")],
)
def test_a_kind_that_does_not_occur_is_not_called(step: Any, name: str) -> None:
    calls, _ = commits("w1", [settled(1, step)])
    assert [call.name for call in calls] == [name]


def test_every_call_may_be_sent_twice_and_answers_what_was_dropped() -> None:
    calls, _ = commits("w1", [done(1), settled(2, Delay(1.0, ERROR)), settled(3, Bury(ERROR)), settled(4, Park(1.0))])
    assert all(call.again for call in calls)
    assert [call.parse([member(1)]) for call in calls] == [(member(1),)] * 4


def test_one_batch_has_a_bounded_number_of_jobs_and_the_rest_waits_in_order() -> None:
    todo = [done(number) for number in range(MOST + 3)]
    _, batch = commits("w1", todo)
    assert batch == todo[:MOST]


def test_one_batch_has_a_bounded_number_of_bytes() -> None:
    todo = [done(number, b"x" * (MOST_BYTES // 4)) for number in range(10)]
    _, batch = commits("w1", todo)
    assert batch == todo[:4]


def test_a_record_larger_than_a_batch_is_written_alone() -> None:
    todo = [done(1, b"x" * (MOST_BYTES + 1)), done(2)]
    assert commits("w1", todo)[1] == todo[:1]
    assert commits("w1", todo[::-1])[1] == todo[1:]


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        (0.0, "b0"),
        (0.0000009, "b0"),
        (0.000001, "b1"),
        (0.000512, "b10"),
        (0.0010231, "b10"),
        (0.001024, "b11"),
        (1.0, "b20"),
        (86400.0, "b37"),
        (1e30, "b63"),
    ],
)
def test_run_times_are_counted_by_powers_of_two_of_microseconds(seconds: float, name: str) -> None:
    assert bucket(seconds) == name


def test_a_death_that_a_job_has_heard_of_is_written_before_what_that_job_came_to() -> None:
    heard = settled(2, Bury(ERROR), b"r2", b"h2")
    heard.heard = True
    mother = done(3)
    calls, batch = commits("w1", [done(1), heard, mother])
    assert ([call.name for call in calls], batch) == (["commit", "bury"], [done(1), heard])
    assert commits("w1", [mother])[1] == [mother]
