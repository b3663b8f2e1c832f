"""Locks, semaphores and barriers as a program uses them: threads, coroutines, time-outs, interruptions, lost words."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import ExitStack, closing
from typing import Any

import pytest

from taskq import Barrier, BrokenBarrier, Lock, TaskQ
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.errors import BrokerError, BrokerUnavailable, ConfigError, LockLost, NotHeld, WouldDeadlock
from taskq.sync.book import Ticket
from taskq.sync.renewal import Renewal
from tests.support.census import ask, take_census
from tests.support.clock import FakeClock
from tests.support.gate import Gate, reset, silence
from tests.support.until import until

WAIT = 20


@pytest.fixture
def apps(broker: Broker, clock: FakeClock) -> Iterator[Callable[[], TaskQ]]:
    """Makes programs that share a Redis."""
    with ExitStack() as stack:

        def make() -> TaskQ:
            app = stack.enter_context(closing(TaskQ(clock=clock)))
            app.use(broker)
            return app

        yield make


@pytest.fixture
def app(apps: Callable[[], TaskQ]) -> TaskQ:
    return apps()


@pytest.fixture
def other(apps: Callable[[], TaskQ]) -> TaskQ:
    """Another program."""
    return apps()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


def in_line(app: TaskQ, sync: str = "lock:x") -> int:
    return int(ask(app.broker, "ZCARD", app.broker.key("waiters", sync)))


def stakes(app: TaskQ) -> dict[str, Any]:
    return take_census(app.broker)["stakes"]


# Locks


def test_one_program_at_a_time_has_the_lock_and_a_later_one_a_greater_fence(
    app: TaskQ, other: TaskQ, pool: ThreadPoolExecutor
) -> None:
    with app.lock("x") as held:
        waiting = pool.submit(take, other)
        until(lambda: in_line(app) == 1)
        assert not waiting.done()
        assert app.lock("x").locked()
    assert waiting.result(WAIT) > held.fence
    assert not app.lock("x").locked()
    assert stakes(app) == {}


def take(app: TaskQ) -> int:
    with app.lock("x") as held:
        return held.fence


def test_threads_of_several_programs_are_served_in_the_order_in_which_they_came(
    app: TaskQ, other: TaskQ, pool: ThreadPoolExecutor
) -> None:
    served: list[int] = []

    def serve(number: int) -> None:
        with (other if number % 2 else app).lock("x"):
            served.append(number)

    with app.lock("x"):
        waiting = []
        for number in range(20):
            waiting.append(pool.submit(serve, number))
            until(lambda: in_line(app) == len(waiting))
    for each in waiting:
        each.result(WAIT)
    assert served == list(range(20))


def test_acquire_says_whether_there_was_a_place_in_time(app: TaskQ, other: TaskQ) -> None:
    assert app.lock("x").acquire()
    assert not other.lock("x").acquire(blocking=False)
    assert not other.lock("x").acquire(timeout=0)
    assert not other.lock("x").acquire(timeout=0.05)
    assert not other.lock("x").acquire(timeout="50ms")
    assert in_line(app) == 0
    app.lock("x").release()
    assert other.lock("x").acquire(timeout=-1)
    other.lock("x").release()


def test_a_thread_that_would_wait_for_itself_is_told_so(app: TaskQ) -> None:
    with app.lock("x"):
        with pytest.raises(WouldDeadlock, match="lock 'x': this thread holds it"):
            app.lock("x").acquire()
        assert not app.lock("x").acquire(timeout=0.01)
        with app.semaphore("x", 2), app.semaphore("x", 2), pytest.raises(WouldDeadlock):
            app.semaphore("x", 2).acquire()


def test_another_thread_may_release_and_nobody_what_is_not_held(app: TaskQ, pool: ThreadPoolExecutor) -> None:
    pool.submit(app.lock("x").acquire).result(WAIT)
    app.lock("x").release()
    assert not app.lock("x").locked()
    with pytest.raises(NotHeld, match="cannot release lock 'x': this process does not hold it\n  hint: "):
        app.lock("x").release()


def test_each_thread_releases_its_own_place(app: TaskQ, pool: ThreadPoolExecutor) -> None:
    semaphore = app.semaphore("x", 2)
    semaphore.acquire()
    mine = semaphore.held
    pool.submit(semaphore.acquire).result(WAIT)
    semaphore.release()
    assert mine is not None
    assert semaphore.held is None
    assert semaphore.in_use() == 1


def test_what_is_raised_inside_passes_and_the_lock_is_free(app: TaskQ) -> None:
    with pytest.raises(KeyError), app.lock("x"):
        raise KeyError
    assert stakes(app) == {}


def test_an_app_that_is_closed_gives_back_what_it_held_and_tells_who_waits(
    app: TaskQ, other: TaskQ, pool: ThreadPoolExecutor
) -> None:
    app.lock("x").acquire()
    other.lock("y").acquire()
    waiting = pool.submit(take, other)
    until(lambda: in_line(app) == 1)
    other.close()
    with pytest.raises(BrokerError, match="the app was closed"):
        waiting.result(WAIT)
    until(lambda: len(stakes(app)) == 1)
    assert app.lock("y").acquire(timeout=0)
    assert in_line(app) == 0


# Coroutines


def test_hundreds_of_coroutines_wait_on_one_connection(app: TaskQ) -> None:
    running = most = 0

    async def enter() -> None:
        nonlocal running, most
        async with app.semaphore("x", 3):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    async def run() -> None:
        await asyncio.gather(*(enter() for _ in range(500)))

    before = set(threading.enumerate())
    asyncio.run(run())
    assert most == 3
    started = sorted(thread.name for thread in set(threading.enumerate()) - before)
    assert started == ["taskq-grants", "taskq-outbox", "taskq-renewal"]
    assert stakes(app) == {}


def test_a_coroutine_that_is_cancelled_in_line_leaves_it_and_one_that_has_the_lock_gives_it_back(app: TaskQ) -> None:
    async def hold(entered: asyncio.Event) -> None:
        async with app.lock("x"):
            entered.set()
            await asyncio.sleep(WAIT)

    async def run() -> None:
        entered = asyncio.Event()
        holder = asyncio.create_task(hold(entered))
        await entered.wait()
        waiter = asyncio.create_task(app.lock("x").aacquire())
        while in_line(app) == 0:
            await asyncio.sleep(0.005)
        waiter.cancel()
        holder.cancel()
        await asyncio.wait([waiter, holder])
        assert await app.lock("x").aacquire(timeout=WAIT)
        await app.lock("x").arelease()

    asyncio.run(run())
    until(lambda: stakes(app) == {})


def test_a_coroutine_that_would_wait_for_itself_is_told_so_and_others_are_not(app: TaskQ) -> None:
    async def run() -> None:
        async with app.lock("x"):
            with pytest.raises(WouldDeadlock, match="this coroutine holds it"):
                await app.lock("x").aacquire()
            other = asyncio.create_task(app.lock("x").aacquire())
            await asyncio.sleep(0.05)
            assert not other.done()
        assert await other

    asyncio.run(run())


# Loss


@pytest.fixture
def standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody renews a lease: the programs stood still."""
    monkeypatch.setattr(Renewal, "start", lambda _: None)


