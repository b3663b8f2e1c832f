"""Every request the project makes to Redis: one typed function for each script, the only one that knows its ARGV.

They build calls; `Broker.run` or a `Link` carries them. Durations are in seconds here and in milliseconds in Lua.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, cast

from taskq.broker.call import Call, Word
from taskq.broker.keys import SCHEMA, raw, text
from taskq.broker.records import (
    Adopted,
    Beat,
    Bookmark,
    Claim,
    Claimed,
    Full,
    JobRow,
    Lane,
    Located,
    Pick,
    Place,
    QueueRow,
    Reaped,
    Renewed,
    Stretch,
    Trace,
    Turn,
    WorkerRow,
)

LOSS_LIMIT = 3
"""A job whose process died this often while it ran is dead."""
_DAY = 86_400.0


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _flat(rows: Iterable[tuple[Word, ...]]) -> Iterator[Word]:
    return chain.from_iterable(rows)


def _maybe_text(word: bytes | None) -> str | None:
    return None if word is None else text(word)


def _word(name: str) -> Word:
    return name if name.isascii() else raw(name)


def _members(reply: list[bytes]) -> tuple[bytes, ...]:
    return tuple(reply)


# Producers


def enqueue(
    route: str,
    jobs: Iterable[tuple[bytes, bytes]],
    *,
    delay: float | None = None,
    eta: float | None = None,
    terms: str = "",
) -> Call[int | Full]:
    """Store (id, body) pairs, some 500 at most; the answer is how many ids were new. `eta`: seconds since the epoch.

    `terms`: those of the queue where they are declared, "lifo 1000". Where it has no room for all, the answer is Full.
    """
    head = (route, "" if delay is None else _ms(delay), "" if eta is None else _ms(eta), terms)
    return Call("enqueue", (*head, *_flat(jobs)), _stored)


def _stored(reply: Any) -> int | Full:
    return Full(*map(int, reply)) if isinstance(reply, list) else int(reply)


def beckon(queue: str) -> Call[int]:
    """Wake another producer that waits for room in `queue`. The answer is how many tokens lie there."""
    return Call("beckon", (queue,), int)


def await_outcome(client: bytes, ids: Sequence[bytes]) -> Call[Sequence[bytes | None]]:
    """For each id its record, b"" where there is no such job, None where `client` will be told."""
    return Call("await", (client, *ids), list)


def told(reply_key: bytes, block: float) -> Call[list[bytes]]:
    """Wait for the ids of jobs that have an outcome: [] when none came in `block` seconds."""
    return Call("BLPOP", (reply_key, block), lambda reply: reply[1:] if reply else [], again=False)


def told_more(reply_key: bytes) -> Call[list[bytes]]:
    return Call("LPOP", (reply_key, 1000), lambda reply: reply or [], again=False)


def cancel(jobs: Iterable[tuple[bytes, str]], record: bytes, ttl: float) -> Call[list[Place]]:
    """End (id, route) jobs that have not started. The answer is the place each was in."""
    return Call("cancel", (record, _ms(ttl), *_flat(jobs)), _places)


def schema(key: bytes) -> Call[str]:
    """The schema of the data in the namespace whose full `key` that is."""
    return Call("GET", (key,), lambda reply: "1" if reply is None else text(reply))


# Worker processes


def register(epoch: str, lease: float, info: dict[str, Word]) -> Call[str | None]:
    """The answer is the schema of the data; only where it is SCHEMA has this worker a lease. None for a dead epoch."""
    return Call("register", (epoch, _ms(lease), SCHEMA, *_flat(info.items())), _maybe_text)


def claim(epoch: str, sequence: int, wants: dict[str, int], queues: Sequence[str]) -> Call[Claim]:
    """Up to `wants` jobs by lane, from `queues` in order or by weight ("mail=6"). `sequence` grows by what it got."""
    return Call("claim", (epoch, sequence, len(wants), *_flat(wants.items()), *queues), _claim, again=False)


def _claim(reply: list[Any]) -> Claim:
    lease = reply[0].decode()
    if lease != "ok":
        return Claim(lease)
    _, members, bodies, troubled = reply
    jobs = list(map(Claimed, members, bodies))
    for at in range(0, len(troubled), 3):
        index, history, losses = troubled[at : at + 3]
        jobs[index] = Claimed(members[index], bodies[index], history or None, losses)
    return Claim("ok", tuple(jobs))


def pick(epoch: str, waiter: bytes, task: str, queues: Sequence[str], jobs: Iterable[tuple[bytes, str]]) -> Call[Pick]:
    """Note that the job `waiter` waits for (id, route) `jobs`, and claim the first that is in line in `queues`."""
    return Call("pick", (epoch, waiter, task, len(queues), *queues, *_flat(jobs)), _pick, again=False)


def _pick(reply: list[Any]) -> Pick:
    if reply[0] != b"cycle":
        return Pick(_claim(reply))
    names = reply[1:]
    return Pick(Claim("ok"), tuple(zip(names[::2], map(text, names[1::2]), strict=True)))


def commit(epoch: str, finished: Iterable[tuple[bytes, float, str, bytes]]) -> Call[tuple[bytes, ...]]:
    """Outcomes as (member, result ttl, run-time bucket, record). The answer is the members that were dropped."""
    flat = _flat((member, _ms(ttl), bucket, record) for member, ttl, bucket, record in finished)
    return Call("commit", (epoch, *flat), _members)


def retry(epoch: str, failed: Iterable[tuple[bytes, float, bytes]]) -> Call[tuple[bytes, ...]]:
    """Put (member, delay, history) aside. The answer is the members that were not ours any more."""
    flat = _flat((member, _ms(delay), history) for member, delay, history in failed)
    return Call("retry", (epoch, *flat), _members)


def bury(epoch: str, failed: Iterable[tuple[bytes, bytes, bytes]]) -> Call[tuple[bytes, ...]]:
    """Make (member, record, history) dead letters. The answer is the members that were not ours any more."""
    return Call("bury", (epoch, *_flat(failed)), _members)


def park(epoch: str, patience: float, members: Iterable[bytes]) -> Call[tuple[bytes, ...]]:
    return Call("park", (epoch, _ms(patience), *members), _members)


def unpark(epoch: str, sequence: int, members: Iterable[bytes]) -> Call[Claim]:
    """Claim those of `members` that are parked."""
    return Call("unpark", (epoch, sequence, *members), _claim, again=False)


def give_back(epoch: str, members: Iterable[bytes]) -> Call[int]:
    """Put members, given in claim order, back at the head of their lines. By the second time they may run again."""
    return Call("give_back", (epoch, *members), int, again=False)


def admit(epoch: str, task: str, limit: int, members: Iterable[bytes]) -> Call[tuple[bytes, ...]]:
    """Which of these members, just claimed, may run; the others are put aside until their turn has come."""
    return Call("admit", (epoch, task, limit, *members), _members)


def advance(epoch: str, task: str, limit: int, ids: Iterable[bytes] = ()) -> Call[int]:
    """Jobs of a limited task have ended in the process `epoch`; or, for "", a process has. The next may run."""
    return Call("advance", (_word(epoch), task, limit, *ids), int)


def adopt(epoch: str, skip: int, queues: Sequence[str]) -> Call[Adopted]:
    return Call("adopt", (epoch, skip, *queues), lambda r: Adopted(tuple(r[0]), tuple(zip(r[1], r[2], strict=True))))


def doorbell(bells: Sequence[bytes], block: float) -> Call[bytes | None]:
    """Wait for one of `bells` (full keys) to ring; the answer is which, or None after `block` seconds."""
    return Call("BLPOP", (*bells, block), lambda reply: cast("bytes", reply[0]) if reply else None, again=False)


def poke(epoch: str) -> Call[int]:
    return Call("poke", (epoch,), int)


def profile(half_life: float, most: int, more: Iterable[tuple[str, str, str]]) -> Call[int]:
    """Add (task, lane, numbers) to what is known of up to `most` tasks. The answer is how many were new.

    What was known before counts half as much after `half_life` seconds, and not at all where the lane was another.
    """
    return Call("profile", (_ms(half_life), most, *_flat(more)), int, again=False)


# Supervisors


def heartbeat(lease: float, gap: float, started: dict[str, bytes]) -> Call[Beat]:
    """Renew the leases of our epochs; `started` has for each the ids it is running, joined."""
    return Call("heartbeat", (_ms(lease), _ms(gap), *_flat(started.items())), _beat)


def _beat(reply: list[Any]) -> Beat:
    lost, victim, due = reply
    return Beat(tuple(map(text, lost)), text(victim) or None, _due(due))


def _due(reply: int) -> float | None:
    return None if reply < 0 else reply / 1000


def promote(unknown_task_record: bytes) -> Call[float | None]:
    """Put due jobs in line. The answer is in how many seconds the next is due, or None."""
    return Call("promote", (unknown_task_record,), _due)


def reap(epoch: str, lost_record: bytes, started: bytes | None, *, certain: bool = False) -> Call[Reaped]:
    """Take back what a dead process held.

    `started`: the ids it was running, joined, each of which may have killed it; None takes those of the last heartbeat,
    and does nothing where the lease has been renewed.
    They count a loss, and run alone from the second on, or at once where they did it for `certain`. Where it takes
    several calls, the `started` of the first counts for all, whoever sends them.
    """
    ids = b"*" if started is None else started
    return Call("reap", (_word(epoch), LOSS_LIMIT, lost_record, 1 if certain else 2, ids), lambda r: Reaped(*r))


def pending(queues: Sequence[str]) -> Call[bool]:
    """Is a job ready in these queues, or held by anybody?"""
    return Call("pending", tuple(queues), any)


# Operators


def locate(job_id: bytes, route: str) -> Call[Located]:
    return Call("locate", (job_id, route), _located)


def _located(reply: list[Any]) -> Located:
    place, worker, due, body, record, history, losses = reply
    return Located(
        place=cast("Place", place.decode()),
        worker=text(worker) or None,
        due=float(due) / 1000 if due else None,
        body=body or None,
        record=record or None,
        history=history or None,
        losses=losses,
    )


def _places(reply: list[bytes]) -> list[Place]:
    return [cast("Place", place.decode()) for place in reply]


def delete(jobs: Iterable[tuple[bytes, str]]) -> Call[list[Place]]:
    """Forget (id, route) jobs that no worker holds. The answer is the place each was in."""
    return Call("delete", tuple(_flat(jobs)), _places)


def revive(jobs: Iterable[tuple[bytes, str]]) -> Call[list[Place]]:
    """Put dead or delayed (id, route) jobs in line. The answer is the place each was in."""
    return Call("revive", tuple(_flat(jobs)), _places)


def purge(route: str) -> Call[tuple[int, int]]:
    """Forget up to 500 jobs in line. The answer is how many went, and how many are left in that list."""
    return Call("purge", (route,), lambda reply: (reply[0], reply[1]))


def pause(queue: str, by: str) -> Call[bool]:
    return Call("pause", (queue, by), bool)


def resume(queue: str) -> Call[bool]:
    return Call("resume", (queue,), bool)


def overview(minutes: int = 10) -> Call[list[QueueRow]]:
    return Call("overview", (minutes,), lambda reply: sorted(map(_queue_row, reply), key=lambda row: row.name))


def _queue_row(row: list[Any]) -> QueueRow:
    name, ready, delayed, parked, dead, paused, oldest, flat, terms = row
    counters = {text(field): int(n) for field, n in zip(flat[::2], flat[1::2], strict=True)}
    return QueueRow(
        text(name), ready, delayed, parked, dead, text(paused) or None, oldest or None, counters, text(terms)
    )


def browse(place: Place, queue: str, skip: int, limit: int) -> Call[list[JobRow]]:
    """A page of one queue's jobs that are queued, delayed, parked or dead."""
    return Call("browse", (place, queue, skip, limit), lambda reply: [_job_row(*row) for row in reply])


