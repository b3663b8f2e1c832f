"""What a payload can say, and that none of it is more than its task's declaration allows."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from taskq.app import TaskQ
from taskq.broker.records import Claimed
from taskq.codec import Envelope, encode_history, encode_job
from taskq.lifecycle import Bury, Delay
from taskq.values import pack
from taskq_workers.runner import Run, Runner
from tests.support.clock import FakeClock

ID = bytes(16)


def fail() -> None:
    raise ValueError


@pytest.fixture
def runner() -> Runner:
    app = TaskQ()
    app.task(name="t", retries=2, timeout=5, result_ttl=60, queue="mail", pool="io", no_retry_on=KeyError)(fail)
    return Runner(app.tasks, "w1", size_limit=app.size_limit, clock=FakeClock(), chance=lambda: 0.5)


def opened(runner: Runner, body: bytes, **claimed: Any) -> Run:
    return runner.open(Claimed(ID + b"mail:io", body, **claimed))


def test_a_payload_says_what_to_call_and_nothing_of_how() -> None:
    said = {field.name for field in fields(Envelope)} - {"named"}  # this is found in the arguments
    assert said == {"task", "args", "kwargs", "enqueued_at", "key", "route"}


@pytest.mark.parametrize("route", ["other:cpu:9", "mail:async", "mail:solo", "", "x" * 1000, "\n"])
def test_the_route_in_a_payload_moves_no_job(runner: Runner, route: str) -> None:
    body = encode_job(Envelope(task="t", args=(), kwargs={}, enqueued_at=1.0, route=route))
    run = opened(runner, body)
    assert (run.lane, run.describe().queue, run.member) == ("io", "mail", ID + b"mail:io")


def test_retries_timeout_and_ttl_are_those_of_the_declaration(runner: Runner) -> None:
    options: dict[str, Any] = {"retries": 99, "timeout": 1e9, "result_ttl": 1e9, "pool": "cpu", "queue": "other"}
    run = opened(runner, encode_job(Envelope(task="t", args=(), kwargs=options, enqueued_at=1.0)))
    assert run.timeout == 5
    settled = runner.settle(run, runner.call(run))
    assert settled.ttl == 60
    assert settled.member == ID + b"mail:io"
    assert run.describe().retries == 2


@pytest.mark.parametrize("more", [99, {"retries": 99}, ["retries", 99]])
def test_a_payload_with_more_than_it_may_say_is_malformed(runner: Runner, more: object) -> None:
    run = opened(runner, pack([1, "t", [], {}, 1.0, None, "mail:io", more]))
    assert isinstance(runner.settle(run, runner.call(run)).step, Bury)
    assert run.declaration is None


@pytest.mark.parametrize(("count", "step"), [(0, Delay), (1, Delay), (2, Bury), (2**53, Bury)])
def test_attempts_are_counted_where_no_payload_reaches(runner: Runner, count: int, step: type) -> None:
    body = encode_job(Envelope(task="t", args=(), kwargs={}, enqueued_at=1.0))
    run = opened(runner, body, history=encode_history(count, []))
    assert isinstance(runner.settle(run, runner.call(run)).step, step)


def test_no_count_of_attempts_is_negative(runner: Runner) -> None:
    run = opened(runner, encode_job(Envelope(task="t", args=(), kwargs={}, enqueued_at=1.0)), history=pack([1, -5, []]))
    assert isinstance(runner.settle(run, runner.call(run)).step, Bury)