stands_still = pytest.mark.usefixtures("standstill")


@stands_still
def test_a_holder_whose_lease_ran_out_sees_it_and_is_told_when_it_releases(
    app: TaskQ, other: TaskQ, clock: FakeClock
) -> None:
    lock = app.lock("x")
    lock.acquire()
    held = lock.held
    assert held is not None
    assert not held.lost
    clock.advance(16)
    assert held.lost
    with other.lock("x") as theirs:
        assert theirs.fence > held.fence
        assert not theirs.lost
    with pytest.raises(LockLost, match="lock 'x' was lost before it was released"):
        lock.release()


@stands_still
def test_leaving_a_block_raises_that_its_lock_was_lost(app: TaskQ, other: TaskQ, clock: FakeClock) -> None:
    def lose() -> None:
        with app.lock("x"):
            clock.advance(16)
            take(other)

    with pytest.raises(LockLost):
        lose()


@stands_still
def test_what_was_raised_in_a_lock_that_was_lost_passes(app: TaskQ, other: TaskQ, clock: FakeClock) -> None:
    def lose() -> None:
        with app.lock("x"):
            clock.advance(16)
            take(other)
            raise KeyError

    with pytest.raises(KeyError):
        lose()


@stands_still
def test_a_lease_that_ran_out_while_nobody_else_came_is_not_lost(app: TaskQ, clock: FakeClock) -> None:
    with app.lock("x"):
        clock.advance(16)


