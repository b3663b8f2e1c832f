"""Lanes with a real runner: jobs in, outcomes out."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from time import monotonic
from typing import Any

import pytest

from taskq.app import TaskQ
from taskq.broker.records import Claimed
from taskq.clock import SYSTEM_CLOCK, Clock
from taskq.codec import decode_record
from taskq.errors import TimeLimit
from taskq.job import running
from taskq.lifecycle import Bury, Delay, Finish
from taskq_workers import limits
from taskq_workers.board import Board
from taskq_workers.coroutines import AsyncLane
from taskq_workers.lanes import SoloLane
from taskq_workers.limits import Watch, raise_in
from taskq_workers.loop import Loop
from taskq_workers.outcomes import Outcomes, Settled
from taskq_workers.runner import Runner
from taskq_workers.shop import Shop
from taskq_workers.threads import SWITCH_INTERVAL, ThreadLane
from taskq_workers.waiting import readable
from tests.support.clock import FakeClock
from tests.support.inline import claimed

PATIENCE = 20.0
ROWS = 64


class Floor:
    """A process' shop with its app. Lanes are opened by the test that needs them."""

    def __init__(self, clock: Clock):
        self.app = TaskQ()
        self.board, self.outcomes = Board(ROWS), Outcomes()
        self.retired: list[str] = []
        runner = Runner(self.app.tasks, "w1", size_limit=self.app.size_limit, clock=clock, chance=lambda: 0.5)
        self.shop = Shop(runner, self.board, self.outcomes, Watch(clock), self.retired.append)
        self._loops: list[Loop] = []

    def threads(self, slots: int, name: str = "io") -> ThreadLane:
        return ThreadLane(name, range(slots), self.shop)

    def loop(self, slots: int) -> AsyncLane:
        return AsyncLane(range(slots), self.shop, self.turning())

    def turning(self) -> Loop:
        self._loops.append(Loop())
        return self._loops[-1]

    def job(self, func: Callable[..., Any], *args: Any, **declared: Any) -> Claimed:
        return claimed(self.app.task(**({"name": func.__name__} | declared))(func), *args)

    def wait_for(self, jobs: int) -> list[Settled]:
        """The next outcomes, as many as are said, waited for as the exchange does it."""
        settled: list[Settled] = []
        while len(settled) < jobs:
            settled += self.outcomes.take()
            if len(settled) < jobs and self.outcomes.doze():
                assert readable([self.outcomes], PATIENCE), f"only {len(settled)} outcomes"
                self.outcomes.rouse(woken=True)
        assert self.outcomes.take() == []
        return settled

    def close(self) -> None:
        for turning in self._loops:
            turning.close()
            loop = turning.loop
            eventually(lambda loop=loop: not loop.is_running())
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        for end in (self.outcomes._reader, self.outcomes._writer):
            os.close(end)


def eventually(holds: Callable[[], bool]) -> None:
    """Give way to other threads until it holds."""
    until = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < until
        os.sched_yield()


def value_of(settled: Settled) -> Any:
    assert isinstance(settled.step, Finish)
    return decode_record(settled.record).value


def error_of(settled: Settled) -> str:
    assert isinstance(settled.step, (Delay, Bury))
    return settled.step.error.type


@pytest.fixture
def floor() -> Iterator[Floor]:
    floor = Floor(SYSTEM_CLOCK)
    yield floor
    floor.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timeless(clock: FakeClock) -> Iterator[Floor]:
    """A floor whose time the test moves. Its watch looks at the clock as often as the shortest limit is long."""
    floor = Floor(clock)
    yield floor
    floor.close()


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


# Threads


def test_a_thread_lane_runs_its_jobs(floor: Floor) -> None:
    lane = floor.threads(3)
    jobs = [floor.job(pow, 2, n, name="pow") for n in range(10)]
    lane.start(jobs)
    settled = floor.wait_for(10)
    assert lane.slots == 3
    assert {each.member: value_of(each) for each in settled} == {job.member: 2**n for n, job in enumerate(jobs)}