def _job_row(member: bytes, time: bytes, body: bytes, record: bytes) -> JobRow:
    return JobRow(member, float(time) / 1000 if time else None, body, record or None)


def profiles(key: bytes) -> Call[dict[str, str]]:
    """What is known of tasks; `key` is the full one. `profile.read_stored` reads the values."""
    return Call("HGETALL", (key,), lambda reply: dict(zip(*[iter(map(text, reply))] * 2, strict=True)))


def holdings() -> Call[list[WorkerRow]]:
    """Every live worker process and what it holds."""
    return Call("holdings", (), lambda reply: [_worker_row(*row) for row in reply])


def _worker_row(epoch: bytes, lease: int, held: list[bytes], flat: list[bytes]) -> WorkerRow:
    fields = zip(flat[::2], flat[1::2], strict=True)
    info = {text(k): text(v) for k, v in fields if k not in (b"started", b"lease")}
    return WorkerRow(text(epoch), lease / 1000, tuple(held), info)


# Locks, semaphores, barriers


def acquire(sync: str, token: str, lease: float | None, *, new: bool, wait: bool) -> Call[Turn]:
    """A place at `sync` for `token`, or in its line. `lease`: of its party, None in a worker process."""
    return Call("acquire", (sync, raw(token), _lease(lease), int(new), int(wait)), _turn)


