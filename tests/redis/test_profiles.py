"""What is known of tasks: how reports add up and fade in Redis, and what `taskq advise` makes of it."""

from __future__ import annotations

import pytest

from taskq import exit_codes
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.profile import HALF_LIFE, MOST_TASKS, Profile, read_stored
from tests.redis.test_cli import Site
from tests.support.bench import Bench
from tests.support.clock import FakeClock
from tests.support.console import Console

COMPUTES = Profile(jobs=100, wall=2, cpu=2, ticks=100, looks=100, delay=0.5)
SLEEPS = Profile(jobs=100, wall=5, cpu=0.01, ticks=100, looks=100, waits=99)


def report(broker: Broker, task: str, profile: Profile, lane: str = "io", most: int = MOST_TASKS) -> int:
    return broker.run(calls.profile(HALF_LIFE, most, [(task, lane, profile.numbers())]))


def stored(broker: Broker) -> dict[str, str]:
    return broker.run(calls.profiles(broker.key("profiles")))


def known(broker: Broker, task: str) -> Profile:
    found = read_stored(stored(broker)[task])
    assert found is not None
    return found.profile


def test_reports_add_up(bench: Bench) -> None:
    assert report(bench.broker, "shop.t", COMPUTES) == 1
    assert report(bench.broker, "shop.t", COMPUTES) == 0
    assert known(bench.broker, "shop.t") == Profile(jobs=200, wall=4, cpu=4, ticks=200, looks=200, delay=1)


def test_what_is_old_counts_half(bench: Bench) -> None:
    report(bench.broker, "shop.t", COMPUTES)
    bench.clock.advance(HALF_LIFE)
    report(bench.broker, "shop.t", Profile(jobs=7, wall=1, cpu=1))
    found = read_stored(stored(bench.broker)["shop.t"])
    assert found is not None
    assert found.profile == Profile(jobs=57, wall=2, cpu=2, ticks=50, looks=50, delay=0.25)
    assert found.last - found.first == HALF_LIFE


def test_a_task_that_moved_to_another_lane_begins_anew(bench: Bench) -> None:
    report(bench.broker, "shop.t", COMPUTES, "io")
    report(bench.broker, "shop.t", SLEEPS, "cpu")
    found = read_stored(stored(bench.broker)["shop.t"])
    assert found is not None
    assert (found.lane, found.profile) == ("cpu", SLEEPS)


def test_a_task_can_have_any_name(bench: Bench) -> None:
    for name in ("two words", "\N{SNOWMAN}", "a:b{c}"):
        report(bench.broker, name, SLEEPS)
    assert set(stored(bench.broker)) == {"two words", "\N{SNOWMAN}", "a:b{c}"}


def test_there_are_not_more_tasks_than_may_be(bench: Bench) -> None:
    for n in range(20):
        report(bench.broker, f"shop.t{n}", SLEEPS, most=5)
    left = stored(bench.broker)
    assert len(left) == 5
    assert "shop.t19" in left


@pytest.mark.parametrize(
    "garbage", [b"", b"io", b"\xff" * 100, b"io 1 2 nan inf" + b" 1" * 8, b"io x y" + b" z" * 10, b" " * 1000]
)
def test_garbage_is_written_over(bench: Bench, garbage: bytes) -> None:
    bench.ask("HSET", bench.broker.key("profiles"), "shop.t", garbage)
    bench.ask("HSET", bench.broker.key("profiles"), b"\xff\x1b[2J", garbage)
    assert Console(bench.broker, bench.clock)("advise").code == exit_codes.OK
    report(bench.broker, "shop.t", COMPUTES)
    report(bench.broker, "shop.t", COMPUTES)
    assert known(bench.broker, "shop.t").jobs == 200


def test_all_is_forgotten_when_nothing_has_run_for_a_week(bench: Bench) -> None:
    report(bench.broker, "shop.t", COMPUTES)
    assert 0 < bench.ask("TTL", bench.broker.key("profiles")) <= 7 * 86_400


# taskq advise


@pytest.fixture
def console(broker: Broker, clock: FakeClock) -> Console:
    return Console(broker, clock)


def test_advice_needs_something_measured(console: Console) -> None:
    said = console("advise")
    assert (said.code, said.out) == (exit_codes.OK, "")
    assert said.err == "nothing has been measured yet: workers report every 10 s what their jobs take\n"
    assert console("advise", "--json").data["tasks"] == []


def test_advice_says_what_tasks_are_and_what_to_start(broker: Broker, console: Console, clock: FakeClock) -> None:
    Site(broker, clock).register()
    report(broker, "shop.count", COMPUTES)
    report(broker, "shop.mail", SLEEPS)
    report(broker, "shop.new", Profile(jobs=1, wall=1, cpu=0.5, ticks=3, looks=3))
    clock.advance(10)
    said = console("advise")
    assert (said.code, said.err) == (exit_codes.OK, "")
    header, *rows = said.rows
    assert header[:4] == ["TASK", "LANE", "BETTER", "IS"]
    assert [row[:4] for row in rows[:3]] == [
        ["shop.count", "io", "cpu", "computes in Python"],
        ["shop.mail", "io", "-", "waits"],
        ["shop.new", "io", "-", "too little data"],
    ]
    assert " shop.new      seen running 3 times, 15 are needed\n" in said.out
    assert "; 1 worker at work\n --procs " in said.out
    data = console("advise", "--json").data
    assert [task["is"] for task in data["tasks"]] == ["python", "waits", "unknown"]
    assert data["tasks"][0]["jobs_per_second"] == pytest.approx(5, rel=0.01)
    assert data["host"]["threads"] == 16
    assert data["host"]["procs"] == data["host"]["cores"]