def test_as_many_jobs_run_at_a_time_as_there_are_slots(floor: Floor) -> None:
    barrier = threading.Barrier(5)

    def meet() -> str:
        barrier.wait(PATIENCE)
        return threading.current_thread().name

    floor.threads(5).start([floor.job(meet) for _ in range(5)])
    assert {value_of(each) for each in floor.wait_for(5)} == {f"taskq-io-{row}" for row in range(5)}


def test_one_thread_takes_jobs_in_order_and_the_board_shows_the_one_that_runs(floor: Floor) -> None:
    jobs = [floor.job(floor.board.started, name="look") for _ in range(20)]
    floor.threads(1).start(jobs)
    assert [value_of(each) for each in floor.wait_for(20)] == [job.member[:16] for job in jobs]


def test_what_has_not_started_can_be_taken_back(floor: Floor) -> None:
    started, go = threading.Event(), threading.Event()

    def stand() -> bool:
        started.set()
        return go.wait(PATIENCE)

    lane = floor.threads(1)
    jobs = [floor.job(stand) for _ in range(4)]
    lane.start(jobs)
    assert started.wait(PATIENCE)
    assert lane.withdraw() == jobs[1:]
    assert lane.withdraw() == []
    go.set()
    (settled,) = floor.wait_for(1)
    assert settled.member == jobs[0].member


def test_a_job_that_ends_badly_leaves_its_thread_in_order(floor: Floor) -> None:
    def end(how: str) -> None:
        raise {"exit": SystemExit, "interrupt": KeyboardInterrupt, "limit": TimeLimit, "error": ValueError}[how]

    floor.threads(1).start([floor.job(end, how) for how in ("exit", "interrupt", "limit", "error")])
    assert [error_of(each) for each in floor.wait_for(4)] == [
        "builtins.SystemExit",
        "builtins.KeyboardInterrupt",
        "taskq.errors.TimeLimitExceeded",
        "builtins.ValueError",
    ]
    eventually(lambda: floor.board.started() == b"")


def test_a_thread_keeps_nothing_of_a_job_that_has_ended(floor: Floor) -> None:
    import weakref

    class Load:
        pass

    loads: list[weakref.ref[Load]] = []

    def carry() -> None:
        load = Load()
        loads.append(weakref.ref(load))
        raise ValueError(load)

    floor.threads(1).start([floor.job(carry)])
    floor.wait_for(1)
    eventually(lambda: loads[0]() is None)


def test_thousands_of_tiny_jobs_all_come_out_once(floor: Floor) -> None:
    jobs = [floor.job(abs, -n, name="abs") for n in range(5000)]
    floor.threads(8).start(jobs)
    assert Counter(value_of(each) for each in floor.wait_for(5000)) == Counter(range(5000))


# The cpu thread


def test_the_cpu_lane_has_threads_give_way_often_while_it_runs(floor: Floor) -> None:
    usual = sys.getswitchinterval()
    assert usual != pytest.approx(SWITCH_INTERVAL)
    floor.threads(1, "cpu").start([floor.job(sys.getswitchinterval, name="interval") for _ in range(3)])
    assert [value_of(each) for each in floor.wait_for(3)] == [pytest.approx(SWITCH_INTERVAL)] * 3
    eventually(lambda: sys.getswitchinterval() == usual)


def test_the_cpu_lane_gives_the_interval_back_after_an_error(floor: Floor) -> None:
    usual = sys.getswitchinterval()
    floor.threads(1, "cpu").start([floor.job(sys.exit, name="exit")])
    assert error_of(floor.wait_for(1)[0]) == "builtins.SystemExit"
    eventually(lambda: sys.getswitchinterval() == usual)


# Coroutines


def test_an_async_lane_runs_its_jobs(floor: Floor) -> None:
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    lane = floor.loop(3)
    lane.start([floor.job(double, n) for n in range(10)])
    assert lane.slots == 3
    assert sorted(value_of(each) for each in floor.wait_for(10)) == list(range(0, 20, 2))


def test_coroutines_run_together_up_to_the_slots(floor: Floor) -> None:
    running = most = 0
    full = asyncio.Event()

    async def meet() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 10:
            full.set()
        await full.wait()
        running -= 1

    floor.loop(10).start([floor.job(meet) for _ in range(50)])
    assert {type(each.step) for each in floor.wait_for(50)} == {Finish}
    assert most == 10


