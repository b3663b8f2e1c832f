"""The book of one process: its tickets at locks, semaphores and barriers, and the parties under which it has them.

A ticket is one asking for a place. It is known here before Redis hears of it, and until Redis has surely forgotten it:
so what Redis has and the book has not is nobody's, and is given back (`renewal`).
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from taskq.broker import calls
from taskq.broker.call import Call
from taskq.broker.records import DEAD, Turn
from taskq.clock import Clock
from taskq.errors import CLOSED, BrokerError, WouldDeadlock

FOREVER = float("inf")
COMPARE = 5.0
"""Seconds between comparisons of the book with Redis in a worker process, which has no lease to renew."""
LITTER = 10.0
"""Seconds for which the book is compared after something was abandoned: a call that was given up may come late."""


@dataclass(slots=True, eq=False)
class Party:
    """This process as Redis knows it: an epoch, whose lease (None) the supervisor holds; or by a lease of its own.

    `deadline`: until when the lease lasts for certain (monotonic). `renew_at`: FOREVER while nobody needs it.
    """

    name: str
    lease: float | None
    deadline: float = FOREVER
    renew_at: float = FOREVER
    watch_until: float = 0.0
    new: bool = True
    dead: bool = False

    @property
    def interval(self) -> float:
        return COMPARE if self.lease is None else self.lease / 3

    def renewed(self, asked_at: float) -> None:
        """Redis has answered to a call that was made then."""
        self.new = False
        if self.lease is not None:
            self.deadline = max(asked_at + self.lease, self.deadline if self.deadline != FOREVER else 0.0)


@dataclass(slots=True, eq=False)
class Ticket:
    """One asking for a place at a lock or semaphore. `turn` is its number, once it has one: its fence, or DEAD."""

    sync: str
    token: str
    party: Party
    who: object
    turn: Future[int] = field(default_factory=Future)
    fence: int = 0
    look_at: float = FOREVER
    waits: bool = False
    gone: bool = False

    def ask(self, *, wait: bool) -> Call[Turn]:
        return calls.acquire(self.sync, self.token, self.party.lease, new=self.party.new, wait=wait)

    def undo(self) -> Call[int]:
        return undo(self.sync, self.token)

    def told(self, number: int) -> None:
        with suppress(InvalidStateError):  # it was told before
            self.turn.set_result(number)


class Arrival(Ticket):
    """One coming to a barrier. `turn`: its place in the order of arrival from 1 on; or DEAD, or BROKEN."""

    __slots__ = ()

    def ask(self, *, wait: bool) -> Call[Turn]:
        return calls.arrive(self.sync, self.token, self.party.lease, new=self.party.new, again=self.waits)


def undo(sync: str, token: str) -> Call[int]:
    """The call after which Redis has forgotten a token. Whoever leaves a barrier breaks it."""
    return calls.abort(sync, token) if sync.startswith("barrier:") else calls.release(sync, token)


def who_asks() -> object:
    """The coroutine or thread that runs here."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task or threading.current_thread()