def _lease(lease: float | None) -> Word:
    return "" if lease is None else _ms(lease)


def _turn(reply: list[int]) -> Turn:
    return Turn(reply[0], reply[1] / 1000)


def release(sync: str, token: str) -> Call[int]:
    """Give a place back, or leave the line. 1; 0 where there was none (any more); DEAD where its party is dead."""
    return Call("release", (sync, raw(token)), int)


def renew(party: str, lease: float | None, known: int) -> Call[Renewed]:
    """Renew the lease of a party that knows of so many tokens."""
    return Call("renew", (raw(party), _lease(lease), known), _renewed)


def _renewed(reply: list[Any]) -> Renewed:
    alive, differs, stakes = reply
    pairs = [text(stake).partition(" ") for stake in stakes]
    return Renewed(bool(alive), [(sync, token) for sync, _, token in pairs] if differs else None)


def arrive(sync: str, token: str, lease: float | None, *, new: bool, again: bool) -> Call[Turn]:
    """Come to a barrier, or ask `again`."""
    return Call("arrive", (sync, raw(token), _lease(lease), int(new), int(again)), _turn)


def abort(sync: str, token: str = "", *, anew: bool = False) -> Call[int]:
    """Break a barrier. The answer is the place of `token` where all have come after all, else BROKEN or 0."""
    return Call("abort", (sync, raw(token), int(anew)), int)