def test_coroutines_that_have_not_started_can_be_taken_back(floor: Floor) -> None:
    started, go = threading.Event(), asyncio.Event()

    async def stand() -> None:
        started.set()
        await go.wait()

    lane = floor.loop(1)
    jobs = [floor.job(stand) for _ in range(4)]
    lane.start(jobs)
    assert started.wait(PATIENCE)
    assert lane.withdraw() == jobs[1:]
    lane._loop.call_soon_threadsafe(go.set)
    (settled,) = floor.wait_for(1)
    assert settled.member == jobs[0].member


def test_the_board_shows_the_coroutines_that_run(floor: Floor) -> None:
    full, seen = asyncio.Event(), list[bytes]()

    async def meet() -> bytes:
        seen.append(b"")
        if len(seen) == 3:
            full.set()
        await full.wait()
        return floor.board.started()

    jobs = [floor.job(meet) for _ in range(3)]
    floor.loop(3).start(jobs)
    assert value_of(floor.wait_for(3)[0]) == b"".join(job.member[:16] for job in jobs)
    eventually(lambda: floor.board.started() == b"")


def test_a_coroutine_that_ends_badly_leaves_the_loop_in_order(floor: Floor) -> None:
    async def end(how: str) -> None:
        await asyncio.sleep(0)
        raise {"exit": SystemExit, "interrupt": KeyboardInterrupt, "cancel": asyncio.CancelledError}[how]

    floor.loop(1).start([floor.job(end, how) for how in ("exit", "interrupt", "cancel")])
    assert [error_of(each).rpartition(".")[2] for each in floor.wait_for(3)] == [
        "SystemExit",
        "KeyboardInterrupt",
        "CancelledError",
    ]


def test_thousands_of_tiny_coroutines_all_come_out_once(floor: Floor) -> None:
    async def same(n: int) -> int:
        return n

    lane = floor.loop(ROWS)
    jobs = [floor.job(same, n) for n in range(5000)]
    for at in range(0, 5000, 100):
        lane.start(jobs[at : at + 100])
    assert Counter(value_of(each) for each in floor.wait_for(5000)) == Counter(range(5000))


def test_a_loop_that_goes_round_shows_itself(floor: Floor) -> None:
    lane = floor.loop(1)
    first = lane.last_turn()
    eventually(lambda: lane.last_turn() > first)


# What a job leaves behind


tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
local = threading.local()


@pytest.mark.parametrize("name", ["io", "cpu"])
def test_a_context_variable_does_not_outlive_its_job_and_a_thread_local_does(floor: Floor, name: str) -> None:
    seen: list[tuple[str, int]] = []

    def f() -> None:
        local.calls = getattr(local, "calls", 0) + 1
        seen.append((tenant.get(), local.calls))
        tenant.set("me")

    lane = floor.threads(1, name)
    lane.start([floor.job(f) for _ in range(3)])
    floor.wait_for(3)
    assert seen == [("nobody", 1), ("nobody", 2), ("nobody", 3)]


@pytest.mark.parametrize("slots", [1, 3])
def test_a_context_variable_of_a_coroutine_reaches_its_own_tasks_and_no_other_job(floor: Floor, slots: int) -> None:
    seen: list[str] = []

    async def f() -> None:
        seen.append(tenant.get())
        tenant.set("me")
        await asyncio.sleep(0)
        assert await asyncio.create_task(read()) == "me"

    async def read() -> str:
        return tenant.get()

    lane = floor.loop(slots)
    token = tenant.set("whoever hands over the jobs")
    try:
        lane.start([floor.job(f) for _ in range(3)])
    finally:
        tenant.reset(token)
    assert [type(settled.step) for settled in floor.wait_for(3)] == [Finish] * 3
    assert seen == ["nobody"] * 3


# Soft limits


def spin() -> None:
    while True:
        pass


