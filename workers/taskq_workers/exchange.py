"""The exchange: a child's main loop. It fetches jobs for free slots, and commits what they came to.

    desk  (a link for calls)     commit + claim in one pipeline, whenever jobs have ended or slots are free
    door  (a link that waits)    BLPOP doorbells, then claim, in one pipeline: the claim runs when a bell rings

    1. settle   what ended since is written in one go, and the free slots claim more
    2. listen   lanes that found nothing more wait at the door; the slots they asked for are promised to it
    3. wait     until the bell rings, a job ends, the supervisor speaks, or something is due

One thread owns all of it, so the accounts need no lock. After a connection error nobody knows what was carried out:
commits are sent again (the fence drops what was done already), claims never: `adopt` asks what we hold, and what we
did not know of is given back.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import SOLO, bells, member_lane
from taskq.broker.link import Link, values
from taskq.broker.reconnect import Reconnect
from taskq.broker.records import Adopted, Claim, Claimed
from taskq.clock import Clock
from taskq.errors import BrokerUnavailable, TaskqError
from taskq_workers.admission import Admission, Limits
from taskq_workers.budget import MOST_AHEAD, Budget
from taskq_workers.commits import commits
from taskq_workers.lanes import Lane
from taskq_workers.outcomes import Outcomes, Settled
from taskq_workers.picks import Picks
from taskq_workers.waiting import readable

BLOCK = 2.0
"""Seconds that the door waits at a time; after each the books are compared with Redis."""
PATIENCE = BLOCK + 3.0
HEAD_START = 0.001
"""Seconds that jobs get which arrive in an idle process, before this thread goes on and takes the GIL from them."""
EXPIRED_PAUSE = 0.1
"""Seconds until the next claim, where the lease had run out and the supervisor has to renew it first."""
MOST_CLAIMED = 512
"""Jobs that one script takes for each lane: some 2 ms a lane during which Redis does nothing else."""
PARKED_PAGE = 100


class Fenced(Exception):
    """This process was declared dead: whatever it still does counts for nothing."""


@dataclass(slots=True)
class Desk:
    """One lane with its account. `dry` once a claim got less than it asked for: then the door waits for more."""

    lane: Lane
    budget: Budget
    dry: bool = False


@dataclass(slots=True)
class Door:
    """The link that waits, and what is promised to it: wanted jobs by lane."""

    link: Link
    promised: dict[str, int] = field(default_factory=dict)
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who fetches, and from where; which tasks have a limit. `served`: the queues with their weights, if any."""

    epoch: str
    queues: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    served: tuple[str, ...] = ()


class Host(Protocol):
    """Whose loop this is. It knows the tasks, and hears what became of jobs."""

    def knows(self, body: bytes) -> bool: ...
    def written(self, batch: Sequence[Settled], dropped: set[bytes]) -> None: ...
    def gave_back(self, jobs: int) -> None: ...
    def troubled(self, error: TaskqError | None) -> None: ...
    def report(self) -> list[Call[Any]]: ...


