"""The room of a bench is left empty and its neighbours alone; its waiting ends when every outcome is stored."""

from __future__ import annotations

import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import pytest

from taskq import ids
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import member_id
from taskq.cli.bench import lab as benchlab
from taskq.cli.bench.app import BenchApp, app_in
from taskq.cli.bench.lab import Lab, drain_of, enqueue_in_bulk
from taskq.cli.bench.room import STEP, clear, own_room
from taskq.cli.bench.server import redis_cpu, redis_memory, server
from taskq.cli.bench.worker import WorkerEnded
from taskq.cli.session import Session
from taskq.errors import BrokerError, BrokerUnavailable, QueueFull, ResultTimeout
from tests.support.census import ask
from tests.support.clock import FakeClock
from tests.support.inline import Inline

T = TypeVar("T")


class Steady:
    """A worker that is always there, and has used a second more of CPU each time it is asked."""

    def __init__(self) -> None:
        self.used = 0.0

    def check(self) -> None:
        return None

    def cpu(self) -> float:
        self.used += 1.0
        return self.used


class Gone(Steady):
    """A worker that has ended."""

    def check(self) -> None:
        raise WorkerEnded("cannot measure: the worker ended by itself (exit code 1)")


class Announcing(Session):
    """A session that announces what it has asked for, by the name of the call."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.asked: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def ask(self, call: Call[T]) -> T:
        value = super().ask(call)
        self.asked[call.name].set()
        return value

    @contextmanager
    def after(self, name: str, act: Callable[[], object]) -> Iterator[None]:
        """In another thread, do `act` once `name` has been asked for."""

        def wait_and_act() -> None:
            assert self.asked[name].wait(20)
            act()

        thread = threading.Thread(target=wait_and_act, name=f"after-{name}")
        thread.start()
        yield
        thread.join(20)


@pytest.fixture
def session(broker: Broker, clock: FakeClock) -> Announcing:
    return Announcing(connect=lambda *_: broker, clock=clock, sleep=lambda _: None)


@pytest.fixture
def bench_app(broker: Broker) -> Iterator[BenchApp]:
    made = app_in(broker.namespace)
    made.app.use(broker)
    yield made
    made.app.close()


@pytest.fixture
def lab(session: Session, bench_app: BenchApp, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(benchlab, "LOOK", 0.01)
    return Lab(session, bench_app)


# The room


def put(broker: Broker, *names: str) -> None:
    for name in names:
        assert ask(broker, "SET", name, "x") in (b"OK", True)


def all_keys(broker: Broker) -> set[bytes]:
    return set(ask(broker, "KEYS", "*"))


def test_only_the_keys_of_the_room_are_removed(broker: Broker, session: Session) -> None:
    put(broker, "{bench}:a", "{bench}:b:c", "{bench2}:a", "{xbench}:a", "bench:a", "{bench}", "x{bench}:a")
    assert clear(session, "bench") == 2
    assert all_keys(broker) == {b"{bench2}:a", b"{xbench}:a", b"bench:a", b"{bench}", b"x{bench}:a"}
    assert clear(session, "bench") == 0


def test_a_room_with_many_keys_is_emptied_in_steps(broker: Broker, session: Session) -> None:
    count = 3 * STEP
    assert ask(broker, "MSET", *(word for n in range(count) for word in (f"{{bench}}:{n}", "x"))) in (b"OK", True)
    put(broker, "other")
    assert clear(session, "bench") == count
    assert all_keys(broker) == {b"other"}


@pytest.mark.parametrize("end", [None, QueueFull("full"), KeyboardInterrupt()], ids=repr)
def test_nothing_is_left_of_a_room_whatever_ends_it(
    broker: Broker, session: Session, end: BaseException | None
) -> None:
    put(broker, "{taskq-bench-0}:a")
    with suppress(QueueFull, KeyboardInterrupt), own_room(session) as name:
        assert session.namespace() == name
        put(broker, f"{{{name}}}:a")
        if end is not None:
            raise end
    assert all_keys(broker) == {b"{taskq-bench-0}:a"}


def test_each_room_is_another(session: Session) -> None:
    names = set()
    for _ in range(3):
        with own_room(session) as name:
            names.add(name)
    assert len(names) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_program_end_the_room_first(broker: Broker, session: Session, number: int) -> None:
    before, interrupted = (
        signal.signal(number, signal.SIG_DFL),
        False,
    )  # whoever started the tests may ignore it (nohup)
    try:
        with own_room(session) as name:
            put(broker, f"{{{name}}}:a")
            signal.raise_signal(number)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        after = signal.signal(number, before)
    assert interrupted
    assert all_keys(broker) == set()
    assert after == signal.SIG_DFL


def test_a_signal_that_was_ignored_stays_so(session: Session) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with own_room(session):
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_keys_that_cannot_be_removed_are_told(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    def away(*_: Any) -> Any:
        raise BrokerUnavailable("cannot reach Redis")

    room = own_room(session)
    name = room.__enter__()
    broken = Session(connect=away)
    with pytest.raises(BrokerUnavailable):
        clear(broken, name)
    assert capsys.readouterr().err == f"keys may be left in Redis, which begin with {{{name}}}:\n"
    room.__exit__(None, None, None)


# Waiting


def test_a_drain_is_over_when_every_outcome_is_stored(lab: Lab, session: Announcing, bench_app: BenchApp) -> None:
    """The last in line has its outcome first; the two before it get theirs once the lab has looked."""
    jobs = bench_app.noop.enqueue_many([()] * 3)
    inline = Inline(bench_app.app)
    held = {member_id(job.member): job for job in inline.claim()}
    assert len(held) == 3
    inline.finish([held.pop(ids.named_id(jobs[-1].id))])
    with session.after("pending", lambda: inline.finish(list(held.values()))):
        lab.wait_for_all(jobs[-1], Steady())
        assert [job.status() for job in jobs] == ["done"] * 3


def test_jobs_that_went_back_in_line_are_waited_for(lab: Lab, session: Announcing, bench_app: BenchApp) -> None:
    inline = Inline(bench_app.app)
    last = bench_app.noop.enqueue()
    inline.work()
    late = bench_app.noop.enqueue()
    with session.after("pending", inline.work):
        lab.wait_for_all(last, Steady())
        assert late.status() == "done"


def test_a_worker_that_ended_is_noticed_while_waiting(lab: Lab, bench_app: BenchApp) -> None:
    with pytest.raises(WorkerEnded):
        lab.wait_for_all(bench_app.noop.enqueue(), Gone())


def test_a_bench_does_not_take_longer_than_it_may(lab: Lab, bench_app: BenchApp, clock: FakeClock) -> None:
    job = bench_app.noop.enqueue()
    clock.advance(benchlab.MOST_SECONDS + 1)
    with pytest.raises(ResultTimeout, match=r"cannot finish the bench within 50 s: .*\n  hint: fewer jobs"):
        lab.wait(job, Steady())
    with pytest.raises(ResultTimeout):
        enqueue_in_bulk(lab, 1)


def test_what_is_repeated_ends_by_number_or_by_time(lab: Lab, clock: FakeClock) -> None:
    assert lab.repeat(lambda: 1, 5, 60.0) == [1] * 5
    assert lab.repeat(lambda: clock.advance(2.0), 5, 5.0) == [None] * 3
    assert lab.repeat(lambda: clock.advance(9.0), 5, 5.0) == [None]


def test_an_idle_worker_is_given_pauses(broker: Broker, clock: FakeClock, bench_app: BenchApp) -> None:
    slept: list[float] = []
    lab = Lab(Session(connect=lambda *_: broker, clock=clock, sleep=slept.append), bench_app)
    lab.repeat(lambda: 1, 3, 60.0, 0.25)
    assert slept == [0.25, 0.25]


# The drain


@pytest.mark.parametrize("count", [1, 7, 23])
def test_a_drain_is_enqueued_while_the_queue_is_paused(
    lab: Lab, session: Announcing, bench_app: BenchApp, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(benchlab, "CHUNK", 7)
    with session.after("resume", Inline(bench_app.app).work):
        bulk, drain = drain_of(lab, Steady(), count)
    (row,) = lab.session.ask(calls.overview())
    assert (bulk.jobs, drain.jobs, drain.worker_cpu) == (count, count, 1.0)
    assert (row.counters["enqueued"], row.counters["done"]) == (count, count)
    assert (row.ready, row.paused) == (0, None)


# What Redis says


def test_a_server_tells_what_it_used(redis_url: str) -> None:
    session = Session(connect=lambda *_: Broker(redis_url))
    assert (redis_cpu(session) or 0) > 0
    assert (redis_memory(session) or 0) > 0
    assert server(session).version


@pytest.mark.parametrize("refusal", [BrokerError("NOPERM this user has no permissions to run the 'info' command")])
def test_a_server_that_tells_nothing_is_no_error(refusal: BrokerError) -> None:
    class Mute(Session):
        def ask(self, call: Call[T]) -> T:
            raise refusal

    assert (redis_cpu(Mute()), redis_memory(Mute()), server(Mute()).version) == (None, None, None)


def test_a_server_that_does_not_tell_threads_apart_tells_of_the_process() -> None:
    class Older(Session):
        def ask(self, call: Call[Any]) -> Any:
            return {"used_cpu_user": "1.5", "used_cpu_sys": "0.25"}

    assert redis_cpu(Older()) == 1.75