@pytest.mark.parametrize("pool", ["io", "cpu"])
def test_a_busy_job_is_interrupted_at_its_soft_limit_and_its_thread_goes_on(floor: Floor, pool: Any) -> None:
    lane = floor.threads(1, pool)
    lane.start([floor.job(spin, timeout=0.02, pool=pool), floor.job(threading.get_ident, name="who")])
    late, after = floor.wait_for(2)
    assert error_of(late) == "taskq.errors.TimeLimitExceeded"
    assert late.seconds >= 0.02
    assert value_of(after)
    assert floor.retired == []


def test_a_job_may_clean_up_at_its_soft_limit(floor: Floor) -> None:
    def tidy() -> str:
        try:
            spin()
        except TimeLimit:
            return "tidied up"
        return "never"

    floor.threads(1).start([floor.job(tidy, timeout=0.02)])
    assert value_of(floor.wait_for(1)[0]) == "tidied up"


def test_a_job_within_its_limit_is_left_alone(floor: Floor) -> None:
    floor.threads(1).start([floor.job(abs, -1, name="abs", timeout=60) for _ in range(100)])
    assert [value_of(each) for each in floor.wait_for(100)] == [1] * 100
    eventually(lambda: floor.board.started() == b"")


def test_a_coroutine_is_interrupted_at_its_soft_limit_and_the_loop_goes_on(floor: Floor) -> None:
    async def stand() -> None:
        await asyncio.sleep(3600)

    async def go() -> int:
        return 1

    floor.loop(1).start([floor.job(stand, timeout=0.02), floor.job(go)])
    late, after = floor.wait_for(2)
    assert error_of(late) == "taskq.errors.TimeLimitExceeded"
    assert value_of(after) == 1


def test_a_coroutine_may_clean_up_at_its_soft_limit(floor: Floor) -> None:
    async def tidy() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        return "tidied up"

    floor.loop(1).start([floor.job(tidy, timeout=0.02)])
    assert value_of(floor.wait_for(1)[0]) == "tidied up"


def test_jobs_that_end_at_their_very_limit_end_once_and_no_thread_is_hurt(floor: Floor) -> None:
    chance, slots, rounds = random.Random(3), 3, 3000

    def busy(seconds: float) -> float:
        until = monotonic() + seconds
        while monotonic() < until:
            pass
        return seconds

    lane = floor.threads(slots)
    barrier = threading.Barrier(slots)
    with threads_take_turns_often():
        lane.start([floor.job(busy, chance.uniform(0.0, 0.001), timeout=0.0005) for _ in range(rounds)])
        settled = floor.wait_for(rounds)
    ends = Counter(type(each.step).__name__ for each in settled)
    assert min(ends["Finish"], ends["Delay"]) > 20, "the limit did not meet the ends of jobs"
    lane.start([floor.job(barrier.wait, PATIENCE, name="meet") for _ in range(slots)])
    assert sorted(value_of(each) for each in floor.wait_for(slots)) == list(range(slots)), "a thread is gone"
    assert floor.retired == []


def test_coroutines_that_end_at_their_very_limit_end_once_and_the_loop_is_not_hurt(floor: Floor) -> None:
    chance = random.Random(4)

    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    lane = floor.loop(ROWS)
    lane.start([floor.job(nap, chance.uniform(0.0, 0.01), timeout=0.005) for _ in range(2000)])
    ends = Counter(type(each.step).__name__ for each in floor.wait_for(2000))
    assert min(ends["Finish"], ends["Delay"]) > 20, "the limit did not meet the ends of jobs"
    lane.start([floor.job(nap, 0.0, name="after") for _ in range(ROWS)])
    assert len(floor.wait_for(ROWS)) == ROWS


# Hard limits


