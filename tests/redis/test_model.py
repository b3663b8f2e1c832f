"""Chance drives the broker and a small model of it side by side: after every step both must have each job in the same
place, exactly one.

Each call is delivered in one of four ways: it is done; its reply is lost; it is sent twice; it is never sent. Whoever
called knows only what was answered, so worker processes here act on what they believe to hold: after a lost reply
they try again, and when they were declared dead meanwhile they are zombies that commit, retry and give back what is no
longer theirs. At the end everything must drain to an outcome and leave nothing behind.

The examples are the same in every run. To hunt with fresh ones: TASKQ_MODEL_EXAMPLES=2000 pytest -k one_place
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import member_id
from taskq.broker.link import Link
from taskq.broker.records import Claim, Pick
from tests.redis.world import ALL_LANES, World
from tests.support.bench import GAP, LEASE, job_id
from tests.support.census import ask, one_place, take_census
from tests.support.clock import FakeClock

T = TypeVar("T")
C = TypeVar("C")
Deed = tuple[Call[Any], Callable[[], Any]]
"""A call, and what it does to the world."""
Deeds = dict[Callable[[], object], float]
"""What somebody may do now, each with its weight."""

START = 1_700_000_000.0
QUEUES = ("default", "mail")
ROUTES = ("default:io", "default:io:9", "default:cpu", "mail:io", "mail:io:1")
TERMS = {"default": ("", "", "fifo 0"), "mail": ("", "lifo 0", "lifo 3", "lifo 150", "fifo 40")}
CLIENTS = [b"client-1", b"client-2"]
LEASE_MS, GAP_MS = round(LEASE * 1000), round(GAP * 1000)
EVERYTHING = dict.fromkeys(ALL_LANES, 200)
CROWD = 130
MOST_EPOCHS = 12

EXAMPLES = {"fakeredis": 60, "redis": 180}
HUNT = os.environ.get("TASKQ_MODEL_EXAMPLES")
SETTINGS = settings(
    stateful_step_count=40,
    derandomize=not HUNT,
    database=None,
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

WAYS = ("done", "done", "done", "reply lost", "sent twice", "never sent")
WAYS_OF_A_CLAIM = ("done", "done", "done", "reply lost", "never sent")
TIMES = {"never sent": 0, "sent twice": 2}
JOBS = [job_id(f"job{number}") for number in range(20)]
WANTS = (EVERYTHING, EVERYTHING, {"io": 1}, {"io": 3, "cpu": 1}, {"solo": 1})
MOMENTS = (8, 8, 8, 8, 4, 0.5, 60, 3600, -3600)
DELAYS = (None, None, 0, 4, 8.5, 30)

seeds = st.integers(0, 2**32)
"""Of all choices in a step. Hypothesis likes the same few numbers, so `Delivery.luck` mixes in how often each came."""


def report(call: Call[Any], way: str) -> None:
    """For the story that is told of a failure."""
    note(f"{call.name} {call.args} is {way}")


def shown(claim: Claim) -> tuple[str, list[bytes]]:
    return claim.lease, [job.member for job in claim.jobs]


def shown_pick(pick: Pick) -> tuple[str, list[bytes]]:
    return ("cycle", [job for job, _ in pick.cycle]) if pick.cycle else shown(pick.claim)


class Actors:
    """What those who talk to the broker believe."""

    def __init__(self) -> None:
        self.epochs: list[str] = []
        self.stopped: set[str] = set()
        self.holds: dict[str, list[bytes]] = defaultdict(list)
        self.sequence: dict[str, int] = defaultdict(int)
        self.victims: list[str] = []
        self.parked: dict[bytes, bytes] = {}


class Delivery(RuleBasedStateMachine):
    """`broker` takes its time from `clock`; its server is emptied first."""

    def __init__(self, broker: Broker, clock: FakeClock):
        super().__init__()
        self.broker, self.clock, self.link = broker, clock, Link(broker)
        self.world, self.actors = World(), Actors()
        self.first_seed, self.seeds, self.chance = 0, Counter[int](), Random(0)
        self.serial = 0
        self.sound = False
        ask(broker, "FLUSHALL")
        self.pass_time(START - clock.now())

    def pass_time(self, seconds: float) -> None:
        note(f"{seconds:g} seconds pass")
        self.clock.advance(seconds)
        self.world.now = round(self.clock.now() * 1000)

    def fresh(self) -> bytes:
        self.serial += 1
        return b"%d" % self.serial

    def deliver(
        self, way: str, call: Call[T], effect: Callable[[], Any], seen: Callable[[T], Any] = lambda x: x
    ) -> T | None:
        """Carry out `call` in some `way`; what is `seen` of each answer must be what `effect` on the world returns.

        The answer as the caller gets it: None where it got none.
        """
        report(call, way)
        if way == "never sent":
            return None
        expected, answer = effect(), self.broker.run(call)
        assert seen(answer) == expected
        if way == "sent twice":
            before = self.world.census()
            expected, answer = effect(), self.broker.run(call)
            assert seen(answer) == expected
            assert self.world.census() == before, "a call that is sent twice must do nothing the second time"
        return None if way == "reply lost" else answer

    def luck(self, seed: int) -> None:
        self.seeds[seed] += 1
        self.chance = Random(f"{seed} {self.seeds[seed]} {self.first_seed}")

    def pick(self, choices: Sequence[C]) -> C:
        return self.chance.choice(choices)

    def way(self, ways: Sequence[str] = WAYS) -> str:
        return self.pick(ways)

    @initialize(seed=seeds)
    def begin(self, seed: int) -> None:
        self.first_seed = seed
        self.luck(seed)
        for deed in (self.spawn, self.enqueue):
            for _ in range(3):
                deed()

    @rule(seed=seeds)
    def somebody_acts(self, seed: int) -> None:
        self.luck(seed)
        deeds = {**self.of_producers(), **self.of_processes(), **self.of_supervisors(), **self.of_operators()}
        (deed,) = self.chance.choices(list(deeds), list(deeds.values()))
        deed()

    # Producers

    def of_producers(self) -> Deeds:
        return {self.enqueue: 6, self.wait: 2, self.enqueue_a_crowd: len(self.world.bodies) < CROWD}

    def enqueue(self) -> None:
        job = self.pick(sorted(self.world.ghosts.keys() & set(JOBS)) * 5 + JOBS)
        route, delay, content = self.pick(ROUTES), self.pick(DELAYS), b"body " + self.fresh()
        due = None if delay is None else self.world.now + round(delay * 1000)
        terms = self.pick(TERMS[route.split(":")[0]])
        self.hear_room(route)
        call = calls.enqueue(route, [(job, content)], delay=delay, terms=terms)
        self.deliver(self.way(), call, lambda: self.world.enqueue([(job, content)], route, due, terms))

    def hear_room(self, route: str) -> None:
        """Who enqueues has often waited for room in the queue."""
        queue = route.partition(":")[0]
        if self.pick([True, False]) and ask(self.broker, "LPOP", self.broker.key("room", queue)):
            self.world.roomy.remove(queue)

    def enqueue_a_crowd(self) -> None:
        """More jobs than a reaper takes back in one call; often one process takes them all."""
        route, crowd = self.pick(ROUTES), [(job_id(f"crowd{self.fresh().decode()}"), b"") for _ in range(CROWD)]
        assert self.broker.run(calls.enqueue(route, crowd)) == self.world.enqueue(crowd, route)

    def wait(self) -> None:
        client, job = self.pick(CLIENTS), self.pick(JOBS)
        self.deliver(self.way(), calls.await_outcome(client, [job]), lambda: self.world.wait(client, job))

    # Worker processes

    def of_processes(self) -> Deeds:
        holds, parked = bool(self.holders()), any(self.world.parked.values()) or bool(self.actors.parked)
        waits = self.pick_awaited
        return {self.claim: 6, self.finish: 8 * holds, self.adopt: 2, self.unpark: 3 * parked, waits: 5 * holds}

    def claim(self) -> None:
        """Who claims has often heard a doorbell; what the dead hear is found when others' listening times out."""
        epoch, wants, queues = self.somebody(), self.pick(WANTS), self.pick([QUEUES, QUEUES[::-1]])
        way = self.way(WAYS_OF_A_CLAIM)
        if way != "never sent" and self.world.is_alive(epoch) and self.pick([True, False]):
            self.hear(f"{queue}:{lane}" for queue in queues for lane in wants)
        self.claim_for(epoch, wants, queues, way)

    def claim_for(self, epoch: str, wants: dict[str, int], queues: tuple[str, ...], way: str) -> None:
        sequence = self.reserve(epoch, sum(wants.values()))
        call = calls.claim(epoch, sequence, wants, queues)
        self.take(epoch, self.deliver(way, call, lambda: self.world.claim(epoch, sequence, wants, queues), shown))

    def pick_awaited(self) -> None:
        """A job waits for others, and claims one of them."""
        epoch, way = self.pick(self.holders()), self.way(WAYS_OF_A_CLAIM)
        waiter, task = self.pick(self.actors.holds[epoch]), self.pick(["a", "b.c"])
        queues, jobs = self.pick([QUEUES, ("mail",)]), self.chance.sample(JOBS, self.pick([1, 2, 10]))
        routes = [(job, self.world.home.get(job, "default:io")) for job in jobs]
        call = calls.pick(epoch, waiter, task, queues, routes)
        picked = self.deliver(way, call, lambda: self.world.pick(epoch, waiter, task, queues, jobs), shown_pick)
        self.take(epoch, picked.claim if picked and not picked.cycle else None)

    def unpark(self) -> None:
        """Claim all jobs that were seen parked just now or before; some may be parked no more."""
        if self.pick([True, False]):
            self.adopt()
        epoch, parked, way = self.somebody(), list(self.actors.parked), self.way(WAYS_OF_A_CLAIM)
        sequence = self.reserve(epoch, len(parked))
        call = calls.unpark(epoch, sequence, parked)
        self.take(epoch, self.deliver(way, call, lambda: self.world.unpark(epoch, sequence, parked), shown))

    def reserve(self, epoch: str, many: int) -> int:
        self.actors.sequence[epoch] += many
        return self.actors.sequence[epoch] - many

    def take(self, epoch: str, claim: Claim | None) -> None:
        for job in claim.jobs if claim else ():
            troubles = self.world.attempts.get(member_id(job.member)), self.world.losses.get(member_id(job.member), 0)
            assert (job.history, job.losses) == troubles
            if job.member not in self.actors.holds[epoch]:
                self.actors.holds[epoch].append(job.member)

    def somebody(self) -> str:
        """An epoch, more often a live one."""
        alive = list(filter(self.world.is_alive, self.actors.epochs))
        return self.pick(alive * 3 + self.actors.epochs)

    def hear(self, bells: Iterable[str]) -> None:
        for bell in bells:
            if ask(self.broker, "LPOP", self.broker.key("wake", bell)):
                return

    def holders(self) -> list[str]:
        """Those who believe to hold something."""
        return [epoch for epoch in self.actors.epochs if self.actors.holds[epoch]]

    def finish(self) -> None:
        """Let go of jobs; whoever gets no answer still believes to hold them, and tries again some time."""
        epoch = self.pick(self.holders())
        holds = self.actors.holds[epoch]
        first, many = self.chance.randrange(len(holds)), self.pick([1, 2, CROWD])
        members = holds[first : first + many]
        end = self.pick([self.commit, self.commit, self.retry, self.bury, self.park, self.park, self.give_back])
        call, effect = end(epoch, members)
        answer = self.deliver(self.way(), call, effect, lambda a: a if isinstance(a, int) else list(a))
        if answer is not None:
            self.actors.holds[epoch] = [member for member in holds if member not in members]

    def commit(self, epoch: str, members: list[bytes]) -> Deed:
        ttl, record = self.pick([3600, 0]), b"result " + self.fresh()
        call = calls.commit(epoch, [(member, ttl, "b3", record) for member in members])
        return call, lambda: self.world.commit(epoch, members, record, ttl)

    def retry(self, epoch: str, members: list[bytes]) -> Deed:
        delay, history = self.pick([0, 5, 60]), b"history " + self.fresh()
        call = calls.retry(epoch, [(member, delay, history) for member in members])
        return call, lambda: self.world.retry(epoch, members, delay * 1000, history)

    def bury(self, epoch: str, members: list[bytes]) -> Deed:
        record, history = b"error " + self.fresh(), b"history " + self.fresh()
        call = calls.bury(epoch, [(member, record, history) for member in members])
        return call, lambda: self.world.bury(epoch, members, record, history)

    def park(self, epoch: str, members: list[bytes]) -> Deed:
        return calls.park(epoch, 30, members), lambda: self.world.park(epoch, members, 30_000)

    def give_back(self, epoch: str, members: list[bytes]) -> Deed:
        return calls.give_back(epoch, members), lambda: self.world.give_back(epoch, members)

    def adopt(self) -> None:
        """What Redis says is what it has: so the holder learns of a claim whose reply was lost, and of parked jobs."""
        epoch = self.pick(self.actors.epochs)
        adopted = self.broker.run(calls.adopt(epoch, 0, QUEUES))
        held = self.world.held[epoch]
        assert list(adopted.held) == sorted(held, key=lambda member: (held[member], member))
        self.actors.holds[epoch] = list(adopted.held)
        self.actors.parked |= dict(adopted.parked)

    # Supervisors

    def of_supervisors(self) -> Deeds:
        room = len(self.actors.epochs) < MOST_EPOCHS
        dies: Deeds = {self.a_child_dies: 2 * bool(self.holders()), self.children_die: room / 3, self.spawn: room}
        reaps: Deeds = {self.reap_a_victim: 4 * bool(self.actors.victims), self.stop_or_go_on: 1}
        return {self.time_passes: 4, self.promote: 2, self.register_late: 0.5, **dies, **reaps}

    def spawn(self) -> str:
        epoch = f"w{len(self.actors.epochs)}"
        self.actors.epochs.append(epoch)
        self.register(epoch)
        return epoch

    def register_late(self) -> None:
        """Again, or for the first time."""
        self.register(self.pick(self.actors.epochs))

    def register(self, epoch: str) -> None:
        self.deliver(self.way(), calls.register(epoch, LEASE, {}), lambda: self.world.register(epoch, LEASE_MS))

    def stop_or_go_on(self) -> None:
        """SIGSTOP a host, or SIGCONT: the lease of its process is not renewed meanwhile."""
        self.actors.stopped ^= {self.pick(self.actors.epochs)}

    def time_passes(self) -> None:
        """Then one heartbeat for all that are not stopped."""
        self.pass_time(self.pick(MOMENTS))
        busy, epochs = self.pick([True, False]), [e for e in self.actors.epochs if e not in self.actors.stopped]
        running = {epoch: set(map(member_id, self.actors.holds[epoch])) if busy else set() for epoch in epochs}
        due = self.world.next_due(self.world.delayed, self.world.parked)
        call = calls.heartbeat(LEASE, GAP, {epoch: b"".join(sorted(ids)) for epoch, ids in running.items()})
        way = self.way()
        report(call, way)
        for _ in range(TIMES.get(way, 1)):
            lost, victims = self.world.heartbeat(LEASE_MS, GAP_MS, running)
            beat = self.broker.run(call)
            assert (set(beat.lost), beat.next_due) == (lost, due)
            assert beat.victim in victims
            if beat.victim and way != "reply lost":
                self.actors.victims.append(beat.victim)

    def promote(self) -> None:
        way = self.way(("done", "reply lost", "never sent"))
        self.deliver(way, calls.promote(b"nobody knew"), lambda: self.world.promote(b"nobody knew"))

    def reap_a_victim(self) -> None:
        """Some are handed out to several supervisors, and some reapers die before they are done."""
        self.reap(self.pick(self.actors.victims), None)

    def a_child_dies(self) -> None:
        """Its supervisor knows what it was running. The child may be a zombie that believes to hold something."""
        epoch = self.pick(self.holders())
        self.reap(epoch, set(map(member_id, self.actors.holds[epoch])) if self.pick([True, False]) else set())
        self.spawn()

    def children_die(self) -> None:
        """One after the other, each of what the one before it was running."""
        for _ in range(3):
            epoch = self.spawn()
            self.claim_for(epoch, EVERYTHING, QUEUES, "done")
            self.reap(epoch, set(map(member_id, self.actors.holds[epoch])))

    def reap(self, epoch: str, started: set[bytes] | None) -> None:
        certain = self.pick([True, False])
        call = calls.reap(epoch, b"lost", None if started is None else b"".join(sorted(started)), certain=certain)
        way = self.way()
        report(call, way)
        for _ in range(TIMES.get(way, 1)):
            reaped = self.broker.run(call)
            expected = self.world.reap(epoch, b"lost", started, alone_from=1 if certain else 2)
            assert (reaped.left, reaped.given_back, reaped.buried) == expected

    # Operators

    def of_operators(self) -> Deeds:
        return {self.cancel: 2, self.delete: 1, self.revive: 2, self.purge: 0.3, self.pause_or_resume: 0.7}

    def cancel(self) -> None:
        job, route = self.some_job()
        call = calls.cancel([(job, route)], b"cancelled", 3600)
        self.deliver(self.way(), call, lambda: [self.world.cancel(job, b"cancelled")])

    def delete(self) -> None:
        job, route = self.some_job()
        self.deliver(self.way(), calls.delete([(job, route)]), lambda: [self.world.delete(job)])

    def revive(self) -> None:
        job, route = self.some_job()
        self.deliver(self.way(), calls.revive([(job, route)]), lambda: [self.world.revive(job)])

    def some_job(self) -> tuple[bytes, str]:
        """An id, more often one that is somewhere, and the route in its body."""
        job = self.pick(sorted(self.world.bodies.keys() & set(JOBS)) * 9 + JOBS)
        route = self.world.home.get(job, ROUTES[0])
        assert self.broker.run(calls.locate(job, route)).place == self.world.place(job)[0]
        return job, route

    def purge(self) -> None:
        route = self.pick(ROUTES)
        self.deliver(self.way(), calls.purge(route), lambda: self.world.purge(route))

    def pause_or_resume(self) -> None:
        queue = self.pick(QUEUES)
        if queue in self.world.paused:
            self.deliver(self.way(), calls.resume(queue), lambda: self.world.resume(queue))
        else:
            self.deliver(self.way(), calls.pause(queue, "me"), lambda: self.world.pause(queue))

    # What must hold after every step

    @invariant()
    def redis_and_the_model_have_each_job_in_the_same_place(self) -> None:
        self.sound = False
        census = take_census(self.broker, self.link)
        census["reply"] = {client: sorted(told) for client, told in census["reply"].items()}
        assert one_place(census) == []
        for row, expected in self.world.census().items():
            assert census[row] == expected, row
        ringing = {bell for bell, tokens in census["wake"].items() if tokens}
        assert self.world.lanes_to_ring() <= ringing, "jobs stand in line and nobody will be woken"
        self.sound = True

    def teardown(self) -> None:
        self.link.close()
        if self.sound:
            owed = set(self.world.bodies)
            drain(self.broker, self.clock)
            assert owed <= outcomes(self.broker)
            clear_away_the_dead(self.broker)
            assert leftovers(self.broker) == set()


