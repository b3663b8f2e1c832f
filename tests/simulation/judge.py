"""What must hold, whatever happens.

The judge sees what the server answers to whom, what jobs do, and what goes wrong; and it looks into Redis now and
then. It knows nothing of how the scripts come to their answers. A *life* of a job is from an enqueue (or a revival) to
its one outcome. An owner is *harmed* when a call of it goes wrong, when it is stopped, or dies.

    one outcome      a job is stored once, and ends once; what is stored is the record of the run that was accepted
    nothing undead   a process that was declared dead gets no jobs, and nothing it writes is accepted
    one run          of all runs of an attempt, at most one is of a process that no fault touched
    one place        `tests.support.census`, and what is held is held by somebody alive or being reaped
    books            nobody claims more before it knows what it holds; what it does not know of does not stay with it
    leases           no process is declared dead because the server was away, or because its clock jumped
    limits           no more losses and attempts than there were runs; nothing runs early, or from a paused queue
    news             who waits for an outcome hears of it
    an end           when the faults are over, every job comes to its outcome, and nothing is left
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from taskq.broker.call import Call
from taskq.broker.calls import LOSS_LIMIT
from taskq.broker.keys import member_id, member_route, route_queue
from taskq.broker.records import Full
from taskq.results import ASK_AGAIN_AFTER
from taskq_workers.obituaries import LOST, UNKNOWN
from tests.simulation.child import LEASE, Child
from tests.simulation.jobs import TTL, attempts
from tests.simulation.loop import Loop
from tests.simulation.network import Letter, Network
from tests.simulation.others import Client
from tests.simulation.supervisor import GAP, Host
from tests.support.census import one_place, take_census

STUCK = 12.0
"""Seconds after the last harm, in which a process learns of everything that it holds: patience, pause, a comparison."""
UNTOLD = ASK_AGAIN_AFTER + 12.0
"""Seconds after the last harm, in which a client learns of an outcome."""
NEVER = float("-inf")


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass(slots=True)
class Run:
    epoch: str
    claimed: float


@dataclass(slots=True)
class Life:
    """`due`: not to be run before (server's time). `starts`: how often it was run in all its attempts."""

    open: bool = True
    record: bytes | None = None
    history: bytes = b""
    due: float = 0.0
    closed_at: float = 0.0
    starts: int = 0
    runs: list[Run] = field(default_factory=list)


class Judge:
    """Sees a play. Raises Broken."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.network: Network
        self.lives: dict[bytes, Life] = {}
        self.clients: list[Client] = []
        self.outcomes, self.runs, self.again = 0, 0, 0
        self._children: dict[str, Child] = {}
        self._hosts: dict[str, Host] = {}
        self._harmed: dict[str, float] = {}
        self._all_harmed = NEVER
        self._claimed: dict[tuple[str, bytes], float] = {}
        self._unknown: dict[str, tuple[float, set[bytes]]] = {}
        self._seen: dict[tuple[str, bytes], float] = {}
        self._reaped: set[str] = set()
        self._fencing: set[str] = set()
        self._renewed: dict[str, float] = {}
        self._paused: set[str] = set()
        self._line: list[bytes] = []
        self._records: deque[tuple[float, bytes, Life]] = deque()
        self._acknowledged: set[bytes] = set()

    def check(self, holds: bool, rule: str, *facts: Any) -> None:
        if not holds:
            raise Broken(f"{rule}: {' '.join(map(str, facts))}")

    # What actors say

    def born(self, child: Child, host: Host) -> None:
        self._children[child.epoch], self._hosts[child.epoch] = child, host
        child.process.mourners.append(lambda: self.harmed(child.epoch))

    def acknowledged(self, ids: Iterable[bytes]) -> None:
        for job in ids:
            self.check(job in self.lives, "a job that was acknowledged is unknown", job)
            self._acknowledged.add(job)

    def began(self, epoch: str, member: bytes) -> int:
        """A job starts in a process. The answer is the number of the run."""
        life, claimed = self.lives[member_id(member)], self._claimed[epoch, member]
        self.runs += 1
        life.starts += 1
        self.again += bool(life.runs)
        life.runs.append(Run(epoch, claimed))
        untouched = [run.epoch for run in life.runs if self._harm(run.epoch) < run.claimed]
        self.check(len(untouched) <= 1, "run twice, though nothing went wrong", member, untouched)
        touched = epoch not in untouched
        self.check(life.open or touched, "run after its outcome, though nothing went wrong", member, epoch)
        self.check(touched or self._now >= life.due - 0.002, "run too early", member, life.due, self._now)
        return self.runs

    # What goes wrong

    def harmed(self, owner: str) -> None:
        self._harmed[owner] = self.loop.now

    def all_harmed(self) -> None:
        self._all_harmed = self.loop.now

    def clock_jumped(self) -> None:
        """What was due at some time is due at another now."""
        for life in self.lives.values():
            life.due = 0.0

    def gave_up(self, owner: str, claimed: Sequence[bytes]) -> None:
        """`owner` knows that it will not hear what it claimed."""
        if claimed:
            _, unknown = self._unknown.get(owner, (0.0, set()))
            self._unknown[owner] = self.loop.now, unknown | set(claimed)

    def _harm(self, epoch: str) -> float:
        """When a fault last touched a process or its host."""
        child, host = self._children[epoch], self._hosts[epoch]
        if self.network.down or child.process.stopped or host.process.stopped:
            return self.loop.now
        return max(self._harmed.get(epoch, NEVER), self._harmed.get(host.name, NEVER), self._all_harmed)

    @property
    def _now(self) -> float:
        return self.network.clock.now()

    # What the server answers

    def before(self, call: Call[Any]) -> None:
        if call.name == "purge":
            self._line = self._standing(str(call.args[0]))
        elif call.name in ("delete", "revive"):
            self._bury_the_lost()

    def _standing(self, route: str) -> list[bytes]:
        """Up to 500 of a line, but for empty places."""
        key = self.network.broker.key
        fields = self.network.raw("HGETALL", key("cancelled"))
        empty = {job for job, of in zip(fields[::2], fields[1::2], strict=True) if of == route.encode()}
        line = self.network.raw("LRANGE", key("ready", route), 0, 499)
        return [member for member in line if member_id(member) not in empty]

    def carried(self, letter: Letter, call: Call[Any], value: Any) -> None:
        see = getattr(self, f"_{call.name}", None)
        if see:
            see(letter, call.args, value)

    def _enqueue(self, letter: Letter, args: Sequence[Any], answer: int | Full) -> None:
        _, delay, _, _, *pairs = args
        if isinstance(answer, Full):
            self.check(delay == "" and answer.length >= answer.bound, "refused though there was room", answer)
            pairs, stored = pairs[: 2 * answer.dealt], answer.stored
        else:
            stored = answer
        fresh = [job for job in pairs[::2] if self._is_new(job)]
        self.check(stored <= len(fresh), "stored though it has a life", letter.line.owner, pairs[::2])
        if stored < len(fresh):  # the empty place of a deleted job stands in another line, and its name is refused
            self.check(not any(job not in self.lives for job in fresh), "a new job was refused", pairs[::2])
            fresh = [job for job in fresh if self.network.raw("HEXISTS", self.network.broker.key("jobs"), job)]
            self.check(max(stored, 0) == len(fresh), "stored", stored, "but found", fresh)
        for job in fresh:
            due = 0.0 if delay == "" else self._now + delay / 1000
            self.lives[job] = Life(due=due)

    def _is_new(self, job: bytes) -> bool:
        life = self.lives.get(job)
        return life is None or (not life.open and life.record is None)

    def _claim(self, letter: Letter, args: Sequence[Any], claim: Any) -> None:
        epoch = str(args[0])
        since, unknown = self._unknown.get(epoch, (0.0, set()))
        wise = letter.late or letter.sent <= since or not unknown
        self.check(wise, "claimed more before it knew what it held", epoch, unknown)
        self.check(not claim.jobs or epoch not in self._reaped, "jobs for the dead", epoch)
        for job in claim.jobs:
            self._claimed[epoch, job.member] = self.loop.now
            self.check(self._life(job.member).open, "claimed after its outcome", job.member)
            paused = route_queue(member_route(job.member)) in self._paused
            self.check(not paused, "claimed from a paused queue", job.member)
        letter.claimed += [job.member for job in claim.jobs]
        if letter.late:
            self.harmed(epoch)

    _unpark = _claim

    def _pick(self, letter: Letter, args: Sequence[Any], pick: Any) -> None:
        """By a job that waits: it knows nothing of the books, nor has it to."""
        epoch = str(args[0])
        self.check(not pick.claim.jobs or epoch not in self._reaped, "jobs for the dead", epoch)
        for job in pick.claim.jobs:
            self._claimed[epoch, job.member] = self.loop.now
            self.check(self._life(job.member).open, "claimed after its outcome", job.member)
            paused = route_queue(member_route(job.member)) in self._paused
            self.check(not paused, "claimed from a paused queue", job.member)
        if letter.late:
            self.harmed(epoch)

    def _adopt(self, letter: Letter, args: Sequence[Any], found: Any) -> None:
        self._unknown.pop(str(args[0]), None)

    def _commit(self, letter: Letter, args: Sequence[Any], dropped: Sequence[bytes]) -> None:
        for member, ttl, _, record in zip(*(iter(args[1:]),) * 4, strict=True):
            if member not in dropped:
                self._end(args[0], member, record if ttl else None)

    def _bury(self, letter: Letter, args: Sequence[Any], dropped: Sequence[bytes]) -> None:
        for member, record, _ in zip(*(iter(args[1:]),) * 3, strict=True):
            if member not in dropped:
                self._end(args[0], member, record, lasts=True)

    def _retry(self, letter: Letter, args: Sequence[Any], dropped: Sequence[bytes]) -> None:
        for member, delay, history in zip(*(iter(args[1:]),) * 3, strict=True):
            life = self._life(member)
            if member not in dropped and history != life.history:  # which says that it has been accepted before
                self._still(args[0], member)
                life.due, life.history = self._now + delay / 1000, history
                life.runs.clear()

    def _park(self, letter: Letter, args: Sequence[Any], dropped: Sequence[bytes]) -> None:
        for member in args[2:]:
            if member not in dropped:
                self._still(args[0], member)

    def _still(self, epoch: str, member: bytes) -> Life:
        """Somebody's word on a job was accepted: he must be alive, and the job without an outcome."""
        self.check(epoch not in self._reaped, "accepted from the dead", epoch, member)
        life = self._life(member)
        self.check(life.open, "accepted after its outcome", epoch, member)
        return life

    def _end(self, epoch: str, member: bytes, record: bytes | None, lasts: bool = False) -> None:
        if record is not None and record == self._life(member).record:
            return  # it was accepted before
        self._still(epoch, member)
        self._close(member_id(member), record, lasts)

    def _life(self, member: bytes) -> Life:
        return self.lives[member_id(member)]

    def _close(self, job: bytes, record: bytes | None, lasts: bool = False) -> None:
        life = self.lives[job]
        life.open, life.record, life.closed_at = False, record, self.loop.now
        self.outcomes += 1
        if record is not None and not lasts:
            self._records.append((self.loop.now + TTL, job, life))

    # What supervisors hear

    def _register(self, letter: Letter, args: Sequence[Any], schema: str | None) -> None:
        if schema is not None:
            self._reaped.discard(args[0])
            self._fencing.discard(args[0])
            self._renewed[args[0]] = self.network.uptime

    def _heartbeat(self, letter: Letter, args: Sequence[Any], beat: Any) -> None:
        for epoch in args[2::2]:
            if epoch not in beat.lost:
                self._renewed[epoch] = self.network.uptime

    def _reap(self, letter: Letter, args: Sequence[Any], reaped: Any) -> None:
        epoch = args[0]
        if self.network.raw("ZSCORE", self.network.broker.key("workers"), epoch) is not None:
            return  # it has come back: it was spared
        if epoch not in self._fencing and self._children[epoch].process.alive:
            silent = self.network.uptime - self._renewed[epoch]
            self.check(silent >= LEASE - GAP, "declared dead though it was not silent", epoch, f"{silent:.1f} s")
        self._fencing.add(epoch)
        if reaped.left == 0:
            self._reaped.add(epoch)
        if reaped.buried:
            found = self._bury_the_lost()
            self.check(found == reaped.buried, "buried by a reaper", reaped.buried, "but found", found)

    def _bury_the_lost(self) -> int:
        """Those that died of their losses, or as nobody knew them: no answer names them. How many of the first."""
        raw, key, lost = self.network.raw, self.network.broker.key, 0
        dead = [m for queue in raw("SMEMBERS", key("queues")) for m in raw("ZRANGE", key("dead", queue), 0, -1)]
        for member in [member for member in dead if self._life(member).open]:
            record, life = raw("GET", key("result", member_id(member))), self._life(member)
            self.check(record in (LOST, UNKNOWN), "dead, and nobody buried it", member, record)
            self.check(record == UNKNOWN or life.starts >= LOSS_LIMIT, "lost too early", member, life.starts)
            lost += record == LOST
            self._close(member_id(member), record, lasts=True)
        return lost

    # What operators hear

    def _cancel(self, letter: Letter, args: Sequence[Any], states: Sequence[str]) -> None:
        for job, state in zip(args[2::2], states, strict=True):
            if state in ("queued", "delayed", "parked") and self.lives[job].record != args[0]:
                self.check(self.lives[job].open, "cancelled after its outcome", job)
                self._close(job, args[0])

    def _delete(self, letter: Letter, args: Sequence[Any], states: Sequence[str]) -> None:
        for job, state in zip(args[::2], states, strict=True):
            if state not in ("running", "unknown"):
                self._forget(job, ended=state in ("done", "dead"))

    def _purge(self, letter: Letter, args: Sequence[Any], purged: Any) -> None:
        there = [member_id(member) for member in self._line if self._life(member).open]
        self.check(purged[0] == len(there), "purged", purged, "of", len(there))
        for job in there:
            self._forget(job)

    def _forget(self, job: bytes, ended: bool = False) -> None:
        self.check(self.lives[job].open != ended, "deleted in another state than it was", job)
        self._close(job, None)

    def _revive(self, letter: Letter, args: Sequence[Any], states: Sequence[str]) -> None:
        for job, state in zip(args[::2], states, strict=True):
            if state == "dead":
                self.check(not self.lives[job].open, "revived in another state than it was", job)
                self.lives[job] = Life()
            elif state == "delayed":
                self.lives[job].due = 0.0

    def _pause(self, letter: Letter, args: Sequence[Any], fresh: bool) -> None:
        self._paused.add(args[0])

    def _resume(self, letter: Letter, args: Sequence[Any], was: bool) -> None:
        self._paused.discard(args[0])

    # What is in Redis

    def look(self) -> None:
        """A glance: who holds what, who waits for what, which records have expired."""
        for epoch in sorted(self._living()):
            self._look_at(self._children[epoch])
        for client in self.clients:
            self._ask(client)
        while self._records and self._records[0][0] <= self.loop.now:
            _, job, life = self._records.popleft()
            if self.lives[job] is life and life.record is not None:
                self._expire(job, life)

    def _living(self) -> Iterable[str]:
        return [epoch for epoch in self._renewed if epoch not in self._reaped and self._children[epoch].process.well]

    def _look_at(self, child: Child) -> None:
        """What a process holds and does not know of must have been found, some time after it was harmed."""
        held = self.network.raw("ZRANGE", self.network.broker.key("held", child.epoch), 0, -1)
        strangers = {(child.epoch, member) for member in child.unaware(held)}
        for stale in [key for key in self._seen if key[0] == child.epoch and key not in strangers]:
            del self._seen[stale]
        for key in strangers:
            since = max(self._seen.setdefault(key, self.loop.now), self._harm(child.epoch))
            self.check(self.loop.now - since < STUCK, "stuck with who does not know of it", *key)

    def _ask(self, client: Client) -> None:
        for job in client.waiting:
            life, harm = self.lives.get(job), max(self._harmed.get(client.name, NEVER), self._all_harmed)
            if life and not life.open and not self.network.down:
                since = max(life.closed_at, harm, client.waiting[job])
                self.check(self.loop.now - since < UNTOLD, "nobody told", client.name, job)

    def _expire(self, job: bytes, life: Life) -> None:
        """Redis does this by itself, by a clock of its own."""
        key = self.network.broker.key("result", job)
        record = self.network.raw("GET", key)
        self.check(record == life.record, "the record of another run", job, record, "instead of", life.record)
        self.network.raw("UNLINK", key)
        life.record = None

    def count(self) -> None:
        """A census of all that is there."""
        census = take_census(self.network.broker, self.network.link)
        self.check(not (wrong := one_place(census)), "not in one place", wrong)
        holders = set(census["workers"].get("", {})) | set(census["fenced"].get("", ()))
        orphans = {epoch for epoch in census["held"] if epoch.encode() not in holders}
        self.check(not orphans, "held by nobody", orphans)
        for row in ("losses", "attempts"):
            for job, many in census[row].get("", {}).items():
                self.check(attempts(many) <= self.lives[job].starts, f"more {row} than runs", job, many)

    # The end

    @property
    def at_rest(self) -> bool:
        """Has every job its outcome, and does everybody know?"""
        busy = any(self._children[epoch].held for epoch in self._living())
        if busy or any(client.waiting for client in self.clients):
            return False
        self._bury_the_lost()
        return not any(life.open for life in self.lives.values())

    def complain(self) -> None:
        """It did not come to rest."""
        open_ = [job for job, life in self.lives.items() if life.open]
        held = {epoch: list(self._children[epoch].held) for epoch in self._living() if self._children[epoch].held}
        waiting = {client.name: list(client.waiting) for client in self.clients if client.waiting}
        raise Broken(f"no end: without an outcome {open_}; held {held}; waiting {waiting}")

    def close_the_books(self) -> None:
        """Everything has ended: every record is the accepted one, and but for the dead nothing is left."""
        self.count()
        for job, life in self.lives.items():
            record = self.network.raw("GET", self.network.broker.key("result", job))
            self.check(record == life.record, "the record of another run", job, record, "instead of", life.record)
        self.check(self._acknowledged <= self.lives.keys(), "acknowledged, and unknown")


def leftovers(network: Network) -> set[str]:
    """Rows that still hold something when all dead letters are deleted."""
    stays = {"result", "reply", "wake", "poke", "queues", "levels", "schema", "stats", "workers", "worker", "clock"}
    stays |= {"turns", "terms", "room"}
    return {row for row, keys in take_census(network.broker, network.link).items() if keys} - stays
