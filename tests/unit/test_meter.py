"""What a process measures of its jobs: by timing them, and by looking at them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import pytest

from taskq.declaration import Declaration, declare
from taskq.profile import Profile
from taskq_workers import meter as module
from taskq_workers.meter import STRIDE, Meter, Tally
from taskq_workers.probe import CALM_PERIOD, LATE, LONGEST_PERIOD, MOST_REST, PERIOD, Look, Probe, account
from taskq_workers.reporter import Reporter
from taskq_workers.stance import Queue, Seat, hold, rests
from tests.support.clock import FakeClock

PATIENCE = 30.0


def seat_or_skip() -> Seat:
    try:
        return Seat()
    except OSError as error:
        pytest.skip(f"no view of threads here: {error}")


def a_task(name: str = "shop.t", **declared: Any) -> Declaration:
    def func() -> None: ...

    return declare(func, name=name, **declared)


class Time:
    """The clocks that a meter reads, which the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = self.cpu = 1000.0
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        monkeypatch.setattr(module, "thread_time", lambda: self.cpu)

    def run(self, meter: Meter, declared: Declaration, wall: float, cpu: float, row: int = 0) -> None:
        meter.begin(row, declared.name, declared)
        self.now += wall
        self.cpu += cpu
        meter.end(row)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def only(meter: Meter) -> Tally:
    (tally,) = meter.tallies()
    return tally


# Timing


def test_each_job_that_takes_long_is_timed(timed: Time) -> None:
    meter = Meter()
    for _ in range(10):
        timed.run(meter, a_task(), wall=0.5, cpu=0.25)
    assert only(meter).sums == Profile(jobs=10, wall=5, cpu=2.5)


def test_of_short_jobs_one_in_many_is_timed_and_stands_for_the_others(timed: Time) -> None:
    meter = Meter()
    for n in range(1 + 10 * STRIDE):
        timed.run(meter, a_task(), wall=0.0005 if n % STRIDE == 1 or n == 0 else 0.1, cpu=0.0002)
    sums = only(meter).sums
    assert (sums.jobs, sums.wall) == (1 + 10 * STRIDE, pytest.approx((1 + 10 * STRIDE) * 0.0005))
    assert sums.cpu == pytest.approx((1 + 10 * STRIDE) * 0.0002)


def test_jobs_that_run_at_once_are_counted_once_each(timed: Time) -> None:
    meter, task = Meter(), a_task()
    timed.run(meter, task, wall=0.0001, cpu=0.0001)
    for _ in range(20):
        for row in range(STRIDE):
            meter.begin(row, task.name, task)
        for row in range(STRIDE):
            meter.end(row)
    assert only(meter).sums.jobs == 1 + 20 * STRIDE


def test_a_job_of_an_unknown_task_leaves_nothing_behind() -> None:
    meter = Meter()
    for n in range(100):
        meter.begin(0, f"unknown {n}", None)
        meter.end(0)
    assert list(meter.tallies()) == []
    assert meter.running == {}


def test_what_an_executor_had_put_in_another_lane_is_counted_there() -> None:
    meter, task = Meter(), a_task()
    meter.begin(0, task.name, task, "cpu")
    assert only(meter).lane == "cpu"


def test_a_job_that_is_abandoned_is_forgotten(timed: Time) -> None:
    meter, task = Meter(), a_task()
    meter.begin(0, task.name, task)
    meter.drop(0)
    assert (meter.running, only(meter).sums) == ({}, Profile())
    meter.end(0)
    assert only(meter).sums == Profile()


def test_the_thread_of_an_event_loop_says_nothing_of_the_cpu_of_one_coroutine(timed: Time) -> None:
    async def func() -> None: ...

    meter = Meter()
    timed.run(meter, declare(func, name="shop.a"), wall=0.5, cpu=0.25)
    assert only(meter).sums == Profile(jobs=1, wall=0.5)


# Looking


def looked(late: float, *looks: Look) -> None:
    account(late, looks, {look.tally for look in looks})


def test_who_goes_on_without_the_gil_computes_in_c() -> None:
    tally = Tally("c", "io")
    looked(0.0, Look(tally, "runs", used=0.01, free=0.9), Look(tally, "waits"))
    assert tally.sums == Profile(ticks=1, looks=2, waits=1, free=0.9)


def test_who_takes_a_moment_to_stand_still_does_not_go_on() -> None:
    tally = Tally("python", "io")
    looked(0.005, Look(tally, "wants", used=0.01, free=0.05))
    assert tally.sums == Profile(ticks=1, looks=1, delay=0.005)