def test_a_job_stuck_in_c_is_abandoned_at_its_hard_limit_and_its_process_retires(
    timeless: Floor, clock: FakeClock
) -> None:
    started, go = threading.Event(), threading.Event()

    def stand() -> bool:
        started.set()
        return go.wait(PATIENCE)

    lane = timeless.threads(1)
    stuck = timeless.job(stand, timeout=0.01)
    lane.start([stuck])
    assert started.wait(PATIENCE)
    assert timeless.board.overdue(5.005) == b""
    assert timeless.board.overdue(5.02) == stuck.member[:16]
    clock.advance(6)
    (late,) = timeless.wait_for(1)
    assert (late.member, error_of(late)) == (stuck.member, "taskq.errors.TimeLimitExceeded")
    assert late.seconds == 6.0
    eventually(lambda: timeless.retired == ["stand did not stop at its time limit"])
    assert timeless.board.started() == b""
    go.set()
    lane.start([timeless.job(abs, -1, name="abs")])
    assert value_of(timeless.wait_for(1)[0]) == 1, "what the abandoned job came to is not written"


def test_a_coroutine_that_does_not_let_go_is_abandoned_at_its_hard_limit(timeless: Floor, clock: FakeClock) -> None:
    started, go = threading.Event(), asyncio.Event()

    async def cling() -> str:
        started.set()
        while not go.is_set():
            with suppress(asyncio.CancelledError):
                await go.wait()
        return "too late"

    lane = timeless.loop(1)
    lane.start([timeless.job(cling, timeout=0.01)])
    assert started.wait(PATIENCE)
    clock.advance(6)
    (late,) = timeless.wait_for(1)
    assert error_of(late) == "taskq.errors.TimeLimitExceeded"
    eventually(lambda: timeless.retired == ["cling did not stop at its time limit"])
    lane._loop.call_soon_threadsafe(go.set)

    async def after() -> int:
        return 1

    lane.start([timeless.job(after)])
    assert value_of(timeless.wait_for(1)[0]) == 1


def test_the_neighbours_of_an_abandoned_job_end_in_peace(timeless: Floor, clock: FakeClock) -> None:
    started, go, stop = threading.Barrier(3), threading.Event(), threading.Event()

    def stand(until: str) -> str:
        started.wait(PATIENCE)
        {"go": go, "stop": stop}[until].wait(PATIENCE)
        return until

    lane = timeless.threads(2)
    lane.start([timeless.job(stand, "stop", timeout=0.01), timeless.job(stand, "go", name="neighbour")])
    started.wait(PATIENCE)
    clock.advance(6)
    assert error_of(timeless.wait_for(1)[0]) == "taskq.errors.TimeLimitExceeded"
    go.set()
    assert value_of(timeless.wait_for(1)[0]) == "go"
    stop.set()


# The solo lane


def test_the_solo_lane_runs_a_job_where_its_task_belongs(floor: Floor) -> None:
    async def here() -> str:
        return threading.current_thread().name

    def there() -> str:
        return threading.current_thread().name

    coroutine, function = floor.job(here), floor.job(there)
    lane = SoloLane(floor.threads(1), floor.loop(1), lambda job: job is coroutine)
    assert lane.slots == 1
    lane.start([coroutine])
    assert value_of(floor.wait_for(1)[0]) == "taskq-async"
    lane.start([function])
    assert value_of(floor.wait_for(1)[0]) == "taskq-io-0"


def test_the_solo_lane_takes_back_from_both(floor: Floor) -> None:
    started, go = threading.Event(), threading.Event()

    def stand() -> bool:
        started.set()
        return go.wait(PATIENCE)

    async def later() -> None: ...

    thread, loop = floor.threads(1), floor.loop(1)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop._loop).result(PATIENCE)
    jobs = [floor.job(stand), floor.job(stand)]
    lane = SoloLane(thread, loop, lambda job: False)
    lane.start(jobs)
    assert started.wait(PATIENCE)
    assert lane.withdraw() == jobs[1:]
    go.set()
    floor.wait_for(1)


# What is measured


def test_jobs_are_measured_by_task_on_every_lane(floor: Floor) -> None:
    async def naps() -> None:
        await asyncio.sleep(0.002)

    floor.threads(1).start([floor.job(threading.Event().wait, 0.002, name="waits")])
    floor.wait_for(1)
    floor.loop(1).start([floor.job(naps)])
    floor.wait_for(1)
    assert floor.shop.meter.running == {}
    measured = {tally.task: (tally.lane, tally.sums.jobs) for tally in floor.shop.meter.tallies()}
    assert measured == {"waits": ("io", 1), "naps": ("async", 1)}
    assert all(tally.sums.wall >= 0.002 for tally in floor.shop.meter.tallies())


