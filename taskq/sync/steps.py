"""What locks and barriers do, as steps. Wherever they are interrupted, they hear of it, and leave no hold behind."""

from __future__ import annotations

from typing import Protocol

from taskq.broker import calls
from taskq.broker.records import BROKEN, DEAD
from taskq.errors import BrokerUnavailable, LockLost, NotHeld
from taskq.steps import Office, Steps, Wait
from taskq.sync.book import FOREVER, Arrival, Ticket
from taskq.sync.stakes import Stakes


class Carrier(Office, Protocol):
    """What a lock needs of its app."""

    @property
    def stakes(self) -> Stakes: ...


# Locks and semaphores


def acquire(stakes: Stakes, sync: str, places: int, lease: float, timeout: float | None) -> Steps[Ticket | None]:
    """A ticket that has a place, or None where there was none in time."""
    if timeout is None:
        stakes.book.refuse_deadlock(sync, places)
    until = FOREVER if timeout is None else stakes.clock.monotonic() + timeout
    while True:
        ticket = stakes.open(Ticket, sync, places, lease)
        try:
            number = yield from _number(stakes, ticket, until, waits=timeout != 0)
            if number > 0:
                stakes.book.hold(ticket, number)
                return ticket
        except BaseException:
            stakes.book.abandon(ticket)
            raise
        stakes.book.forget(ticket)
        if number != DEAD:
            return None
        if stakes.book.in_worker:
            raise LockLost(
                f"cannot acquire {_shown(sync)}: this worker process was declared dead, its jobs run elsewhere"
            )


def _number(stakes: Stakes, ticket: Ticket, until: float, *, waits: bool) -> Steps[int]:
    """What came of it: a fence, 0 for nothing in time, or DEAD."""
    asked_at = stakes.clock.monotonic()
    turn = yield ticket.ask(wait=waits)
    if not waits and not turn.number:
        return 0
    stakes.answered(ticket, turn, asked_at)
    if not (yield Wait(ticket.turn, _left(stakes, until))):
        turn = yield ticket.ask(wait=False)  # its turn may just have come; else it leaves the line
        return turn.number  # type: ignore[no-any-return]
    return ticket.turn.result()


def _left(stakes: Stakes, until: float) -> float | None:
    return None if until == FOREVER else max(0.0, until - stakes.clock.monotonic())


def release(stakes: Stakes, sync: str) -> Steps[None]:
    """Give back what this thread or coroutine took last, or else what anybody in this process did."""
    ticket = stakes.book.let_go(sync)
    if ticket is None:
        raise NotHeld(
            f"cannot release {_shown(sync)}: this process does not hold it\n  hint: acquire it first, or `with`"
        )
    try:
        answer = yield ticket.undo()
    except BrokerUnavailable:  # the work is done, and nobody else has the lock: it is given back when Redis answers
        stakes.book.abandon(ticket)
        answer = DEAD if ticket.party.deadline <= stakes.clock.monotonic() else 0
    except BaseException:
        stakes.book.abandon(ticket)
        raise
    else:
        stakes.book.forget(ticket)
    if answer == DEAD or ticket.gone:
        raise LockLost(
            f"{_shown(sync)} was lost before it was released: others may have had it meanwhile\n"
            "  hint: the process stood still, or Redis was away, for longer than the lease; check `held.fence` where "
            "work is stored"
        )


# Barriers


def wait(stakes: Stakes, sync: str, parties: int, lease: float, timeout: float | None) -> Steps[int]:
    """The place in the order of arrival, from 1 on; or BROKEN."""
    until = FOREVER if timeout is None else stakes.clock.monotonic() + timeout
    while True:
        arrival = stakes.open(Arrival, sync, parties, lease)
        try:
            number = yield from _arrive(stakes, arrival, until)
        except BaseException:
            stakes.book.abandon(arrival)
            raise
        stakes.book.forget(arrival)
        if number != DEAD:
            return number
        if arrival.waits or stakes.book.in_worker:  # it was there, and its death broke the barrier
            return BROKEN


def _arrive(stakes: Stakes, arrival: Ticket, until: float) -> Steps[int]:
    asked_at = stakes.clock.monotonic()
    stakes.answered(arrival, (yield arrival.ask(wait=True)), asked_at)
    if not (yield Wait(arrival.turn, _left(stakes, until))):
        place: int = yield calls.abort(arrival.sync, arrival.token)
        return place
    return arrival.turn.result()


def _shown(sync: str) -> str:
    kind, _, name = sync.partition(":")
    return f"{kind} {name!r}"