@stands_still
def test_a_program_takes_locks_again_after_its_lease_ran_out(app: TaskQ, other: TaskQ, clock: FakeClock) -> None:
    take(app)
    clock.advance(16)
    take(other)
    take(app)
    assert stakes(app) == {}


def test_a_worker_process_that_was_declared_dead_gets_no_lock(app: TaskQ) -> None:
    app.stakes.settle_in("w1")
    with pytest.raises(LockLost, match="this worker process was declared dead"):
        app.lock("x").acquire()


# Interruption and trouble


class Interrupted:
    """An app whose calls are carried out, and then a Ctrl-C comes."""

    def __init__(self, app: TaskQ):
        self.stakes, self._app = app.stakes, app

    def carry(self, call: Call[Any]) -> Any:
        self._app.carry(call)
        raise KeyboardInterrupt

    async def acarry(self, call: Call[Any]) -> Any:
        raise NotImplementedError


def test_a_thread_that_is_interrupted_while_it_acquires_leaves_no_hold(app: TaskQ) -> None:
    with pytest.raises(KeyboardInterrupt):
        Lock(Interrupted(app), "x").acquire()
    until(lambda: not app.lock("x").locked())
    assert app.lock("x").held is None


def test_a_thread_that_is_interrupted_while_it_releases_has_released(app: TaskQ) -> None:
    app.lock("x").acquire()
    with pytest.raises(KeyboardInterrupt):
        Lock(Interrupted(app), "x").release()
    until(lambda: not app.lock("x").locked())
    assert app.lock("x").acquire(timeout=0)


def test_a_thread_that_is_interrupted_at_a_barrier_breaks_it(app: TaskQ) -> None:
    with pytest.raises(KeyboardInterrupt):
        Barrier(Interrupted(app), "x", 2).wait()
    until(lambda: app.barrier("x", 2).broken)


@pytest.fixture
def near(redis_url: str) -> Iterator[TaskQ]:
    """A program on the server itself, by the real clock."""
    with closing(TaskQ(redis_url)) as app:
        yield app


@pytest.fixture
def far(gate: Gate) -> Iterator[TaskQ]:
    """A program behind the gate."""
    with closing(TaskQ(gate.url)) as app:
        app.broker.patience = 0.5
        yield app


def test_who_waits_hears_of_his_turn_though_the_word_was_lost_with_the_connection(
    near: TaskQ, far: TaskQ, gate: Gate, pool: ThreadPoolExecutor
) -> None:
    near.lock("x", lease=60).acquire()
    before = pool.submit(take, far)
    until(lambda: bool(far.stakes.book.heads()))
    near.lock("x").release()
    assert before.result(WAIT) > 0  # who waits there has a connection now, which can be lost
    near.lock("x", lease=60).acquire()
    waiting = pool.submit(take, far)
    until(lambda: bool(far.stakes.book.heads()))
    with gate.shut(reset):
        near.lock("x").release()
        ask(near.broker, "DEL", near.broker.key("granted", far.stakes.book.process))
    assert waiting.result(10) > 0  # it would look by itself after 15 s