def test_where_somebody_had_the_gil_and_nobody_wants_it_one_of_those_who_go_on_has_just_let_go_of_it() -> None:
    one, other, python = Tally("one", "io"), Tally("other", "io"), Tally("python", "io")
    looked(LATE * 10, Look(one, "runs", free=1.0))
    looked(LATE * 10, Look(one, "runs", free=1.0), Look(other, "runs", free=1.0))
    assert (one.sums.free, other.sums.free) == (0.5, 0.5)
    looked(LATE * 10, Look(other, "runs", free=1.0), Look(python, "wants"))
    looked(LATE / 2, Look(other, "runs", free=1.0))
    assert other.sums.free == 2.5


def test_the_delay_is_that_of_who_used_the_cpu() -> None:
    python, sleeps, hashes = Tally("python", "io"), Tally("sleeps", "io"), Tally("hashes", "io")
    hashes.sums = Profile(jobs=1, wall=1.0, cpu=0.5, looks=10, free=5.0)  # all that it computes is without the GIL
    looked(
        0.1, Look(python, "wants", used=0.0099), Look(sleeps, "waits", used=0.0001), Look(hashes, "wants", used=0.05)
    )
    assert (python.sums.delay, sleeps.sums.delay) == (pytest.approx(0.099), pytest.approx(0.001))
    assert hashes.sums.delay == 0.0


def test_who_stood_in_line_for_a_core_was_not_seen() -> None:
    tally = Tally("t", "io")
    account(0.0, [Look(tally, "runs", free=0.0), Look(tally, "runs", free=0.9), Look(tally, "wants")], {tally})
    assert (tally.sums.looks, tally.sums.free) == (2, 0.9)


def test_a_tick_is_one_for_a_task_however_many_of_its_jobs_run() -> None:
    tally, other = Tally("t", "io"), Tally("unseen", "async")
    account(0.0, [Look(tally, "waits")] * 5, {tally, other})
    assert (tally.sums.ticks, tally.sums.looks, other.sums) == (1, 5, Profile(ticks=1))


# Threads as they are


@contextmanager
def busy(work: Callable[[], object]) -> Iterator[Seat]:
    """The seat of a thread that does this again and again."""
    seats: list[Seat] = []
    sat, stop = threading.Event(), threading.Event()

    def run() -> None:
        with suppress(OSError):
            seats.append(Seat())
        sat.set()
        while not stop.is_set():
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert sat.wait(PATIENCE)
    yield seats[0]
    stop.set()
    thread.join(PATIENCE)


def count() -> None:
    for _ in range(10_000):
        pass


DATA = bytes(1 << 22)


def test_a_thread_is_seen_waiting_computing_and_wanting_the_gil() -> None:
    seat_or_skip()
    names = ("sleeps", "counts", "hashes")
    with busy(lambda: time.sleep(0.05)) as sleeps, busy(count) as counts, busy(lambda: hashlib.sha256(DATA)) as hashes:
        seen = Counter[str]()
        while seen["looks"] < 50:
            time.sleep(0.005)
            rested = rests()
            hold(0.0002)  # let them come to rest
            looks = [f"{name} {seat.stance()}" for name, seat in zip(names, (sleeps, counts, hashes), strict=True)]
            if rests() - rested == 1:  # the GIL was kept
                seen.update(["looks", *looks])
    assert seen["sleeps waits"] > 25
    assert seen["counts wants"] > 25
    assert seen["hashes runs"] > 0
    assert seen["counts waits"] == seen["hashes waits"] == 0


def test_time_in_line_for_a_core_only_grows() -> None:
    queue = Queue()
    before = queue.seconds()
    count()
    assert queue.seconds() >= before >= 0.0


class NoLoop:
    def stepping(self) -> Tally | None:
        return None

    def last_turn(self) -> float:
        return monotonic()


@contextmanager
def a_lane(meter: Meter, row: int, task: Declaration, work: Callable[[], object]) -> Iterator[None]:
    """A thread that runs one long job of `task`."""
    began, stop = threading.Event(), threading.Event()

    def run() -> None:
        meter.sit(row)
        meter.begin(row, task.name, task)
        began.set()
        while not stop.is_set():
            work()
        meter.end(row)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert began.wait(PATIENCE)
    yield
    stop.set()
    thread.join(PATIENCE)


def eventually(holds: Callable[[], bool]) -> None:
    until = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < until
        time.sleep(0.01)


def test_the_probe_sees_what_runs_and_sleeps_without_jobs() -> None:
    seat_or_skip()
    meter = Meter()
    probe = Probe(meter, NoLoop())
    assert probe.asleep
    with (
        a_lane(meter, 0, a_task("python"), count),
        a_lane(meter, 1, a_task("sleeps"), lambda: time.sleep(0.02)),
    ):
        probe.wake()
        eventually(lambda: all(tally.sums.looks > 30 for tally in meter.tallies()))
        assert not probe.asleep
    eventually(lambda: probe.asleep)
    sums = {tally.task: tally.sums for tally in meter.tallies()}
    assert sums["python"].waits == 0
    assert sums["python"].free < 0.2 * sums["python"].looks
    assert sums["sleeps"].waits > 0.2 * sums["sleeps"].looks
    assert sums["python"].delay > sums["sleeps"].delay


