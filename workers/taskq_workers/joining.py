"""What becomes of a slot while its job waits for other jobs: it runs them, or lends itself to others.

    wait -> own?   a job that it waits for stands in this process already, before a slot is free for it
         -> pick   one that stands in line in Redis is claimed, by its id
              |
              +-> here: in this thread, on top of the job that waits     (coroutines: in the event loop, in threads)
              +-> none: the slot is lent to other jobs until an outcome comes; then, or after a while, it is tried again

So a job never waits for a slot that it has itself. Time limits do not reach a job while another one runs on top of it:
they are kept for its return.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from taskq import ids
from taskq.broker import calls
from taskq.broker.call import Call
from taskq.broker.keys import member_id, member_lane, member_route
from taskq.broker.records import Claimed, Pick
from taskq.clock import Clock
from taskq.errors import BrokerError, WaitCycle
from taskq.lifecycle import Bury, Finish
from taskq.steps import Office, Steps, awalk, walk
from taskq.waits import OUTSIDE, Left, Wait
from taskq_workers.exchange import Identity
from taskq_workers.outcomes import Settled
from taskq_workers.picks import Picks
from taskq_workers.runner import Run
from taskq_workers.shop import Shop
from taskq_workers.threads import Slot

WINDOW = 32
"""For how many jobs at once a line is looked through."""
SOON, LATE = 0.05, 2.0
"""Seconds until it is tried again whether one can be had: a job may have come back in line. Twice as many each time."""
BRIEF = 0.005
"""Seconds of waiting for which no slot is lent: a thread more costs as much."""
FRAMES_TO_WAIT, FRAMES_TO_RUN = 100, 300
"""How many calls the stack must have room for: to wait at all, and for a job on top of the one that waits."""


class Joint(Protocol):
    """A lane, as far as waiting goes."""

    def start(self, jobs: Sequence[Claimed]) -> None: ...
    def find(self, wanted: Callable[[bytes], bool]) -> Claimed | None: ...
    def lend(self) -> bool: ...
    def take_back(self) -> None: ...
    def beside(self, run: Run) -> bool: ...


class _Turns:
    """When it is tried whether a job can be had: not while one runs beside, and not all the time."""

    def __init__(self, wait: Wait, left: Left, clock: Clock):
        self._wait, self._left, self._clock = wait, left, clock
        self._due, self._pause = 0.0, SOON
        self._beside: bytes | None = None

    def now(self) -> bool:
        if self._beside is None:
            return self._clock.monotonic() >= self._due
        return not self._wait.awaits(self._beside)

    def found(self, beside: bytes | None = None) -> None:
        """One was found; it has ended, or runs `beside`."""
        self._beside, self._due, self._pause = beside, 0.0, SOON

    def found_none(self) -> None:
        self._beside, self._due = None, self._clock.monotonic() + self._pause
        self._pause = min(2 * self._pause, LATE)

    @property
    def beside(self) -> bool:
        """Does one run beside?"""
        return self._beside is not None

    def rest(self) -> float:
        """Seconds until the next try, or until no time is left."""
        left, due = self._left(), LATE if self._beside else self._due - self._clock.monotonic()
        return max(0.0, due if left is None else min(due, left))

    @property
    def over(self) -> bool:
        return self._wait.over or self._left() == 0


class Joiner:
    """What the jobs of one process do while they wait. Without `lanes`, for jobs that run alone, nothing is claimed."""

    def __init__(
        self, identity: Identity, office: Office, shop: Shop, lanes: Mapping[str, Joint], picks: Picks, clock: Clock
    ):
        self._epoch, self._limits = identity.epoch, identity.limits
        self._queues = identity.queues if lanes else ()
        self._office, self._shop, self._lanes, self._picks, self._clock = office, shop, lanes, picks, clock

    # In a thread

    def wait(self, run: Run, wait: Wait, ask: Callable[[], object], left: Left) -> Iterator[int]:
        slot, turns, asked = run.slot, _Turns(wait, left, self._clock), False
        if not isinstance(slot, Slot):  # a coroutine that blocks its loop
            yield from OUTSIDE.wait(wait, ask, left)
            return
        _dive(FRAMES_TO_WAIT)
        wait.watch()
        try:
            while not turns.over:
                number = wait.next()
                if number is None and not (turns.now() and self._help(run, slot, wait, turns)):
                    if not asked:
                        asked = True
                        ask()
                    number = self._rest(run, slot, wait, turns.rest())
                if number is not None:
                    yield number
            while (number := wait.next()) is not None:
                yield number
        finally:
            if not wait.over:
                with suppress(BrokerError):
                    self._office.carry(self._call(run, ()))

    def _help(self, run: Run, slot: Slot, wait: Wait, turns: _Turns) -> bool:
        """Run one of the jobs, on top of this one. False where there is none, or it runs beside."""
        if slot.thread != threading.get_ident():  # a thread of the job's own making
            return self._beside(walk(self._office, self._pick(run, wait)), turns)
        with self._shop.sheltered(run):
            inner = self._own(wait) or walk(self._office, self._pick(run, wait))
            if inner is None or member_lane(inner.member) == "async":
                return self._beside(inner, turns)
            if not _roomy():
                return self._deeper(inner, turns)
            self._on_top(run, slot, inner)
        turns.found()
        return True

    def _deeper(self, inner: Run, turns: _Turns) -> bool:
        """Run it on a stack of its own. Where there is none, it may wait for the like of it without end."""
        self._beside(inner, turns)
        if not turns.beside:
            raise RecursionError("too many jobs wait for one another, each on top of the one before")
        return False

    def _own(self, wait: Wait) -> Run | None:
        """One that this process holds already and no slot has started."""
        for name in ("io", "cpu"):
            claimed = self._lanes[name].find(wait.wants) if name in self._lanes else None
            if claimed is not None:
                return self._opened(claimed, wait)
        return None

    def _pick(self, run: Run, wait: Wait) -> Steps[Run | None]:
        """One that stands in line in Redis."""
        for _ in range(wait.windows(WINDOW)):
            members = wait.members(WINDOW)
            with self._picks.asking(members):
                try:
                    inner, unfit = self._taken((yield self._call(run, members)), wait)
                    if unfit:
                        yield calls.give_back(self._epoch, unfit)
                except BrokerError:  # who asks for outcomes next says so, if it lasts
                    return None
            if inner is not None:
                return inner
        return None

    def _call(self, run: Run, members: Sequence[bytes]) -> Call[Pick]:
        jobs = [(member_id(member), member_route(member)) for member in members]
        return calls.pick(self._epoch, run.member, run.envelope.task, self._queues, jobs)

    def _taken(self, pick: Pick, wait: Wait) -> tuple[Run | None, list[bytes]]:
        """What can run here, and the members of what cannot."""
        if pick.cycle:
            raise WaitCycle(_cycle(pick.cycle))
        for claimed in pick.claim.jobs:
            inner = self._opened(claimed, wait)
            moved = inner.envelope.route not in ("", member_route(claimed.member))  # its name was used again
            if moved or self._limits.task_of(claimed.body):  # a limited task has to be admitted
                wait.leave(claimed.member)
                return None, [claimed.member]
            self._picks.take(claimed.member)
            inner.lane = ""  # in no lane's account
            return inner, []
        return None, []

    def _opened(self, claimed: Claimed, wait: Wait) -> Run:
        inner = self._shop.runner.open(claimed)
        inner.told, inner.claimed = partial(_tell, wait), claimed
        return inner

    def _on_top(self, run: Run, slot: Slot, inner: Run) -> None:
        self._shop.lay(inner, run)
        try:
            slot.lane.perform(inner, slot)
        except BaseException as error:
            self._shop.fail(inner, slot.row, error)
        finally:
            self._shop.resume(run, slot.row)

    def _beside(self, inner: Run | None, turns: _Turns) -> bool:
        if inner is None:
            turns.found_none()
        elif self._lanes[member_lane(inner.member)].beside(inner):
            turns.found(beside=member_id(inner.member))
        else:
            self._put_back(inner)
            turns.found_none()
        return False

    def _put_back(self, inner: Run) -> None:
        if inner.lane and inner.claimed:
            self._lanes[inner.lane].start([inner.claimed])
        else:
            self._picks.drop(inner.member)  # it goes back in line

    def _rest(self, run: Run, slot: Slot, wait: Wait, seconds: float) -> int | None:
        number = wait.next(min(BRIEF, seconds))
        if number is not None or seconds <= BRIEF:
            return number
        if slot.thread != threading.get_ident():
            return wait.next(seconds - BRIEF)
        with self._shop.sheltered(run):  # a time limit must not come between a slot and its return
            lent = slot.lane.lend()
            try:
                with self._shop.exposed(run):
                    return wait.next(seconds - BRIEF)
            finally:
                if lent:
                    slot.lane.take_back()

    # In an event loop

    async def await_(self, run: Run, wait: Wait, ask: Callable[[], Awaitable[object]], left: Left) -> None:
        lane: Joint = run.slot.lane if isinstance(run.slot, Slot) else run.slot
        turns, asked = _Turns(wait, left, self._clock), False
        wait.watch()
        try:
            while not turns.over:
                if turns.now():
                    waiting = lane.find(wait.wants)
                    picking = self._pick(run, wait)
                    self._beside(self._opened(waiting, wait) if waiting else await awalk(self._office, picking), turns)
                if not asked:
                    asked = True
                    await ask()
                await self._arest(lane, wait, turns.rest())
        finally:
            if not wait.over:
                with suppress(BrokerError):
                    await self._office.acarry(self._call(run, ()))

    async def _arest(self, lane: Joint, wait: Wait, seconds: float) -> None:
        if await wait.anext(min(BRIEF, seconds)) is not None or seconds <= BRIEF:
            return
        lent = lane.lend()
        try:
            await wait.anext(seconds - BRIEF)
        finally:
            if lent:
                lane.take_back()


def _dive(frames: int) -> None:
    """Raise RecursionError here, where nothing has been begun, unless there is room for so many calls."""
    if frames:
        _dive(frames - 1)


def _roomy() -> bool:
    try:
        _dive(FRAMES_TO_RUN)
    except RecursionError:
        return False
    return True


def _tell(wait: Wait, settled: Settled) -> None:
    """Its outcome need not come by way of Redis: who waits is in this process, and is fenced with it."""
    if isinstance(settled.step, (Finish, Bury)):
        kept = settled.ttl > 0 or isinstance(settled.step, Bury)
        wait.deliver(member_id(settled.member), settled.record if kept else b"")


def _cycle(chain: Sequence[tuple[bytes, str]]) -> str:
    names = [f"{task} {ids.show(job_id)}" for job_id, task in chain]
    awaited = ids.show(chain[1 % len(chain)][0])
    return (
        f"cannot wait for job {awaited}: it waits for this one, so that none of them would end\n"
        f"  {' waits for '.join([*names, names[0]])}\n"
        "  hint: let one of them return what the other needs, instead of waiting"
    )