def granted(key: bytes, block: float) -> Call[list[tuple[str, int]]]:
    """Wait for (token, number) of who was given a place: [] when nobody was in `block` seconds."""
    return Call("BLPOP", (key, block), lambda reply: _grants(reply[1:]) if reply else [], again=False)


def granted_more(key: bytes) -> Call[list[tuple[str, int]]]:
    return Call("LPOP", (key, 1000), lambda reply: _grants(reply or []), again=False)


def _grants(words: list[bytes]) -> list[tuple[str, int]]:
    pairs = (text(word).rpartition(" ") for word in words)
    return [(token, int(number)) for token, _, number in pairs]


def size(key: bytes) -> Call[int]:
    """How many members a sorted set has."""
    return Call("ZCARD", (key,), int)


def rank(key: bytes, member: bytes) -> Call[int | None]:
    """How many members of a sorted set are before this one; None where it is not in it."""
    return Call("ZRANK", (key, member), lambda reply: reply)


def exists(key: bytes) -> Call[bool]:
    return Call("EXISTS", (key,), bool)


# An audit


def trace(most: int, lists: Sequence[Bookmark], epochs: Sequence[str], ids: Sequence[bytes]) -> Call[Trace]:
    """Up to `most` further members of each list, and what there is of up to 250 jobs, all at one instant.

    Jobs are looked for in the queues and under the routes of `lists`, and in the holdings of all epochs, also `epochs`.
    """
    head = (most, len(lists), len(epochs), *_flat(map(_bookmark, lists)))
    return Call("trace", (*head, *map(raw, epochs), *ids), _trace)


def _bookmark(bookmark: Bookmark) -> tuple[Word, ...]:
    return (raw(bookmark.route), *bookmark[1:])


def _trace(reply: list[Any]) -> Trace:
    parts, jobs = reply
    stretches = tuple(Stretch(part[0], tuple(part[1]), tuple(part[2])) if part else None for part in parts)
    return Trace(stretches, tuple(tuple(map(text, words)) for words in jobs))