def test_it_looks_seldom_once_there_is_nothing_to_learn_and_more_so_where_nobody_computes() -> None:
    probe, tally = Probe(Meter(), NoLoop()), Tally("t", "io")
    waits, computes = [Look(tally, "waits")], [Look(tally, "wants"), Look(tally, "waits")]
    assert probe._next_pause(waits, 0.00001, familiar=False) == PERIOD
    assert probe._next_pause(computes, 0.0005, familiar=False) == 0.05
    assert probe._next_pause(computes, 0.5, familiar=False) == MOST_REST
    assert probe._next_pause(computes, 0.00001, familiar=True) == CALM_PERIOD
    assert probe._next_pause(computes, 0.001, familiar=True) == 2.0
    for looks in (waits, []):
        probe._pause = PERIOD
        for _ in range(20):
            probe._pause = probe._next_pause(looks, 0.0001, familiar=True)
        assert probe._pause == LONGEST_PERIOD


@pytest.mark.parametrize(("rested", "seen"), [([5, 6], 1), ([5, 7], 0)], ids=["kept", "lost"])
def test_what_was_seen_without_the_gil_does_not_count(
    monkeypatch: pytest.MonkeyPatch, rested: list[int], seen: int
) -> None:
    meter, task = Meter(), a_task()
    meter.begin(0, task.name, task)
    monkeypatch.setattr("taskq_workers.probe.rests", iter(rested).__next__)
    Probe(meter, NoLoop())._tick(0.0)
    assert only(meter).sums.ticks == seen


class Stuck:
    """A loop that a coroutine of `tally` holds, and that does not turn."""

    def __init__(self, tally: Tally):
        self.tally, self.turned = tally, 0.0

    def stepping(self) -> Tally | None:
        return self.tally

    def last_turn(self) -> float:
        return self.turned


def test_a_coroutine_that_holds_its_loop_for_long_is_seen() -> None:
    tally = Tally("blocks", "async")
    loop = Stuck(tally)
    probe = Probe(Meter(), loop)
    for now in (1000.0, 1000.05, 1000.15):
        probe._note_step(tally, now)
        probe._looked = now
    assert tally.sums.held == pytest.approx(0.1)
    loop.turned = 1000.16
    probe._note_step(tally, 1000.2)
    assert tally.sums.held == pytest.approx(0.1)


# Reporting


class Desk:
    """A reporter whose hints are kept."""

    def __init__(self) -> None:
        self.meter, self.clock = Meter(), FakeClock()
        self.hints: list[dict[str, Any]] = []
        self.reporter = Reporter(self.meter, self.clock, self.hints.append)

    def tally(self, lane: str, profile: Profile) -> Tally:
        tally = self.meter._tallies[lane] = Tally(f"shop.{lane}", lane, profile)
        return tally


COMPUTES = Profile(jobs=100, wall=2.0, cpu=2.0, ticks=100, looks=100, delay=0.5)


def test_what_came_since_is_reported_now_and_then_and_nothing_when_nothing_ran() -> None:
    desk = Desk()
    tally = desk.tally("cpu", COMPUTES)
    assert desk.reporter.due() == []
    desk.clock.advance(10)
    (call,) = desk.reporter.due()
    assert call.args[2:] == ("shop.cpu", "cpu", COMPUTES.numbers())
    desk.clock.advance(10)
    assert desk.reporter.due() == []
    tally.sums.jobs += 1
    desk.clock.advance(10)
    (call,) = desk.reporter.due()
    assert call.args[4] == "1 0 0 0 0 0 0 0 0 0"
    assert desk.reporter.rest() == []


def test_a_task_that_holds_the_gil_in_the_io_lane_is_told_of_once() -> None:
    desk = Desk()
    desk.tally("io", COMPUTES)
    desk.tally("cpu", COMPUTES)
    for _ in range(3):
        desk.reporter.rest()
    why = "holds the GIL 100% of its time: others get it 5.0ms late"
    assert desk.hints == [{"task": "shop.io", "why": why, "hint": 'pool="cpu"'}]


def test_a_coroutine_that_blocks_its_loop_is_told_of() -> None:
    desk = Desk()
    desk.tally("async", Profile(jobs=10, wall=20.0, ticks=100, looks=50, waits=45, loop=2.0, held=1.5))
    desk.reporter.rest()
    assert [(hint["task"], hint["hint"]) for hint in desk.hints] == [("shop.async", 'pool="io"')]