def test_a_release_while_redis_is_away_raises_nothing_and_is_done_when_it_is_back(
    near: TaskQ, far: TaskQ, gate: Gate, pool: ThreadPoolExecutor
) -> None:
    with ExitStack() as passing:
        with far.lock("x"):
            waiting = pool.submit(take, near)
            until(lambda: in_line(near) == 1)
            passing.enter_context(gate.shut(reset))
        assert not waiting.done()
    assert waiting.result(WAIT) > 0


def test_who_cannot_reach_redis_is_told_and_holds_nothing_when_it_is_back(near: TaskQ, far: TaskQ, gate: Gate) -> None:
    take(far)
    with gate.shut(silence), pytest.raises(BrokerUnavailable):
        far.lock("x").acquire()
    assert far.lock("x").held is None
    until(lambda: stakes(near) == {})


def test_a_lease_is_renewed_in_the_background_and_ends_soon_after_the_process_is_cut_off(
    near: TaskQ, far: TaskQ, gate: Gate, pool: ThreadPoolExecutor
) -> None:
    far.lock("x", lease=0.6).acquire()
    waiting = pool.submit(take, near)
    with pytest.raises(FutureTimeout):
        waiting.result(1.5)
    held = far.lock("x").held
    assert held is not None
    assert not held.lost
    with gate.shut(reset):
        assert waiting.result(WAIT) > held.fence
        assert held.lost
    with pytest.raises(LockLost):
        far.lock("x").release()


def test_a_hold_of_nobody_is_given_back(near: TaskQ) -> None:
    """As when a call that was given up is carried out late."""
    ghost = near.stakes.open(Ticket, "lock:y", 1, 0.5)
    near.carry(ghost.ask(wait=False))
    near.stakes.book.forget(ghost)
    assert near.lock("y").locked()
    with near.lock("x", lease=0.5):
        until(lambda: not near.lock("y").locked())