class Exchange:
    """Steps until it is closed and idle."""

    def __init__(
        self,
        identity: Identity,
        broker: Broker,
        lanes: Mapping[str, Lane],
        outcomes: Outcomes,
        clock: Clock,
        host: Host,
    ):
        self._identity, self._broker, self._clock, self._host = identity, broker, clock, host
        self._desks = {
            name: Desk(lane, Budget(lane.slots, 0 if name == SOLO else MOST_AHEAD)) for name, lane in lanes.items()
        }
        self._outcomes = outcomes
        self.picks = Picks()
        self._link, self._door = Link(broker), Door(Link(broker))
        self._held: dict[bytes, Claimed] = {}
        self._admission = Admission(identity.epoch, identity.limits)
        self._unsettled: list[Settled] = []
        self._sequence = 0
        self._parked_skip = 0
        self._compared = clock.monotonic()
        self._reconnect, self._resume_at = Reconnect(), 0.0
        self.open = True

    @property
    def holding(self) -> int:
        """How many jobs this process holds."""
        return len(self._held)

    @property
    def idle(self) -> bool:
        """Does this process hold nothing, and is nothing on its way?"""
        return not self._held and not self.picks and not self._door.promised

    def step(self, also: Sequence[Any] = ()) -> list[Any]:
        """One round. The answer is which of the files `also` can be read. Raises Fenced."""
        self._gather()
        if self._clock.monotonic() >= self._resume_at:
            try:
                self._compare()
                self._settle()
                self._listen()
            except TaskqError as error:
                self._lost(error)
        self._withdraw_stalled()
        return self._wait(also)

    def close(self) -> None:
        """Take no more jobs, and give back what has not started. `step` goes on until what runs has ended."""
        self.open = False
        for name in self._desks:
            self._withdraw(name)

    def tell(self, report: Sequence[Call[Any]]) -> None:
        """Send what no job waits for, if Redis is there."""
        if report and not self._reconnect.failing:
            with suppress(TaskqError):
                self._link.exchange(*report)

    # 1. settle

    def _gather(self) -> None:
        """Take what has ended, whether it can be written now or not: what is left there lets nobody doze."""
        ended = self._outcomes.take()
        self._account(ended)
        self._unsettled += ended

    def _settle(self) -> None:
        wants = self._wants()
        while self._unsettled or wants:
            requests, batch = commits(self._identity.epoch, self._unsettled)
            before = self._admission.ended(batch)
            answers = self._link.exchange(*before, *requests, *([self._claim(wants)] if wants else []))
            replies = values(answers[: len(before) + len(requests)])[len(before) :]
            del self._unsettled[: len(batch)]
            self._admission.forget(batch)
            for settled in batch:
                self._let_go(settled)
            self._host.written(batch, {member for dropped in replies for member in dropped})
            if wants:
                (claim,) = values(answers[len(before) + len(requests) :])
                self._receive(wants, claim)
            wants = {}
            self._succeeded()

    def _let_go(self, settled: Settled) -> None:
        """Whoever claimed it: by now it may have been claimed again by the other."""
        if settled.lane:
            self._held.pop(settled.member, None)
        else:
            self.picks.drop(settled.member)

    def _succeeded(self) -> None:
        """Redis has answered."""
        if self._reconnect.failing:
            self._reconnect.succeeded()
            self._host.troubled(None)

    def _account(self, ended: list[Settled]) -> None:
        now = self._clock.monotonic()
        for name, desk in self._desks.items():
            took = [settled.seconds for settled in ended if settled.lane == name]
            if took:
                desk.budget.ended(len(took), sum(took) / len(took), now)

    def _wants(self) -> dict[str, int]:
        """How many jobs to claim at the desk: for lanes that may find some and have no promise at the door."""
        if not self.open:
            return {}
        open_lanes = {
            name: desk for name, desk in self._desks.items() if not desk.dry and name not in self._door.promised
        }
        return self._rooms(open_lanes)

    def _rooms(self, desks: dict[str, Desk]) -> dict[str, int]:
        for desk in desks.values():
            desk.budget.slots = desk.lane.slots  # some may be lent
        rooms = {name: min(desk.budget.room(), MOST_CLAIMED) for name, desk in desks.items()}
        return {name: room for name, room in rooms.items() if room > 0}

    def _claim(self, wants: dict[str, int]) -> Call[Claim]:
        queues = self._identity.served or self._identity.queues
        return calls.claim(self._identity.epoch, self._numbers(sum(wants.values())), wants, queues)

    def _numbers(self, count: int) -> int:
        """The first of `count` numbers in claim order; used up even where the answer is lost."""
        first, self._sequence = self._sequence, self._sequence + count
        return first

    def _receive(self, wants: dict[str, int], claim: Claim) -> None:
        """Take the answer to a claim. A lane that got less than it asked for is dry.

        While the lease has run out nothing is known of the lines, and the bell that rang is silent again: none is dry.
        """
        counts = self._dispatch(claim)
        for name, want in wants.items():
            self._desks[name].dry = claim.lease == "ok" and counts.get(name, 0) < want

    def _dispatch(self, claim: Claim) -> dict[str, int]:
        """Hand claimed jobs to their lanes; the answer is how many by lane. Raises Fenced."""
        if claim.lease == "fenced":
            raise Fenced
        if claim.lease == "expired":
            self._resume_at = self._clock.monotonic() + EXPIRED_PAUSE
        limited = self._admission.sort(claim.jobs) if self.open else {}
        counts = self._begin(limited.pop("", claim.jobs))
        for task, jobs in limited.items():
            (members,) = values(self._link.exchange(self._admission.ask(task, jobs)))
            self._begin(self._admission.admit(task, jobs, members))
            for job in jobs:
                counts[member_lane(job.member)] = counts.get(member_lane(job.member), 0) + 1
        return counts

    def _begin(self, claimed: Sequence[Claimed]) -> dict[str, int]:
        by_lane: dict[str, list[Claimed]] = {}
        for job in claimed:
            self._held[job.member] = job
            by_lane.setdefault(member_lane(job.member), []).append(job)
        for name, jobs in by_lane.items():
            size = sum(len(job.body) for job in jobs)
            self._desks[name].budget.took(len(jobs), self._clock.monotonic(), size)
            if self.open:
                self._desks[name].lane.start(jobs)
            else:
                self._give_back(name, jobs)
        return {name: len(jobs) for name, jobs in by_lane.items()}

    # 2. listen

    def _listen(self) -> None:
        """Wait at the door for every dry lane that has room."""
        rooms = self._dry_rooms()
        if self._door.promised and (not self.open or not rooms.keys() <= self._door.promised.keys()):
            self._poke()
            rooms = self._dry_rooms()
        if rooms and not self._door.promised:
            self._door.link.send(self._doorbell(tuple(rooms)), self._claim(rooms))
            self._door.promised, self._door.since = rooms, self._clock.monotonic()

    def _dry_rooms(self) -> dict[str, int]:
        dry = {name: desk for name, desk in self._desks.items() if desk.dry}
        return self._rooms(dry) if self.open else {}

    def _doorbell(self, lanes: tuple[str, ...]) -> Call[bytes | None]:
        poke = self._broker.key("poke", self._identity.epoch)
        return calls.doorbell([poke, *bells(self._broker.prefix, self._identity.queues, lanes)], BLOCK)

    def _poke(self) -> None:
        """Make the door come back, to go out again for other lanes."""
        values(self._link.exchange(calls.poke(self._identity.epoch)))
        self._answer_door()

    def _answer_door(self) -> None:
        promised = self._door.promised
        _, claim = values(self._door.link.receive())
        self._door.promised = {}
        self._receive(promised, claim)

    # compare

    def _compare(self) -> None:
        """Now and then, while no claim is under way: give back what Redis says we hold and we do not know of."""
        now = self._clock.monotonic()
        if self._door.promised or now - self._compared < BLOCK:
            return
        adopt = calls.adopt(self._identity.epoch, self._parked_skip, self._identity.queues)
        (found,) = values(self._link.exchange(adopt, *self._host.report())[:1])  # no job waits for a report
        self._compared = now
        self._succeeded()
        strangers = [member for member in found.held if member not in self._held and member not in self.picks]
        if strangers:
            values(self._link.exchange(calls.give_back(self._identity.epoch, strangers)))
        self._unpark(found)

    def _unpark(self, found: Adopted) -> None:
        """Claim parked jobs whose task is known here: a worker that does not know it parked them."""
        ours = [(member, body) for member, body in found.parked if member_lane(member) in self._desks]
        known = [member for member, body in ours if self._host.knows(body)]
        if known and self.open:
            first = self._numbers(len(known))
            (claim,) = values(self._link.exchange(calls.unpark(self._identity.epoch, first, known)))
            self._dispatch(claim)
        self._parked_skip = self._parked_skip + PARKED_PAGE if len(found.parked) >= PARKED_PAGE else 0

    def _lost(self, error: TaskqError) -> None:
        """The conversation broke: begin anew after a while, with the books compared first."""
        if not self._reconnect.failing:
            self._host.troubled(error)
        self._link.close()
        self._door.link.close()
        self._door.promised = {}
        self._compared = float("-inf")
        self._resume_at = self._clock.monotonic() + self._reconnect.failed(random.random())

    # giving back

    def _withdraw_stalled(self) -> None:
        now = self._clock.monotonic()
        for name, desk in self._desks.items():
            if desk.budget.stalled(now):
                self._withdraw(name)

    def _withdraw(self, name: str) -> None:
        jobs = self._desks[name].lane.withdraw()
        if jobs:
            self._give_back(name, jobs)

    def _give_back(self, name: str, jobs: Sequence[Claimed]) -> None:
        desk = self._desks[name]
        desk.budget.withdrawn(len(jobs))
        desk.dry = True
        for job in jobs:
            self._held.pop(job.member, None)
        self._admission.forget(jobs)
        try:
            (count,) = values(self._link.exchange(calls.give_back(self._identity.epoch, [job.member for job in jobs])))
            self._host.gave_back(0 if self.open else count)
        except TaskqError as error:
            self._lost(error)

    # 3. wait

    def _wait(self, also: Sequence[Any]) -> list[Any]:
        ready = self._doze([*also, *([self._door.link] if self._door.promised else [])], self._until())
        if self._door.promised:
            self._attend(self._door.link in ready)
        return [file for file in ready if file in also]

    def _doze(self, files: Sequence[Any], timeout: float) -> list[Any]:
        """Which of `files` can be read, after `timeout` seconds or as soon as a job ends."""
        ready = readable([self._outcomes, *files], timeout if self._outcomes.doze() else 0.0)
        self._outcomes.rouse(woken=self._outcomes in ready)
        return ready

    def _attend(self, rung: bool) -> None:
        try:
            if rung:
                idle = self.holding == 0
                self._answer_door()
                if idle and self.holding:
                    self._doze([], HEAD_START)
            elif self._clock.monotonic() - self._door.since > PATIENCE:
                self._lost(BrokerUnavailable(f"Redis has not answered for {PATIENCE:g} s"))
        except TaskqError as error:
            self._lost(error)

    def _until(self) -> float:
        """Seconds until something is due though nothing happens."""
        now = self._clock.monotonic()
        if self._resume_at > now:
            return self._resume_at - now
        if self._wants() or (self.idle and not self.open):
            return 0.0
        if any(desk.budget.waiting() for desk in self._desks.values()):
            return 0.05
        if self._door.promised:
            return max(0.0, self._door.since + PATIENCE - now)
        return max(0.0, self._compared + BLOCK - now)