def mend(
    most: int,
    lists: Sequence[Bookmark],
    epochs: Sequence[str],
    jobs: Iterable[tuple[bytes, str]],
    unused: bytes,
    record: bytes,
) -> Call[list[str]]:
    """Leave up to 100 (id, "list:distance ..." where it was seen) jobs in one place; no answer where lists moved on.

    `unused` is an id that no job has, `record` the outcome of dead letters that lost theirs.
    """
    head = (most, len(lists), len(epochs), unused, record, _ms(_DAY))
    return Call("mend", (*head, *_flat(map(_bookmark, lists)), *map(raw, epochs), *_flat(jobs)), _words)


def _words(reply: list[bytes]) -> list[str]:
    return list(map(text, reply))


def orphans(epochs: Sequence[str]) -> Call[list[int]]:
    """How many jobs each of `epochs` holds; 0 for those that are alive, or known to be dead."""
    return Call("orphans", tuple(map(raw, epochs)), list)


def fence(epochs: Sequence[str]) -> Call[int]:
    """Declare those of `epochs` dead that `orphans` counts jobs of."""
    return Call("fence", tuple(map(raw, epochs)), int)


def lanes(queues: Sequence[str]) -> Call[list[Lane]]:
    """The lanes of open queues in which jobs wait while the doorbell is silent."""
    return Call("lanes", tuple(queues), lambda reply: [_lane(*row) for row in reply])


def _lane(queue: bytes, lane: bytes, *firsts: bytes) -> Lane:
    return Lane(text(queue), text(lane), firsts)


def tune(bells: Sequence[str]) -> Call[int]:
    """Leave each of these bells one token, and ring it where jobs wait. The answer is how many tokens were too many."""
    return Call("tune", tuple(map(raw, bells)), int)


def enlist(routes: Sequence[str]) -> Call[int]:
    """Make the queues and priorities of these routes known. The answer is how many names were not."""
    return Call("enlist", tuple(routes), int)


def fields(key: bytes, cursor: int, step: int) -> Call[tuple[int, list[bytes], int]]:
    """Fields of a hash, `step` of them or so; the cursor to go on with, 0 at the end; and bytes of what was read."""
    return Call("HSCAN", (key, cursor, "COUNT", step), _fields)


def _fields(reply: list[Any]) -> tuple[int, list[bytes], int]:
    cursor, flat = reply
    return int(cursor), flat[::2], sum(map(len, flat))


def values(key: bytes, fields: Sequence[bytes]) -> Call[list[bytes | None]]:
    """What stands in these fields of a hash."""
    return Call("HMGET", (key, *fields), list)


def span(key: bytes, first: int, last: int) -> Call[list[bytes]]:
    """The members of a sorted set from place `first` to `last`; negative places count from the end."""
    return Call("ZRANGE", (key, first, last), list)


def length(key: bytes) -> Call[int]:
    """How many members a list has."""
    return Call("LLEN", (key,), int)


def names(key: bytes) -> Call[set[str]]:
    """All members of a small set."""
    return Call("SMEMBERS", (key,), lambda reply: set(map(text, reply)))


def scan(cursor: int, pattern: bytes, step: int) -> Call[tuple[int, list[bytes]]]:
    """Keys like `pattern` among the next `step` or so of the server; then the cursor to go on with, 0 at the end."""
    words = (cursor, "MATCH", pattern, "COUNT", step)
    return Call("SCAN", words, lambda reply: (int(reply[0]), reply[1]))


def unlink(keys: Sequence[bytes]) -> Call[int]:
    """Remove keys; the answer is how many there were."""
    return Call("UNLINK", tuple(keys), int)


def setting(name: str) -> Call[dict[str, str]]:
    """A setting of the server; {} where it knows none of this name."""
    return Call("CONFIG", ("GET", name), lambda reply: dict(zip(*[iter(map(text, reply))] * 2, strict=True)))


def server_time() -> Call[float]:
    """The server's clock, in seconds since the epoch."""
    return Call("TIME", (), lambda reply: int(reply[0]) + int(reply[1]) / 1e6)


def ping() -> Call[bool]:
    return Call("PING", (), bool)


def info() -> Call[dict[str, str]]:
    return Call("INFO", (), _info)


def _info(reply: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text(reply).splitlines() if not line.startswith("#"))
    return {key: value for key, _, value in lines if key}