def test_a_hold_that_redis_has_not_any_more_is_lost(near: TaskQ, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a worker process, whose lease others renew."""
    monkeypatch.setattr("taskq.sync.book.COMPARE", 0.05)
    near.carry(calls.register("w1", 60, {}))
    near.stakes.settle_in("w1")
    near.lock("x").acquire()
    held = near.lock("x").held
    ask(near.broker, "FLUSHALL")
    near.carry(calls.register("w1", 60, {}))
    until(lambda: held is not None and held.lost)
    with pytest.raises(LockLost):
        near.lock("x").release()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_forked_child_nothing_of_the_parent_is_held(near: TaskQ) -> None:
    with near.lock("x"):
        pid = os.fork()
        if not pid:
            took = near.lock("x").acquire(timeout=0)
            os._exit(bool(near.lock("x").held) or took)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert near.lock("x").locked()


# Barriers


def meet(app: TaskQ, rounds: int = 1, **options: Any) -> list[int]:
    return [app.barrier("x", 4).wait(**options) for _ in range(rounds)]


def test_all_pass_a_barrier_together_round_after_round_with_a_number_for_each(
    app: TaskQ, other: TaskQ, pool: ThreadPoolExecutor
) -> None:
    waiting = [pool.submit(meet, each, rounds=5) for each in (app, app, other, other)]
    rounds = list(zip(*(each.result(WAIT) for each in waiting), strict=True))
    assert [sorted(numbers) for numbers in rounds] == [[0, 1, 2, 3]] * 5
    assert stakes(app) == {}


def test_nobody_passes_a_barrier_before_the_last_has_come(app: TaskQ, other: TaskQ, pool: ThreadPoolExecutor) -> None:
    waiting = [pool.submit(meet, app) for _ in range(3)]
    until(lambda: app.barrier("x", 4).n_waiting == 3)
    assert not any(each.done() for each in waiting)
    assert meet(other) == [3]
    assert sorted(each.result(WAIT)[0] for each in waiting) == [0, 1, 2]


def test_a_barrier_breaks_when_one_has_waited_for_too_long_and_is_whole_after_a_reset(
    app: TaskQ, other: TaskQ, pool: ThreadPoolExecutor
) -> None:
    waiting = pool.submit(meet, other)
    until(lambda: app.barrier("x", 4).n_waiting == 1)
    with pytest.raises(threading.BrokenBarrierError, match="cannot wait at barrier 'x': it is broken"):
        meet(app, timeout=0.05)
    with pytest.raises(BrokenBarrier):
        waiting.result(WAIT)
    with pytest.raises(BrokenBarrier):
        meet(other)
    assert app.barrier("x", 4).broken
    app.barrier("x", 4).reset()
    again = [pool.submit(meet, app) for _ in range(4)]
    assert sorted(each.result(WAIT)[0] for each in again) == [0, 1, 2, 3]


@pytest.mark.parametrize("how", ["abort", "reset"])
def test_an_abort_or_a_reset_breaks_it_for_those_who_wait(app: TaskQ, pool: ThreadPoolExecutor, how: str) -> None:
    waiting = pool.submit(meet, app)
    until(lambda: app.barrier("x", 4).n_waiting == 1)
    getattr(app.barrier("x", 4), how)()
    with pytest.raises(BrokenBarrier):
        waiting.result(WAIT)
    assert app.barrier("x", 4).broken == (how == "abort")


def test_coroutines_meet_at_a_barrier_and_one_that_is_cancelled_breaks_it(app: TaskQ) -> None:
    async def run() -> None:
        barrier = app.barrier("x", 3)
        assert sorted(await asyncio.gather(*(barrier.await_() for _ in range(3)))) == [0, 1, 2]
        waiting = [asyncio.create_task(barrier.await_()) for _ in range(2)]
        while barrier.n_waiting < 2:
            await asyncio.sleep(0.005)
        waiting[0].cancel()
        with pytest.raises(BrokenBarrier):
            await waiting[1]
        await barrier.areset()
        await barrier.aabort()
        assert barrier.broken

    asyncio.run(run())


# Bad input


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda app: app.lock("a b"), "lock name 'a b' cannot be used"),
        (lambda app: app.lock(""), "lock name '' cannot be used"),
        (lambda app: app.lock(7), "lock name 7 cannot be used"),
        (lambda app: app.lock("x", lease=0.1), "lease 0.1 is too short"),
        (lambda app: app.lock("x", lease="soon"), "lease 'soon' is not a duration"),
        (lambda app: app.semaphore("x", -1), "cannot make semaphore 'x' with -1 places"),
        (lambda app: app.semaphore("x", 0), "cannot make semaphore 'x' with 0 places"),
        (lambda app: app.semaphore("x", 1.5), "cannot make semaphore 'x' with 1.5 places"),
        (lambda app: app.semaphore("x", n=True), "cannot make semaphore 'x' with True places"),
        (lambda app: app.barrier("x", 0), "cannot make barrier 'x' with 0 parties"),
        (lambda app: app.barrier("x", 10_001), "cannot make barrier 'x' with 10001 parties"),
        (lambda app: app.barrier("/", 2), "barrier name '/' cannot be used"),
        (lambda app: app.lock("x").acquire(timeout=-2), "timeout -2 is not a duration"),
        (lambda app: app.lock("x").acquire(blocking=False, timeout=1), "cannot acquire: blocking=False with a timeout"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(make: Callable[[TaskQ], Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(TaskQ())
    assert str(caught.value).startswith(why)
    assert "\n  hint: " in str(caught.value)


def test_errors_are_also_what_users_of_threading_expect() -> None:
    assert issubclass(BrokenBarrier, threading.BrokenBarrierError)
    assert all(issubclass(kind, RuntimeError) for kind in (NotHeld, LockLost, WouldDeadlock, BrokenBarrier))
    assert issubclass(ConfigError, ValueError)
