"""A worker process, played: `taskq_workers.exchange` line by line, without the sockets.

    settle   what ended since is written, and free slots claim more, in one letter: commits, then a claim
    compare  now and then, while no claim is under way: what Redis says we hold and we do not know of is given back
    listen   lanes that found nothing more wait at the door: a doorbell, and a claim behind it
    lost     after an error commits are sent again, claims never: the books are compared first
    pick     a job that waits claims another one by its id, on a line that is not the exchange's

What it decides with is the real thing: `Budget`, `commits`, `decide`, `Reconnect`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskq.broker import calls
from taskq.broker.call import Call
from taskq.broker.keys import SOLO, bells, member_lane
from taskq.broker.reconnect import Reconnect
from taskq.broker.records import Claim, Claimed
from taskq_workers.budget import MOST_AHEAD, Budget
from taskq_workers.child import SOLO_REST
from taskq_workers.commits import commits
from taskq_workers.exchange import BLOCK, EXPIRED_PAUSE, MOST_CLAIMED, PARKED_PAGE, PATIENCE, Desk, Fenced
from taskq_workers.outcomes import Settled
from taskq_workers.picks import Picks
from tests.simulation.jobs import Journal, Lane, Plan, Run
from tests.simulation.loop import FOREVER, Acts, Nap, Process
from tests.simulation.network import Line, Lost, Network

LEASE = 15.0
QUEUES = ("default", "mail")
PAUSE, AWAITED = 2.0, 5
"""Seconds after which a job of a process begins to wait, and for how many."""


class Child:
    """One worker process. `slots` by lane; `knows`: the tasks it has; `rules`: what of the protocol it keeps."""

    def __init__(
        self,
        process: Process,
        network: Network,
        journal: Journal,
        slots: dict[str, int],
        knows: frozenset[str],
        rules: frozenset[str],
    ):
        self.process, self.epoch, self.loop, self.network = process, process.name, process.loop, network
        self.rules, self._knows = rules, knows
        self.solo = SOLO in slots
        self.lanes = {name: Lane(name, n, process, journal, self.knows, self._end) for name, n in slots.items()}
        self._desks: dict[str, Desk] = {
            name: Desk(lane, Budget(lane.slots, 0 if name == SOLO else MOST_AHEAD)) for name, lane in self.lanes.items()
        }
        self.picks = Picks()
        self._beside = Lane("", 10**6, process, journal, self.knows, self._end)
        self._line, self._door = Line(network, process, self.epoch), Line(network, process, self.epoch)
        self._promised: dict[str, int] = {}
        self._since = 0.0
        self._answer: tuple[list[Any] | None, Exception | None] | None = None
        self._nap = Nap(process)
        self._ended: list[Settled] = []
        self._unsettled: list[Settled] = []
        self.held: dict[bytes, Claimed] = {}
        self._sequence, self._parked_skip = 0, 0
        self._compared, self._resume_at = 0.0, 0.0
        self._reconnect = Reconnect()
        self._worked_at = self.loop.now
        self.ready, self.open = False, True

    # Its life

    def life(self) -> Acts:
        if not (yield from self._register()):
            self.process.kill()
            return
        self.ready = True
        self._compared = self.loop.now
        if "wait" in self.rules and not self.solo:
            self.process.start(self._jobs_that_wait())
        try:
            while self.open or not self.idle:
                yield from self._step()
                self._rest()
        except Fenced:
            self.loop.tell(self.epoch, "is fenced")
        self.process.kill()

    def _register(self) -> Acts:
        """One try: a supervisor starts another child where this one ends."""
        try:
            yield self._line.ask(calls.register(self.epoch, LEASE, {}))
        except Lost:
            return False
        return True

    @property
    def idle(self) -> bool:
        return not self.held and not self.picks and not self._promised

    def close(self) -> None:
        """Take no more jobs, and give back what has not started."""
        if self.open:
            self.open = False
            self._nap.wake()

    def started(self) -> bytes:
        """What its supervisor reads on the board: the ids of what is running."""
        return b"".join(job for lane in self._all_lanes() for job in lane.started())

    def unaware(self, held: Sequence[bytes]) -> list[bytes]:
        """Which of `held` it does not know that it holds."""
        return [member for member in held if member not in self.held and member not in self.picks]

    def _all_lanes(self) -> list[Lane]:
        return [*self.lanes.values(), self._beside]

    def knows(self, body: bytes) -> bool:
        return Plan.of(body).kind in self._knows

    def _rest(self) -> None:
        """A solo child that has had nothing to do for a while ends."""
        if self.held:
            self._worked_at = self.loop.now
        elif self.solo and self.loop.now - self._worked_at > SOLO_REST:
            self.close()

    def _end(self, settled: Settled) -> None:
        self._ended.append(settled)
        self._nap.wake()

    def _step(self) -> Acts:
        self._gather()
        if self.loop.now >= self._resume_at:
            try:
                yield from self._compare()
                yield from self._settle()
                yield from self._listen()
            except Lost:
                self._lost()
        for name, desk in self._desks.items():
            if desk.budget.stalled(self.loop.now) or not self.open:
                yield from self._give_back(name, desk.lane.withdraw())
        yield from self._wait()

    # Settle

    def _gather(self) -> None:
        ended, self._ended = self._ended, []
        self._account(ended)
        self._unsettled += ended

    def _settle(self) -> Acts:
        wants = self._wants()
        while self._unsettled or wants:
            requests, batch = commits(self.epoch, self._unsettled)
            replies = yield from self._exchange(*requests, *([self._claim(wants)] if wants else []))
            del self._unsettled[: len(batch)]
            for settled in batch:
                self._let_go(settled)
            if wants:
                yield from self._receive(wants, replies[-1])
            wants = {}
            self._reconnect.succeeded()

    def _let_go(self, settled: Settled) -> None:
        if settled.lane:
            self.held.pop(settled.member, None)
        else:
            self.picks.drop(settled.member)

    def _exchange(self, *requests: Call[Any]) -> Acts:
        try:
            return (yield self._line.ask(*requests))
        except Lost:
            if "claim once" in self.rules:
                raise
        return (yield self._line.ask(*requests))

    def _account(self, ended: list[Settled]) -> None:
        for name, desk in self._desks.items():
            took = [settled.seconds for settled in ended if settled.lane == name]
            if took:
                desk.budget.ended(len(took), sum(took) / len(took), self.loop.now)

    def _wants(self) -> dict[str, int]:
        """How many jobs to claim at the desk: for lanes that may find some and have no promise at the door."""
        return self._rooms([name for name, desk in self._desks.items() if not desk.dry and name not in self._promised])

    def _rooms(self, names: list[str]) -> dict[str, int]:
        rooms = {name: min(self._desks[name].budget.room(), MOST_CLAIMED) for name in names if self.open}
        return {name: room for name, room in rooms.items() if room > 0}

    def _claim(self, wants: dict[str, int]) -> Call[Claim]:
        return calls.claim(self.epoch, self._numbers(sum(wants.values())), wants, QUEUES)

    def _numbers(self, count: int) -> int:
        first, self._sequence = self._sequence, self._sequence + count
        return first

    def _receive(self, wants: dict[str, int], claim: Claim) -> Acts:
        counts = yield from self._dispatch(claim)
        for name, want in wants.items():
            self._desks[name].dry = claim.lease == "ok" and counts.get(name, 0) < want

    def _dispatch(self, claim: Claim) -> Acts:
        """Hand claimed jobs to their lanes; the answer is how many by lane."""
        if claim.lease == "fenced":
            raise Fenced
        if claim.lease == "expired":
            self._resume_at = self.loop.now + EXPIRED_PAUSE
        by_lane: dict[str, list[Claimed]] = {}
        for job in claim.jobs:
            self.held[job.member] = job
            by_lane.setdefault(member_lane(job.member), []).append(job)
        for name, jobs in by_lane.items():
            self._desks[name].budget.took(len(jobs), self.loop.now, sum(len(job.body) for job in jobs))
            if self.open:
                self.lanes[name].start(jobs)
            else:
                yield from self._give_back(name, jobs)
        return {name: len(jobs) for name, jobs in by_lane.items()}

    # Compare

    def _compare(self) -> Acts:
        """Give back what Redis says we hold and we do not know of."""
        if self._promised or self.loop.now - self._compared < BLOCK:
            return
        if "adopt" not in self.rules:
            self._compared = self.loop.now
            return
        (found,) = yield self._line.ask(calls.adopt(self.epoch, self._parked_skip, QUEUES))
        self._compared = self.loop.now
        self._reconnect.succeeded()
        strangers = self.unaware(found.held)
        if strangers:
            yield self._line.ask(calls.give_back(self.epoch, strangers))
        known = [m for m, body in found.parked if member_lane(m) in self._desks and self.knows(body)]
        if known and self.open:
            (claim,) = yield self._line.ask(calls.unpark(self.epoch, self._numbers(len(known)), known))
            yield from self._dispatch(claim)
        self._parked_skip = self._parked_skip + PARKED_PAGE if len(found.parked) >= PARKED_PAGE else 0

    # Listen

    def _listen(self) -> Acts:
        """Wait at the door for every dry lane that has room."""
        rooms = self._dry_rooms()
        if self._promised and (not self.open or not rooms.keys() <= self._promised.keys()):
            yield self._line.ask(calls.poke(self.epoch))
            while self._answer is None:
                yield self._nap.until(self._since + PATIENCE)
                if self._answer is None and self.loop.now >= self._since + PATIENCE:
                    raise Lost("the door does not come back")
            yield from self._answer_door()
            rooms = self._dry_rooms()
        if rooms and not self._promised:
            lanes = tuple(rooms)
            poke, prefix = self.network.broker.key("poke", self.epoch), self.network.broker.prefix
            self._door.send(
                [calls.doorbell([poke, *bells(prefix, QUEUES, lanes)], BLOCK), self._claim(rooms)], self._rung
            )
            self._promised, self._since = rooms, self.loop.now

    def _dry_rooms(self) -> dict[str, int]:
        return self._rooms([name for name, desk in self._desks.items() if desk.dry])

    def _rung(self, replies: list[Any] | None, error: Exception | None = None) -> None:
        self._answer = replies, error
        self._nap.wake()

    def _answer_door(self) -> Acts:
        assert self._answer is not None
        (replies, error), self._answer = self._answer, None
        if replies is None:
            raise error or Lost("no reply")
        promised, self._promised = self._promised, {}
        yield from self._receive(promised, replies[1])

    def _lost(self) -> None:
        """The conversation broke: begin anew after a while, with the books compared first."""
        self._line.close()
        self._door.close()
        self._promised, self._answer = {}, None
        self._compared = -FOREVER
        self._resume_at = self.loop.now + self._reconnect.failed(self.loop.chance.random())

    # Pick

    def _jobs_that_wait(self) -> Acts:
        office = Line(self.network, self.process, self.epoch)
        while True:
            yield self.process.sleep(self.loop.chance.expovariate(1 / PAUSE))
            running = [run for lane in self._all_lanes() for run in lane.running.values()]
            if running and self.network.jobs:
                yield from self._pick(self.loop.chance.choice(running), office)

    def _pick(self, waiter: Run, office: Line) -> Acts:
        known = list(self.network.jobs)
        jobs = self.loop.chance.sample(known, min(AWAITED, len(known)))
        with self.picks.asking([job + route.encode() for job, route in jobs]):
            try:
                (pick,) = yield office.ask(calls.pick(self.epoch, waiter.job.member, waiter.plan.kind, QUEUES, jobs))
            except Lost:
                office.close()
                return
            for job in pick.claim.jobs:
                self.picks.take(job.member)
                self._beside.start([job])

    # Giving back

    def _give_back(self, name: str, jobs: Sequence[Claimed]) -> Acts:
        if not jobs:
            return
        self._desks[name].budget.withdrawn(len(jobs))
        self._desks[name].dry = True
        for job in jobs:
            self.held.pop(job.member, None)
        try:
            yield self._line.ask(calls.give_back(self.epoch, [job.member for job in jobs]))
        except Lost:
            self._lost()

    # Wait

    def _wait(self) -> Acts:
        if not self._answer and not self._ended:
            yield self._nap.until(self._until())
        try:
            if self._answer:
                yield from self._answer_door()
            elif self._promised and self.loop.now - self._since > PATIENCE:
                self._lost()
        except Lost:
            self._lost()

    def _until(self) -> float:
        now = self.loop.now
        if self._resume_at > now:
            return self._resume_at
        if self._wants() or (self.idle and not self.open):
            return now
        if any(desk.budget.waiting() for desk in self._desks.values()):
            return now + 0.05
        return self._since + PATIENCE if self._promised else self._compared + BLOCK