class Book:
    """Thread-safe: `changed` guards all of it, and is notified when a thread that looks after it has more to do."""

    def __init__(self, clock: Clock):
        self.changed = threading.Condition()
        self.process = f"{os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}".replace("@", "")
        self.litter: list[Ticket] = []
        self.closed = False
        self._clock = clock
        self._tickets: dict[str, Ticket] = {}
        self._lines: dict[str, dict[str, Ticket]] = {}
        self._held: dict[str, list[Ticket]] = {}
        self._parties: dict[float | None, Party] = {}
        self._numbers = count(1)

    def settle_in(self, epoch: str) -> None:
        """This is the worker process `epoch`: its supervisor holds its lease, whatever jobs do here."""
        self.process = epoch
        self._parties = {None: Party(epoch, None, new=False)}

    @property
    def in_worker(self) -> bool:
        return None in self._parties

    # Tickets

    def open(self, kind: type[Ticket], sync: str, places: int, lease: float) -> Ticket:
        with self.changed:
            if self.closed:
                raise BrokerError(CLOSED)
            party = self._party(lease)
            ticket = kind(sync, f"{party.name}/{next(self._numbers)}/{places}", party, who_asks())
            self._tickets[ticket.token] = ticket
            self._attend(party)
            return ticket

    def _party(self, lease: float) -> Party:
        """The party for a lease: a new one where the old is dead, or may be."""
        if self.in_worker:
            return self._parties[None]
        party, now = self._parties.get(lease), self._clock.monotonic()
        if party is None or party.dead or party.deadline <= now:
            name = f"{self.process}@{round(lease * 1000)}.{next(self._numbers)}"
            party = self._parties[lease] = Party(name, lease, now + lease)
        return party

    def _attend(self, party: Party) -> None:
        if party.renew_at == FOREVER:
            party.renew_at = self._clock.monotonic() + party.interval
            self.changed.notify_all()

    def forget(self, ticket: Ticket) -> None:
        """Redis has nothing of it any more."""
        with self.changed:
            self._tickets.pop(ticket.token, None)
            self._leave(ticket)

    def abandon(self, ticket: Ticket) -> None:
        """Nobody knows what Redis has of it, and nobody wants it: it is given back in the background."""
        with self.changed:
            self._leave(ticket)
            self.litter.append(ticket)
            ticket.party.watch_until = self._clock.monotonic() + LITTER
            self._attend(ticket.party)
            self.changed.notify_all()

    def answered(self, ticket: Ticket, turn: Turn, asked_at: float) -> None:
        """`turn` is what Redis said to `ticket.ask`."""
        if turn.number == DEAD:
            ticket.party.dead = True
        else:
            ticket.party.renewed(asked_at)
        if turn.number:
            self.turn_of(ticket.token, turn.number)
        else:
            ticket.look_at = self._clock.monotonic() + turn.look

    def stand(self, ticket: Ticket) -> None:
        """It stands in line from now on, until its turn has come."""
        with self.changed:
            ticket.waits = True
            self._lines.setdefault(ticket.sync, {})[ticket.token] = ticket
            if ticket.turn.done():
                self._leave(ticket)
            self.changed.notify_all()

    def _leave(self, ticket: Ticket) -> None:
        line = self._lines.get(ticket.sync, {})
        if line.pop(ticket.token, None) is not None and not line:
            del self._lines[ticket.sync]

    def turn_of(self, token: str, number: int) -> None:
        """The turn of a ticket has come; one that is not known will be given back."""
        with self.changed:
            ticket = self._tickets.get(token)
            if ticket is not None:
                ticket.told(number)
                self._leave(ticket)

    def waiting(self) -> list[Ticket]:
        """All that stand in line."""
        with self.changed:
            return [ticket for line in self._lines.values() for ticket in line.values()]

    def heads(self) -> list[Ticket]:
        """The first of this process in each line: as long as its turn has not come, the others' has not."""
        with self.changed:
            return [next(iter(line.values())) for line in self._lines.values()]

    def find(self, token: str) -> Ticket | None:
        return self._tickets.get(token)

    # Holds

    def hold(self, ticket: Ticket, fence: int) -> None:
        with self.changed:
            ticket.fence = fence
            self._held.setdefault(ticket.sync, []).append(ticket)

    def let_go(self, sync: str) -> Ticket | None:
        """The hold on `sync` that is to be released: the last of who asks, or else the last of this process."""
        with self.changed:
            held, who = self._held.get(sync, []), who_asks()
            if not held:
                return None
            last = next((ticket for ticket in reversed(held) if ticket.who is who), held[-1])
            held.remove(last)
            if not held:
                del self._held[sync]
            return last

    def holds(self, sync: str) -> list[Ticket]:
        """The holds on `sync` of who asks."""
        with self.changed:
            who = who_asks()
            return [ticket for ticket in self._held.get(sync, []) if ticket.who is who]

    def refuse_deadlock(self, sync: str, places: int) -> None:
        """Raise WouldDeadlock where who asks has all the places himself."""
        if sum(not ticket.gone for ticket in self.holds(sync)) >= places:
            kind, _, name = sync.partition(":")
            who = _kind(who_asks())
            raise WouldDeadlock(
                f"cannot acquire {kind} {name!r}: this {who} holds it, and would wait for itself for ever\n"
                "  hint: it is not reentrant; release it first, or give a timeout"
            )

    # Parties

    def due(self) -> float:
        """When the next lease is to be renewed (monotonic)."""
        return min((party.renew_at for party in self._parties.values()), default=FOREVER)

    def due_parties(self, now: float) -> list[tuple[Party, int]]:
        """Those whose lease is to be renewed, each with the number of its tickets. Those without any rest."""
        with self.changed:
            chosen = []
            for party in self._parties.values():
                known = sum(ticket.party is party for ticket in self._tickets.values())
                if not known and now >= party.watch_until:
                    party.renew_at = FOREVER
                elif party.renew_at <= now:
                    chosen.append((party, known))
            return chosen

    def bury(self, party: Party) -> None:
        """It was declared dead: its holds are lost, and who waits has to ask anew."""
        with self.changed:
            party.dead, party.renew_at = True, FOREVER
            for ticket in self._tickets.values():
                if ticket.party is party:
                    ticket.gone = True
                    ticket.told(DEAD)
                    self._leave(ticket)

    def missing(self, party: Party, tokens: set[str], before: list[Ticket]) -> None:
        """Of `before`, which were held when Redis was asked, those not in `tokens` are lost."""
        with self.changed:
            for ticket in before:
                ticket.gone = ticket.gone or (ticket.party is party and ticket.token not in tokens)

    def all_held(self) -> list[Ticket]:
        with self.changed:
            return [ticket for held in self._held.values() for ticket in held]

    def close(self) -> None:
        """All is given up; who waits is told."""
        with self.changed:
            self.closed = True
            self.litter = list(self._tickets.values())
            self._held.clear()
            self._lines.clear()
            for ticket in self.litter:
                with suppress(InvalidStateError):
                    ticket.turn.set_exception(BrokerError(CLOSED))
            self.changed.notify_all()


def _kind(who: object) -> str:
    return "thread" if isinstance(who, threading.Thread) else "coroutine"
