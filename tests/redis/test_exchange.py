"""The loop of a worker process against a real server, with lanes that only keep what they are given."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import member_lane
from taskq.broker.records import Claimed
from taskq.codec import ErrorInfo
from taskq.errors import BrokerError, BrokerUnavailable
from taskq.lifecycle import Delay, Finish
from taskq_workers import exchange
from taskq_workers.admission import Limits
from taskq_workers.channel import Channel
from taskq_workers.exchange import BLOCK, Exchange, Identity
from taskq_workers.outcomes import Outcomes, Settled
from tests.support.clock import FakeClock

EPOCH = "host-1-0"


class Shelf:
    """A lane whose jobs lie until the test takes them."""

    def __init__(self, slots: int):
        self.slots = slots
        self.jobs: list[Claimed] = []

    def start(self, jobs: Sequence[Claimed]) -> None:
        self.jobs += jobs

    def withdraw(self) -> list[Claimed]:
        waiting, self.jobs = self.jobs[self.slots :], self.jobs[: self.slots]
        return waiting


class Stage:
    """An exchange with an io and a cpu lane. It knows every task."""

    def __init__(self, broker: Broker, clock: Any, io_slots: int = 2, limits: Limits | None = None):
        self.broker = broker
        self.io, self.cpu, self.outcomes = Shelf(io_slots), Shelf(1), Outcomes()
        self.written_members: list[bytes] = []
        self.dropped: set[bytes] = set()
        self.returned = 0
        self.reports: list[Call[Any]] = []
        self._awake, gone = Channel.pair()
        gone.close()  # now it can always be read
        lanes: dict[str, Any] = {"io": self.io, "cpu": self.cpu}
        identity = Identity(EPOCH, ("default",), limits or Limits())
        self.exchange = Exchange(identity, broker, lanes, self.outcomes, clock, self)
        broker.run(calls.register(EPOCH, 60, {}))

    def step(self) -> None:
        """One round that does not wait: there is always something to read."""
        self.exchange.step([self._awake])

    def close(self) -> None:
        self._awake.close()
        self.exchange._link.close()
        self.exchange._door.link.close()

    def knows(self, body: bytes) -> bool:
        return True

    def written(self, batch: Sequence[Settled], dropped: set[bytes]) -> None:
        self.written_members += [settled.member for settled in batch]
        self.dropped |= dropped

    def gave_back(self, jobs: int) -> None:
        self.returned += jobs

    def troubled(self, error: BrokerError | None) -> None: ...

    def report(self) -> list[Call[Any]]:
        told, self.reports = self.reports, []
        return told

    def enqueue(self, lane: str, count: int = 1) -> list[bytes]:
        ids = [os.urandom(16) for _ in range(count)]
        self.broker.run(calls.enqueue(f"default:{lane}", [(job_id, b"body") for job_id in ids]))
        return [job_id + f"default:{lane}".encode() for job_id in ids]

    def finish(self, shelf: Shelf, lane: str) -> None:
        """The first job of a shelf ends well."""
        job = shelf.jobs.pop(0)
        self.outcomes.put(Settled(job.member, lane, "task", Finish(b"record"), 0.5, ttl=60, record=b"record"))

    def ready(self, lane: str) -> list[bytes]:
        return [
            row.member for row in self.broker.run(calls.browse("queued", "default", 0, 100)) if lane in str(row.member)
        ]


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    broker = Broker(redis_url)
    yield broker
    broker.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stage(broker: Broker, clock: FakeClock) -> Iterator[Stage]:
    stage = Stage(broker, clock)
    yield stage
    stage.close()


def test_it_claims_no_more_than_there_are_slots_before_it_knows_how_long_jobs_take(stage: Stage) -> None:
    stage.enqueue("io", 5)
    stage.enqueue("cpu", 3)
    stage.step()
    assert (len(stage.io.jobs), len(stage.cpu.jobs)) == (2, 1)


def test_what_has_ended_is_written_and_its_slot_filled_in_one_round(stage: Stage) -> None:
    stage.enqueue("io", 3)
    stage.step()
    first = stage.io.jobs[0].member
    stage.finish(stage.io, "io")
    stage.step()
    assert stage.written_members == [first]
    assert len(stage.io.jobs) == 2
    assert stage.broker.run(calls.locate(first[:16], "default:io")).place == "done"


def test_jobs_that_wake_an_idle_process_have_a_head_start_which_ends_with_the_first_outcome(
    broker: Broker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "HEAD_START", 30.0)
    stage = Stage(broker, clock)
    stage.step()
    assert stage.exchange._door.promised
    stage.io.start = lambda jobs: [Shelf.start(stage.io, [job]) or stage.finish(stage.io, "io") for job in jobs]
    stage.enqueue("io")
    began = time.monotonic()
    while not stage.exchange.holding:
        stage.step()
    stage.step()
    assert len(stage.written_members) == 1
    assert time.monotonic() - began < 15  # the outcome ended the pause
    stage.close()


def test_a_process_that_is_busy_does_not_pause_for_more_jobs(
    broker: Broker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "HEAD_START", 30.0)
    stage = Stage(broker, clock)
    stage.enqueue("io")
    began = time.monotonic()
    while not stage.exchange._door.promised:
        stage.step()
    stage.enqueue("cpu")
    while not stage.cpu.jobs:
        stage.step()
    assert time.monotonic() - began < 15
    stage.close()


def test_large_jobs_wait_in_redis_and_not_in_the_process(broker: Broker, clock: FakeClock) -> None:
    stage = Stage(broker, clock, io_slots=4)
    broker.run(calls.enqueue("default:io", [(os.urandom(16), b"x" * 400_000) for _ in range(30)]))
    for _ in range(3):
        stage.step()
        for _ in range(len(stage.io.jobs)):
            job = stage.io.jobs.pop()
            stage.outcomes.put(Settled(job.member, "io", "task", Finish(b"record"), 1e-6, ttl=60, record=b"record"))
    stage.step()
    assert stage.exchange.holding <= 4 + 10  # 4 MiB of 400 kB
    stage.close()


def test_a_lane_that_was_full_and_dry_is_listened_for_as_soon_as_it_has_room(stage: Stage) -> None:
    stage.enqueue("io", 2)
    stage.step()
    while len(stage.io.jobs) < 2:
        stage.step()
    stage.finish(stage.io, "io")
    stage.step()
    late = stage.enqueue("io")
    while not any(job.member in late for job in stage.io.jobs):
        stage.step()


def test_what_it_holds_without_knowing_is_given_back(broker: Broker, stage: Stage, clock: FakeClock) -> None:
    (lost,) = stage.enqueue("io")
    broker.run(calls.claim(EPOCH, 0, {"io": 1}, ["default"]))  # the answer never arrived
    broker.run(calls.pause("default", "the test"))
    clock.advance(BLOCK)
    stage.enqueue("cpu")
    stage.exchange._compare()
    assert stage.ready("io") == [lost]


def test_parked_jobs_of_other_lanes_are_left_alone(broker: Broker, stage: Stage, clock: FakeClock) -> None:
    parked = stage.enqueue("async") + stage.enqueue("io")
    broker.run(calls.register("other", 60, {}))
    broker.run(calls.claim("other", 0, {"async": 1, "io": 1}, ["default"]))
    broker.run(calls.park("other", 60, parked))
    clock.advance(BLOCK)
    stage.exchange._compare()
    assert [job.member for job in stage.io.jobs] == parked[1:]
    assert [row.member for row in broker.run(calls.browse("parked", "default", 0, 10))] == parked[:1]


def test_when_it_closes_what_waits_goes_back_and_what_runs_may_end(stage: Stage) -> None:
    enqueued = stage.enqueue("io", 4)
    stage.step()
    for _ in range(4):  # quick jobs: from now on some wait in the process
        stage.exchange._desks["io"].budget.ended(0, 0.0, 0.0)
    stage.exchange.close()
    while not stage.exchange.idle:
        if stage.io.jobs:
            stage.finish(stage.io, "io")
        stage.step()
    assert stage.written_members == enqueued[:2]
    assert stage.ready("io") == enqueued[2:]


def test_what_has_ended_is_written_though_the_claim_behind_it_is_refused(stage: Stage) -> None:
    member, *_ = stage.enqueue("io", 3)
    stage.step()
    levels = stage.broker.key("levels")
    stage.broker.run(Call("SET", (levels, b"somebody's"), bool))
    stage.finish(stage.io, "io")
    stage.step()
    assert stage.written_members == [member]
    assert stage.exchange.holding == 1
    stage.broker.run(Call("DEL", (levels,), bool))
    assert stage.broker.run(calls.locate(member[:16], "default:io")).place == "done"


def test_after_an_error_it_asks_what_it_holds_before_it_claims_more(
    stage: Stage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.step()
    stage.exchange._lost(BrokerUnavailable("the answer to a claim was lost"))
    clock.advance(BLOCK)
    sent: list[str] = []
    exchange = stage.exchange._link.exchange
    monkeypatch.setattr(
        stage.exchange._link, "exchange", lambda *made: sent.extend(c.name for c in made) or exchange(*made)
    )
    stage.exchange._desks["io"].dry = False
    stage.step()
    assert sent == ["adopt", "claim"]


def test_what_ends_while_redis_is_away_does_not_keep_the_loop_awake(stage: Stage, clock: FakeClock) -> None:
    (member,) = stage.enqueue("io")
    stage.step()
    stage.exchange._lost(BrokerUnavailable("away"))
    stage.finish(stage.io, "io")
    stage.step()
    assert stage.outcomes.doze(), "who finds something there does not wait"
    clock.advance(BLOCK)
    stage.step()
    assert stage.written_members == [member]


REPORT = calls.profile(60.0, 10, [("shop.t", "io", "1 2 3")])


def test_a_report_goes_along_when_books_are_compared(broker: Broker, stage: Stage, clock: FakeClock) -> None:
    stage.reports = [REPORT]
    stage.exchange._compare()
    assert stage.reports == [REPORT]
    clock.advance(BLOCK)
    stage.exchange._compare()
    assert stage.reports == []
    assert list(broker.run(calls.profiles(broker.key("profiles")))) == ["shop.t"]


def test_no_job_waits_for_a_report_that_is_refused(broker: Broker, stage: Stage, clock: FakeClock) -> None:
    broker.run(Call("SET", (broker.key("profiles"), b"somebody's"), bool))
    (lost,) = stage.enqueue("io")
    broker.run(calls.claim(EPOCH, 0, {"io": 1}, ["default"]))
    stage.reports = [REPORT]
    clock.advance(BLOCK)
    stage.exchange._compare()
    assert stage.ready("io") == [lost]
    stage.exchange.tell([REPORT])


def test_the_last_report_is_sent_if_redis_is_there(broker: Broker, stage: Stage) -> None:
    stage.exchange.tell([])
    stage.exchange.tell([REPORT])
    assert list(broker.run(calls.profiles(broker.key("profiles")))) == ["shop.t"]
    (before,) = broker.run(calls.profiles(broker.key("profiles"))).values()
    stage.exchange._lost(BrokerUnavailable("away"))
    stage.exchange.tell([REPORT])
    assert list(broker.run(calls.profiles(broker.key("profiles"))).values()) == [before]


# What jobs that wait have claimed by themselves


def pick(stage: Stage) -> bytes:
    """A job that the exchange has not claimed: the job that waits for it has."""
    (waiter,) = stage.enqueue("io")
    stage.step()
    (member,) = stage.enqueue("cpu")
    awaited = [(member[:16], member[16:].decode())]
    (job,) = stage.broker.run(calls.pick(EPOCH, waiter, "task", ["default"], awaited)).claim.jobs
    return job.member


def compare(stage: Stage, clock: FakeClock) -> None:
    clock.advance(BLOCK)
    stage.exchange._door.promised = {}
    stage.exchange._compare()


def test_what_a_waiting_job_has_taken_is_no_stranger_until_it_is_written(stage: Stage, clock: FakeClock) -> None:
    stage.cpu.slots = 0
    member = pick(stage)
    stage.exchange.picks.take(member)
    compare(stage, clock)
    assert stage.ready("cpu") == []
    assert not stage.exchange.idle
    stage.outcomes.put(Settled(member, "", "task", Finish(b"record"), 0.5, ttl=60, record=b"record"))
    stage.step()
    assert member in stage.written_members
    assert not stage.exchange.picks


def test_what_a_waiting_job_may_get_is_no_stranger_before_it_has_its_answer(stage: Stage, clock: FakeClock) -> None:
    stage.cpu.slots = 0
    member = pick(stage)
    with stage.exchange.picks.asking([member]):
        compare(stage, clock)
        assert stage.ready("cpu") == []


def test_what_redis_gave_without_the_waiting_job_hearing_of_it_goes_back(stage: Stage, clock: FakeClock) -> None:
    stage.cpu.slots = 0
    member = pick(stage)
    with stage.exchange.picks.asking([member]):
        pass  # the answer was lost
    compare(stage, clock)
    assert stage.ready("cpu") == [member]


def test_two_jobs_may_ask_for_the_same_one(stage: Stage) -> None:
    picks = stage.exchange.picks
    with picks.asking([b"a"]):
        with picks.asking([b"a", b"b"]):
            picks.take(b"a")
        assert b"a" in picks
        assert b"b" not in picks
    assert b"a" in picks
    picks.drop(b"a")
    assert b"a" not in picks


@pytest.mark.parametrize("claimed_before_by", ["the exchange", "who waits"])
def test_a_job_that_who_waits_has_picked_again_is_no_stranger_once_its_attempt_before_is_written(
    stage: Stage, claimed_before_by: str
) -> None:
    (member,) = stage.enqueue("io")
    if claimed_before_by == "the exchange":
        stage.step()
        lane = member_lane(stage.io.jobs.pop().member)
    else:
        stage.broker.run(calls.claim(EPOCH, 0, {"io": 1}, ["default"]))
        stage.exchange.picks.take(member)
        lane = ""
    stage.exchange.picks.take(member)
    stage.outcomes.put(Settled(member, lane, "task", Delay(0.0, ErrorInfo(type="E", text="")), 0.5, history=b"once"))
    stage.step()
    assert stage.written_members == [member]
    assert member in stage.exchange.picks
