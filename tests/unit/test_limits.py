"""Interrupting and abandoning jobs, and never anything but a job."""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from taskq import exit_codes
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import TimeLimit
from taskq_workers.limits import HARD_AFTER, Ticket, Watch, close, raise_in
from tests.support.clock import FakeClock

PATIENCE = 20.0


@contextmanager
def threads_take_turns_often() -> Iterator[None]:
    """And no callback of the garbage collector (hypothesis has one) comes between: Python swallows what it raises."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(usual)


# The ticket


def test_the_first_to_take_a_ticket_keeps_it() -> None:
    ticket = Ticket()
    assert ticket.take("job")
    assert not ticket.take("watch")
    assert ticket.take("job")


def test_the_watch_may_be_first() -> None:
    ticket = Ticket()
    assert ticket.take("watch")
    assert not ticket.take("job")


def test_a_running_job_is_interrupted_once() -> None:
    ticket, done = Ticket(), list[int]()
    assert not ticket.interrupted
    ticket.interrupt(lambda: done.append(1))
    ticket.interrupt(lambda: done.append(2))
    assert (done, ticket.interrupted) == ([1], True)


@pytest.mark.parametrize("who", ["job", "watch"])
def test_a_job_that_has_ended_is_not_interrupted(who: str) -> None:
    ticket, done = Ticket(), list[int]()
    ticket.take(who)
    ticket.interrupt(lambda: done.append(1))
    assert (done, ticket.interrupted) == ([], False)


def test_a_job_cannot_end_while_it_is_being_interrupted() -> None:
    ticket, order, started = Ticket(), list[str](), threading.Event()

    def end() -> None:
        started.set()
        ticket.take("job")
        order.append("ended")

    thread = threading.Thread(target=end)

    def interrupt() -> None:
        thread.start()
        started.wait(PATIENCE)
        order.append("interrupted")

    ticket.interrupt(interrupt)
    thread.join(PATIENCE)
    assert order == ["interrupted", "ended"]


@pytest.mark.parametrize("round_", range(20))
def test_of_two_threads_exactly_one_gets_the_ticket(round_: int) -> None:
    ticket, barrier, got = Ticket(), threading.Barrier(2), list[bool]()

    def take(who: str) -> None:
        barrier.wait(PATIENCE)
        got.append(ticket.take(who))

    threads = [threading.Thread(target=take, args=(who,)) for who in ("job", "watch")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(got) == [False, True]


# Interrupting


def test_a_thread_that_is_busy_with_python_is_interrupted() -> None:
    started, ended = threading.Event(), list[str]()

    def job() -> None:
        try:
            started.set()
            while True:
                pass
        except TimeLimit:
            ended.append("interrupted")

    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    assert started.wait(PATIENCE)
    raise_in(thread.ident or 0)
    thread.join(PATIENCE)
    assert ended == ["interrupted"]


def test_a_thread_that_waits_in_c_is_interrupted_when_the_call_returns() -> None:
    started, ended, box = threading.Event(), list[object](), SimpleQueue[int]()

    def job() -> None:
        try:
            started.set()
            box.get()
            ended.append("returned")
        except TimeLimit:
            ended.append("interrupted")

    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    assert started.wait(PATIENCE)
    raise_in(thread.ident or 0)
    box.put(1)
    thread.join(PATIENCE)
    assert ended == ["interrupted"]


def test_the_jobs_own_except_exception_does_not_eat_a_time_limit() -> None:
    assert not issubclass(TimeLimit, Exception)


def test_a_thread_that_does_not_exist_is_not_interrupted() -> None:
    raise_in(2**40 + 12345)


def hammer(rounds: int, job: Callable[[], object]) -> tuple[int, int, int]:
    """Interrupt jobs of one thread about when they end: how many were hit, how many not, how many strays came after."""
    tickets, finished = SimpleQueue[Ticket | None](), threading.Event()
    interrupted, untouched, strays = 0, 0, 0

    def work() -> None:
        nonlocal interrupted, untouched, strays
        me = threading.get_ident()
        for _ in range(rounds):
            try:
                ticket = Ticket()
                try:
                    tickets.put(ticket)
                    job()
                    close(ticket, me)
                    untouched += 1
                except TimeLimit:
                    close(ticket, me)
                    interrupted += 1
                for _ in range(10):
                    str(rounds)
            except TimeLimit:
                strays += 1
        tickets.put(None)
        finished.set()

    thread = threading.Thread(target=work, daemon=True)
    with threads_take_turns_often():
        thread.start()
        while (ticket := tickets.get(timeout=PATIENCE)) is not None:
            ticket.interrupt(lambda: raise_in(thread.ident or 0))
        assert finished.wait(PATIENCE)
        thread.join(PATIENCE)
    return interrupted, untouched, strays


def test_no_time_limit_reaches_a_thread_whose_job_has_just_ended() -> None:
    chance = random.Random(1)

    def job() -> None:
        for _ in range(chance.randrange(400)):
            str(chance)

    interrupted, untouched, strays = hammer(5000, job)
    assert strays == 0
    assert interrupted + untouched == 5000
    assert min(interrupted, untouched) > 20, "the interruptions did not meet the ends of jobs"


# The watch


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def watch(clock: FakeClock) -> Iterator[Watch]:
    watch = Watch(clock)
    yield watch
    for row in range(10):
        watch.release(row)
    look(watch)


def look(watch: Watch) -> None:
    """Have the watch look at its clock, which cannot wake it: by a job whose limits are long past."""
    looked = threading.Event()
    watch.guard(99, -1e9, Ticket(), looked.set, looked.set)
    assert looked.wait(PATIENCE)


class Job:
    """A guarded job, and what the watch did to it."""

    def __init__(self, watch: Watch, row: int, timeout: float):
        self.ticket, self.interrupted, self.abandoned = Ticket(), threading.Event(), threading.Event()
        self.deadline = watch.guard(row, timeout, self.ticket, self.interrupted.set, self.abandoned.set)

    @property
    def touched(self) -> tuple[bool, bool]:
        return self.interrupted.is_set(), self.abandoned.is_set()


def test_the_hard_limit_is_five_seconds_after_the_soft_one(watch: Watch, clock: FakeClock) -> None:
    clock.advance(100)
    assert Job(watch, 0, 30.0).deadline == 135.0


def test_a_job_is_interrupted_at_its_soft_limit_and_abandoned_at_its_hard_one(watch: Watch, clock: FakeClock) -> None:
    job = Job(watch, 0, 30.0)
    clock.advance(29.9)
    look(watch)
    assert job.touched == (False, False)
    clock.advance(0.2)
    look(watch)
    assert job.interrupted.wait(PATIENCE)
    clock.advance(4.8)
    look(watch)
    assert job.touched == (True, False)
    clock.advance(0.2)
    look(watch)
    assert job.abandoned.wait(PATIENCE)
    assert not job.ticket.take("job")


def test_a_job_is_interrupted_only_once(watch: Watch, clock: FakeClock) -> None:
    times = list[float]()
    watch.guard(0, 1.0, Ticket(), lambda: times.append(clock.monotonic()), lambda: None)
    for _ in range(4):
        clock.advance(1.0)
        look(watch)
    assert times == [1.0]


def test_a_job_that_ended_in_time_is_left_alone(watch: Watch, clock: FakeClock) -> None:
    job = Job(watch, 0, 30.0)
    assert job.ticket.take("job")
    watch.release(0)
    clock.advance(1000)
    look(watch)
    assert job.touched == (False, False)


def test_a_job_that_ended_and_is_not_released_yet_is_left_alone(watch: Watch, clock: FakeClock) -> None:
    job = Job(watch, 0, 30.0)
    assert job.ticket.take("job")
    clock.advance(1000)
    look(watch)
    assert job.touched == (False, False)
    assert job.ticket.take("job")


def test_a_job_that_answers_its_interruption_keeps_its_ticket(watch: Watch, clock: FakeClock) -> None:
    job = Job(watch, 0, 30.0)
    clock.advance(31)
    look(watch)
    assert job.interrupted.wait(PATIENCE)
    assert job.ticket.take("job")
    watch.release(0)
    clock.advance(10)
    look(watch)
    assert not job.abandoned.is_set()


def test_a_job_far_beyond_both_limits_is_abandoned_at_once(watch: Watch, clock: FakeClock) -> None:
    job = Job(watch, 0, 30.0)
    clock.advance(40)
    look(watch)
    assert job.abandoned.wait(PATIENCE)
    assert not job.interrupted.is_set()


def test_the_next_job_of_a_slot_has_a_limit_of_its_own(watch: Watch, clock: FakeClock) -> None:
    first = Job(watch, 0, 30.0)
    first.ticket.take("job")
    watch.release(0)
    clock.advance(29)
    second = Job(watch, 0, 30.0)
    clock.advance(2)
    look(watch)
    assert second.touched == (False, False)
    clock.advance(30)
    look(watch)
    assert second.interrupted.wait(PATIENCE)
    assert first.touched == (False, False)


def test_many_jobs_are_each_watched(watch: Watch, clock: FakeClock) -> None:
    jobs = [Job(watch, row, 10.0 * (row + 1)) for row in range(9)]
    clock.advance(45)
    look(watch)
    for job in jobs[:4]:
        assert job.abandoned.wait(PATIENCE) if job.deadline <= 45 else job.interrupted.wait(PATIENCE)
    assert [job.touched for job in jobs[4:]] == [(False, False)] * 5


def test_a_shorter_limit_wakes_the_watch_from_a_longer_one() -> None:
    watch = Watch(SYSTEM_CLOCK)
    long = Job(watch, 0, 1000.0)
    short = Job(watch, 1, 0.001)
    assert short.interrupted.wait(PATIENCE)
    assert long.touched == (False, False)
    watch.release(0)
    watch.release(1)


def test_a_watch_that_fails_ends_the_process_as_nobody_would_hold_the_limits(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    codes: SimpleQueue[int] = SimpleQueue()
    monkeypatch.setattr("taskq_workers.fatal.os._exit", codes.put)
    Watch(FakeClock()).guard(0, -100.0, Ticket(), lambda: None, lambda: {}["the board"])
    assert codes.get(timeout=PATIENCE) == exit_codes.FAILED
    assert "KeyError: 'the board'" in capfd.readouterr().err


def test_no_thread_is_started_before_the_first_limit() -> None:
    before = threading.active_count()
    watch = Watch(FakeClock())
    watch.release(0)
    assert threading.active_count() == before


# Shelter


def test_a_sheltered_job_is_interrupted_when_it_goes_on() -> None:
    clock, interrupts, ticket = FakeClock(), list[float](), Ticket()
    watch = Watch(clock)
    ticket.shelter()
    watch.guard(ticket, 1.0, ticket, lambda: interrupts.append(clock.monotonic()), lambda: None)
    clock.advance(60)
    watch._changed.acquire()  # the watch thread can have nothing to do with it
    watch._changed.notify()
    watch._changed.release()
    assert interrupts == []
    assert watch.postpone(ticket) == clock.monotonic() + HARD_AFTER
    watch.expose(ticket)
    assert interrupts == [clock.monotonic()]


def test_a_job_that_was_sheltered_in_time_is_watched_again() -> None:
    ticket, interrupted = Ticket(), threading.Event()
    watch = Watch(SYSTEM_CLOCK)
    ticket.shelter()
    deadline = watch.guard(ticket, 0.05, ticket, interrupted.set, lambda: None)
    assert watch.postpone(ticket) >= deadline
    watch.expose(ticket)
    assert interrupted.wait(PATIENCE)
    watch.release(ticket)


def test_of_a_job_that_was_abandoned_nothing_is_left_to_go_on() -> None:
    watch, ticket = Watch(FakeClock()), Ticket()
    assert watch.postpone(ticket) == 0.0
    watch.expose(ticket)