def drain(broker: Broker, clock: FakeClock) -> None:
    """What the last worker does until nothing is left to do and nobody to bury. What is not done then is dead."""
    for queue in QUEUES:
        broker.run(calls.resume(queue))
    broker.run(calls.register("last", LEASE, {}))
    quiet = 0.0
    for turn in range(100):
        victim = broker.run(calls.heartbeat(LEASE, GAP, {"last": b""})).victim
        if victim:
            broker.run(calls.reap(victim, b"lost", None))
        due = work(broker, turn)
        if quiet > LEASE:
            return
        quiet = 0.0 if victim or due or broker.run(calls.pending(QUEUES)) else quiet + GAP
        clock.advance(max(GAP, due or 0))
    raise AssertionError("it does not drain")


def work(broker: Broker, turn: int) -> float | None:
    """Run whatever can run now. The answer is in how many seconds more can."""
    parked = [member for member, _ in broker.run(calls.adopt("last", 0, QUEUES)).parked]
    known = broker.run(calls.unpark("last", 2000 * turn, parked))
    due = broker.run(calls.promote(b"nobody knew"))
    claim = broker.run(calls.claim("last", 2000 * turn + 1000, EVERYTHING, QUEUES))
    finished = [(job.member, 3600, "b3", b"done") for job in (*known.jobs, *claim.jobs)]
    if finished:
        assert broker.run(calls.commit("last", finished)) == ()
    return due


def outcomes(broker: Broker) -> set[bytes]:
    """The ids of all jobs that have one."""
    return {job.encode("latin-1") for job in take_census(broker)["result"]}


def clear_away_the_dead(broker: Broker) -> None:
    for queue in QUEUES:
        dead = broker.run(calls.browse("dead", queue, 0, 1000))
        broker.run(calls.delete([(member_id(row.member), row.member[16:].decode()) for row in dead]))


def leftovers(broker: Broker) -> set[str]:
    """Rows that still hold something, other than outcomes and what is known of workers and queues."""
    stays = {"result", "reply", "wake", "queues", "levels", "stats", "workers", "worker", "clock", "schema"}
    stays |= {"turns", "terms", "room"}
    return {row for row, keys in take_census(broker).items() if keys} - stays


@pytest.mark.timeout(900)  # when it fails: looking for the shortest way to fail takes a while
def test_each_job_is_in_one_place_whatever_is_lost_or_sent_twice(
    broker: Broker, clock: FakeClock, request: pytest.FixtureRequest
) -> None:
    examples = int(HUNT or EXAMPLES[request.node.callspec.params["broker"]])
    run_state_machine_as_test(lambda: Delivery(broker, clock), settings=settings(SETTINGS, max_examples=examples))
