"""Chance drives the broker and a small model of it side by side: after every step both must have each job in the same
place, exactly one.

Each call is delivered in one of four ways: it is done; its reply is lost; it is sent twice; it is never sent. Whoever
called knows only what was answered, so worker processes here act on what they believe to hold: after a lost reply
they try again, and when they were declared dead meanwhile they are zombies that commit, retry and give back what is no
longer theirs. At the end everything must drain to an outcome and leave nothing behind.

The examples are the same in every run. To hunt with fresh ones: TASKQ_MODEL_EXAMPLES=2000 pytest tests/redis/test_model.py
"""

from __future__ import annotations

import copy
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import member_id
from tests.redis.world import ALL_LANES, World
from tests.support.bench import GAP, LEASE, body, job_id
from tests.support.census import ask, one_place, take_census
from tests.support.clock import FakeClock

T = TypeVar("T")
START = 1_700_000_000.0
QUEUES = ("default", "mail")
ROUTES = ("default:io", "default:io:9", "default:cpu", "mail:io", "mail:io:1")
JOBS = [job_id(f"job{number}") for number in range(8)]
CLIENTS = [b"client-1", b"client-2"]
CROWD = 130
MOST_EPOCHS = 8

EXAMPLES = os.environ.get("TASKQ_MODEL_EXAMPLES")
SETTINGS = settings(
    max_examples=int(EXAMPLES or 60),
    stateful_step_count=40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

ways = st.sampled_from(["done", "done", "done", "reply lost", "sent twice", "never sent"])
claim_ways = st.sampled_from(["done", "done", "done", "reply lost", "never sent"])
jobs = st.sampled_from(JOBS)
routes = st.sampled_from(ROUTES)
queues = st.sampled_from(QUEUES)
wants = st.sampled_from([{"io": 1}, {"io": 3, "cpu": 1}, {"solo": 1}, {lane: 200 for lane in ALL_LANES}])
moments = st.sampled_from([0.5, 3, 5, 8, 10, 16, 60, 3600, -3600])


class Actors:
    """What those who talk to the broker believe."""

    def __init__(self) -> None:
        self.epochs: list[str] = []
        self.holds: dict[str, list[bytes]] = defaultdict(list)
        self.sequence: dict[str, int] = defaultdict(int)
        self.victims: list[str] = []
        self.parked: list[bytes] = []


class Delivery(RuleBasedStateMachine):
    """`broker` takes its time from `clock`; its server is emptied first."""

    def __init__(self, broker: Broker, clock: FakeClock):
        super().__init__()
        self.broker, self.clock = broker, clock
        self.world, self.actors = World(), Actors()
        self.serial = 0
        self.sound = False
        ask(broker, "FLUSHALL")
        clock.advance(START - clock.now())
        self.world.now = self.ms()

    def ms(self) -> int:
        return round(self.clock.now() * 1000)

    def fresh(self) -> bytes:
        self.serial += 1
        return b"%d" % self.serial

    def deliver(self, way: str, call: Call[T], effect: Callable[[], Any], seen: Callable[[T], Any] = lambda x: x) -> T | None:
        """Carry out `call` in some `way`; what is `seen` of each answer must be what `effect` on the world returns.

        The answer as the caller gets it: None where it got none.
        """
        if way == "never sent":
            return None
        expected, answer = effect(), self.broker.run(call)
        assert seen(answer) == expected
        if way == "sent twice":
            before = copy.deepcopy(self.world)
            expected, answer = effect(), self.broker.run(call)
            assert seen(answer) == expected
            assert before.census() == self.world.census(), "a call that is sent twice must do nothing the second time"
        return None if way == "reply lost" else answer

    # Producers

    @rule(way=ways, job=jobs, route=routes, delay=st.sampled_from([None, None, 0, 4, 30]))
    def enqueue(self, way: str, job: bytes, route: str, delay: float | None) -> None:
        content = body(self.fresh().decode())
        due = None if delay is None else self.world.now + round(delay * 1000)
        call = calls.enqueue(route, [(job, content)], delay=delay, named=True)
        self.deliver(way, call, lambda: self.world.enqueue(job, content, route, due))

    @precondition(lambda self: len(self.world.bodies) < CROWD)
    @rule(route=routes)
    def enqueue_a_crowd(self, route: str) -> None:
        """More jobs than a reaper takes back in one call."""
        crowd = [(job_id(f"crowd{self.fresh().decode()}"), b"") for _ in range(CROWD)]
        assert self.broker.run(calls.enqueue(route, crowd)) == sum(
            self.world.enqueue(job, content, route, None) for job, content in crowd
        )

    @rule(way=ways, client=st.sampled_from(CLIENTS), job=jobs)
    def wait(self, way: str, client: bytes, job: bytes) -> None:
        self.deliver(way, calls.await_outcome(client, [job]), lambda: self.world.wait(client, job))

    # Worker processes

    @initialize()
    def begin(self) -> None:
        for _ in range(3):
            self.spawn("done")

    @precondition(lambda self: len(self.actors.epochs) < MOST_EPOCHS)
    @rule(way=ways)
    def spawn(self, way: str) -> None:
        epoch = f"w{len(self.actors.epochs)}"
        self.actors.epochs.append(epoch)
        self.deliver(way, calls.register(epoch, LEASE, {}), lambda: self.world.register(epoch, round(LEASE * 1000)))

    @rule(way=claim_ways, data=st.data(), wants=wants, queues=st.permutations(QUEUES), woken=st.booleans())
    def claim(self, way: str, data: st.DataObject, wants: dict[str, int], queues: list[str], woken: bool) -> None:
        """Who claims has often heard a doorbell. (A live process: what the dead hear is found when listening times out.)"""
        epoch = data.draw(st.sampled_from(self.actors.epochs))
        if woken and way != "never sent" and self.world.is_alive(epoch):
            self.hear(f"{queue}:{lane}" for queue in queues for lane in wants)
        sequence = self.actors.sequence[epoch]
        self.actors.sequence[epoch] += sum(wants.values())
        claim = self.deliver(
            way,
            calls.claim(epoch, sequence, wants, queues),
            lambda: self.world.claim(epoch, sequence, wants, tuple(queues)),
            lambda claim: (claim.lease, [job.member for job in claim.jobs]),
        )
        for job in claim.jobs if claim else ():
            assert (job.history, job.losses) == self.troubles(job.member)
            self.believe(epoch, [job.member])

    def hear(self, bells: Iterable[str]) -> None:
        for bell in bells:
            if ask(self.broker, "LPOP", self.broker.key("wake", bell)):
                return

    def troubles(self, member: bytes) -> tuple[bytes | None, int]:
        job = member_id(member)
        return self.world.attempts.get(job), self.world.losses.get(job, 0)

    def believe(self, epoch: str, members: Iterable[bytes]) -> None:
        self.actors.holds[epoch] += [member for member in members if member not in self.actors.holds[epoch]]

    def forget(self, epoch: str, members: Iterable[bytes]) -> None:
        self.actors.holds[epoch] = [member for member in self.actors.holds[epoch] if member not in set(members)]

    def some_held(self, data: st.DataObject) -> tuple[str, list[bytes]]:
        """An epoch, and some of the jobs that it believes to hold, in the order of its claims."""
        epoch = data.draw(st.sampled_from([epoch for epoch in self.actors.epochs if self.actors.holds[epoch]]))
        holds = self.actors.holds[epoch]
        first = data.draw(st.integers(0, len(holds) - 1))
        return epoch, holds[first : first + data.draw(st.sampled_from([1, 2, CROWD]))]

    somebody_holds = precondition(lambda self: any(self.actors.holds.values()))

    @somebody_holds
    @rule(way=ways, data=st.data(), ttl=st.sampled_from([0, 3600]))
    def commit(self, way: str, data: st.DataObject, ttl: float) -> None:
        (epoch, members), record = self.some_held(data), b"result " + self.fresh()
        call = calls.commit(epoch, [(member, ttl, "b3", record) for member in members])
        self.finish(way, epoch, members, call, lambda: self.world.commit(epoch, members, record, ttl))

    @somebody_holds
    @rule(way=ways, data=st.data(), delay=st.sampled_from([0, 5, 60]))
    def retry(self, way: str, data: st.DataObject, delay: float) -> None:
        (epoch, members), history = self.some_held(data), b"history " + self.fresh()
        call = calls.retry(epoch, [(member, delay, history) for member in members])
        self.finish(way, epoch, members, call, lambda: self.world.retry(epoch, members, round(delay * 1000), history))

    @somebody_holds
    @rule(way=ways, data=st.data())
    def bury(self, way: str, data: st.DataObject) -> None:
        (epoch, members), text = self.some_held(data), self.fresh()
        call = calls.bury(epoch, [(member, b"error " + text, text) for member in members])
        self.finish(way, epoch, members, call, lambda: self.world.bury(epoch, members, b"error " + text, text))

    @somebody_holds
    @rule(way=ways, data=st.data())
    def park(self, way: str, data: st.DataObject) -> None:
        epoch, members = self.some_held(data)
        call = calls.park(epoch, 30, members)
        self.finish(way, epoch, members, call, lambda: self.world.park(epoch, members, 30_000))

    def finish(self, way: str, epoch: str, members: list[bytes], call: Call[Any], effect: Callable[[], Any]) -> None:
        """Let go of `members`; whoever gets no answer still believes to hold them."""
        if self.deliver(way, call, effect, list) is not None:
            self.forget(epoch, members)

    @somebody_holds
    @rule(way=ways, data=st.data())
    def give_back(self, way: str, data: st.DataObject) -> None:
        epoch, members = self.some_held(data)
        if self.deliver(way, calls.give_back(epoch, members), lambda: self.world.give_back(epoch, members)) is not None:
            self.forget(epoch, members)

    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        """What Redis says is what it has: this is how the holder learns of a claim whose reply was lost."""
        epoch = data.draw(st.sampled_from(self.actors.epochs))
        adopted = self.broker.run(calls.adopt(epoch, 0, QUEUES))
        held = self.world.held[epoch]
        assert list(adopted.held) == sorted(held, key=lambda member: (held[member], member))
        self.actors.holds[epoch] = list(adopted.held)
        self.actors.parked = [member for member, _ in adopted.parked]

    @precondition(lambda self: self.actors.parked)
    @rule(way=ways)
    def unpark(self, way: str) -> None:
        parked = self.actors.parked
        self.deliver(way, calls.unpark(parked), lambda: self.world.unpark(parked))

    # Supervisors

    @rule(moment=moments)
    def advance(self, moment: float) -> None:
        self.clock.advance(moment)
        self.world.now = self.ms()

    @rule(way=st.sampled_from(["done", "reply lost", "never sent"]))
    def promote(self, way: str) -> None:
        self.deliver(way, calls.promote(b"nobody knew"), lambda: self.world.promote(b"nobody knew"))

    @rule(way=ways, beating=st.sets(st.integers(0, MOST_EPOCHS - 1)), busy=st.booleans())
    def heartbeat(self, way: str, beating: set[int], busy: bool) -> None:
        epochs = [epoch for number, epoch in enumerate(self.actors.epochs) if number in beating]
        running = {epoch: [member_id(m) for m in self.actors.holds[epoch]] if busy else [] for epoch in epochs}
        if way == "never sent":
            return
        due = self.world.next_due(self.world.delayed)
        lost, victims = self.world.heartbeat(
            round(LEASE * 1000), round(GAP * 1000), {epoch: set(ids) for epoch, ids in running.items()}
        )
        call = calls.heartbeat(LEASE, GAP, {epoch: b"".join(ids) for epoch, ids in running.items()})
        for _ in range(2 if way == "sent twice" else 1):
            beat = self.broker.run(call)
            assert (set(beat.lost), beat.next_due) == (lost, due)
            assert beat.victim in victims
            if beat.victim and way != "reply lost":
                self.actors.victims.append(beat.victim)

    @precondition(lambda self: self.actors.victims)
    @rule(way=st.sampled_from(["done", "done", "reply lost", "never sent"]), data=st.data())
    def reap_a_victim(self, way: str, data: st.DataObject) -> None:
        """Some are handed out to several supervisors, and some reapers die before they are done."""
        self.reap(way, data.draw(st.sampled_from(self.actors.victims)), None)

    @rule(way=ways, data=st.data(), guilty=st.booleans())
    def a_child_dies(self, way: str, data: st.DataObject, guilty: bool) -> None:
        """Its supervisor knows what it was running. What was declared dead may still believe that it lives."""
        epoch = data.draw(st.sampled_from(self.actors.epochs))
        self.reap(way, epoch, set(map(member_id, self.actors.holds[epoch])) if guilty else set())

    def reap(self, way: str, epoch: str, started: set[bytes] | None) -> None:
        call = calls.reap(epoch, b"lost", None if started is None else b"".join(sorted(started)))
        for _ in range({"never sent": 0, "sent twice": 2}.get(way, 1)):
            reaped = self.broker.run(call)
            assert (reaped.left, reaped.given_back, reaped.buried) == self.world.reap(epoch, b"lost", started)

    # Operators

    @rule(way=ways, job=jobs)
    def cancel(self, way: str, job: bytes) -> None:
        call = calls.cancel([(job, self.route_of(job))], b"cancelled", 3600)
        self.deliver(way, call, lambda: [self.world.cancel(job, b"cancelled")])

    @rule(way=ways, job=jobs)
    def delete(self, way: str, job: bytes) -> None:
        self.deliver(way, calls.delete([(job, self.route_of(job))]), lambda: [self.world.delete(job)])

    @rule(way=ways, job=jobs)
    def revive(self, way: str, job: bytes) -> None:
        self.deliver(way, calls.revive([(job, self.route_of(job))]), lambda: [self.world.revive(job)])

    @rule(job=jobs)
    def locate(self, job: bytes) -> None:
        assert self.broker.run(calls.locate(job, self.route_of(job))).place == self.world.place(job)[0]

    def route_of(self, job: bytes) -> str:
        """The route in the job's body."""
        return self.world.home.get(job, ROUTES[0])

    @rule(way=ways, route=routes)
    def purge(self, way: str, route: str) -> None:
        self.deliver(way, calls.purge(route), lambda: self.world.purge(route))

    @rule(way=ways, queue=queues)
    def pause(self, way: str, queue: str) -> None:
        self.deliver(way, calls.pause(queue, "me"), lambda: self.world.pause(queue))

    @rule(way=ways, queue=queues)
    def resume(self, way: str, queue: str) -> None:
        self.deliver(way, calls.resume(queue), lambda: self.world.resume(queue))

    # What must hold after every step

    @invariant()
    def redis_and_the_model_have_each_job_in_the_same_place(self) -> None:
        self.sound = False
        census = take_census(self.broker)
        census["reply"] = {client: sorted(told) for client, told in census["reply"].items()}
        assert one_place(census) == []
        for row, expected in self.world.census().items():
            assert census[row] == expected, row
        ringing = {bell for bell, tokens in census["wake"].items() if tokens}
        assert self.world.lanes_to_ring() <= ringing, "jobs stand in line and nobody will be woken"
        self.sound = True

    def teardown(self) -> None:
        if self.sound:
            owed = set(self.world.bodies)
            drain(self.broker, self.clock)
            assert outcomes(self.broker, owed) == owed
            clear_away_the_dead(self.broker)
            assert leftovers(self.broker) == set()


def drain(broker: Broker, clock: FakeClock) -> None:
    """What the last worker does until there is nothing left to do. The rest are dead."""
    for queue in QUEUES:
        broker.run(calls.resume(queue))
    broker.run(calls.register("last", LEASE, {}))
    for turn in range(100):
        victim = broker.run(calls.heartbeat(LEASE, GAP, {"last": b""})).victim
        if victim:
            broker.run(calls.reap(victim, b"lost", None))
        broker.run(calls.unpark([member for member, _ in broker.run(calls.adopt("last", 0, QUEUES)).parked]))
        broker.run(calls.promote(b"nobody knew"))
        claim = broker.run(calls.claim("last", 1000 * turn, {lane: 200 for lane in ALL_LANES}, QUEUES))
        if claim.jobs:
            assert broker.run(calls.commit("last", [(job.member, 3600, "b3", b"done") for job in claim.jobs])) == ()
        busy = broker.run(calls.pending(QUEUES)) or broker.run(calls.promote(b"")) is not None
        if not busy and not victim and turn > LEASE / 3 + 1:
            return
        clock.advance(3)
    raise AssertionError("it does not drain")


def outcomes(broker: Broker, ids: Iterable[bytes]) -> set[bytes]:
    """Those of `ids` that have one."""
    return {job for job in ids if ask(broker, "EXISTS", broker.key("result", job))}


def clear_away_the_dead(broker: Broker) -> None:
    for queue in QUEUES:
        dead = broker.run(calls.browse("dead", queue, 0, 1000))
        broker.run(calls.delete([(member_id(row.member), row.member[16:].decode()) for row in dead]))


def leftovers(broker: Broker) -> set[str]:
    """Rows that hold something after all jobs have ended, other than outcomes and what is known of workers and queues."""
    stays = {"result", "reply", "wake", "queues", "stats", "workers", "worker", "clock"}
    return {row for row, keys in take_census(broker).items() if keys} - stays


def test_each_job_is_in_one_place_whatever_is_lost_or_sent_twice(broker: Broker, clock: FakeClock) -> None:
    run_state_machine_as_test(lambda: Delivery(broker, clock), settings=SETTINGS)