def test_a_loop_says_whose_job_is_in_a_step(floor: Floor) -> None:
    inside, leave, loop = threading.Event(), threading.Event(), floor.loop(3)

    async def holds() -> None:
        inside.set()
        leave.wait(PATIENCE)

    async def starts_another() -> None:
        await asyncio.create_task(holds())

    assert loop.stepping() is None
    for func in (holds, starts_another):
        loop.start([floor.job(func)])
        assert inside.wait(PATIENCE)
        tally = loop.stepping()
        assert tally is not None
        assert tally.task == func.__name__
        leave.set()
        floor.wait_for(1)
        inside.clear()
        leave.clear()
    assert loop.stepping() is None


def test_a_job_that_is_abandoned_is_not_measured(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskq_workers.limits.HARD_AFTER", 0.05)
    leave = threading.Event()
    floor.threads(1).start([floor.job(leave.wait, PATIENCE, name="stuck", timeout=0.05)])
    floor.wait_for(1)
    (tally,) = floor.shop.meter.tallies()
    assert (tally.sums.jobs, floor.shop.meter.running) == (0, {})
    leave.set()


# Jobs that wait


def test_a_coroutine_beside_the_others_leaves_alone_the_slot_that_is_to_be_taken_back(floor: Floor) -> None:
    async def answer() -> int:
        return 42

    spare = [7, 8]
    lane = AsyncLane(range(1), floor.shop, floor.turning(), spare)

    def lend_and_take_back() -> None:
        assert lane.lend()
        lane.take_back()

    job = floor.job(answer)
    lane._loop.call_soon_threadsafe(lend_and_take_back)
    assert lane.beside(floor.shop.runner.open(job))
    assert value_of(floor.wait_for(1)[0]) == 42
    eventually(lambda: len(lane._spare) == 1)
    lane.start([job])
    floor.wait_for(1)
    eventually(lambda: len(lane._spare) == len(spare))
    assert len(lane._rows) == lane.slots == 1


def test_where_the_system_has_no_thread_left_no_slot_is_lent(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = ThreadLane("io", range(1), floor.shop, [7])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", raise_no_thread)
        assert not lane.lend()
        assert not lane.beside(floor.shop.runner.open(floor.job(lambda: None, name="nothing")))
    assert (lane.slots, [*lane._spare]) == (1, [7])


def raise_no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_job_whose_thread_was_lost_to_the_one_on_top_of_it_has_one_outcome(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HARD_AFTER", 0.02)
    lane, release = floor.threads(1), threading.Lock()
    release.acquire()
    stuck = floor.job(release.acquire, name="stuck", timeout=0.02)

    def wait_for_it() -> None:
        run: Any = running.get()
        inner = floor.shop.runner.open(stuck)
        with floor.shop.sheltered(run):
            floor.shop.lay(inner, run)
            run.slot.lane.perform(inner, run.slot)

    lane.start([floor.job(wait_for_it)])
    assert {settled.task for settled in floor.wait_for(2)} == {"stuck", "wait_for_it"}
    release.release()
    lane.start([floor.job(lambda: None, name="next")])
    assert [settled.task for settled in floor.wait_for(1)] == ["next"]


def test_a_time_limit_does_not_come_between_a_slot_and_its_return(floor: Floor) -> None:
    """It is set while the slot is being lent, and raised where the job waits."""
    heard = list[str]()

    def wait() -> None:
        run: Any = running.get()
        me = threading.get_ident()
        with suppress(TimeLimit), floor.shop.sheltered(run):
            run.ticket.interrupt(lambda: raise_in(me))
            heard.append("lent")
            try:
                with floor.shop.exposed(run):
                    run.ticket.interrupt(lambda: raise_in(me))
                    heard.append("waits")
            finally:
                heard.append("taken back")

    floor.threads(1).start([floor.job(wait, timeout=60)])
    floor.wait_for(1)
    assert heard == ["lent", "taken back"]
