"""The data model: every key, its type and what it holds. It is written here and nowhere else.

All keys of a namespace carry one hash tag (`{taskq}:jobs`), so they share a slot and any script may touch any
of them. Scripts name the keys they use in their header (`-- uses: jobs ready`), and get a Lua local for each
(`JOBS`, `READY`), made from this table.

A **member** is how a job stands in a list or sorted set: its 16-byte id followed by its route, which is the
suffix of its ready list: `<queue>:<lane>` or `<queue>:<lane>:<priority>`. So any script can put a job back where
it belongs without looking into its body. Who else can write to Redis can write members that are none of ours: their
route counts as that of the line in which they stand, or as `default:io`, and without a body they are dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from taskq.errors import ConfigError, shown

ID_BYTES = 16
LANES = ("io", "cpu", "async")
SOLO = "solo"
"""The lane of jobs that were lost twice: they run alone in a process of their own."""
DEFAULT_PRIORITY = 5
SCHEMA = 1
"""Which data model this is. A worker works on no namespace of another one, and producers and commands refuse it too.

To be raised when a taskq that does not know of a change would lose, overlook or destroy what one that does has written:
a key that moves, a field that means something else, a new place in which a job can be. Not for a new key that older
ones need not know, nor for a new form of bodies and records (`codec.VERSION`), which older workers leave alone. Data
without the key `schema` has 1; so who raises it also lets the first to write into an empty namespace, a producer maybe,
write the number there.
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the data model. `suffix` ends in ':' where a name (queue, id, epoch, client) follows."""

    suffix: str
    type: str
    holds: str


MODEL = {
    "ready": Key("ready:", "list", "by route: members in line, next to run first"),
    "jobs": Key("jobs", "hash", "id -> body, from enqueue until the outcome; a dead job keeps its body"),
    "delayed": Key("delayed:", "zset", "by queue: members by due time (ms): delays and retries"),
    "parked": Key("parked:", "zset", "by queue: members whose task no worker knew, by the time they are given up (ms)"),
    "held": Key(
        "held:", "zset", "by epoch: what one worker process holds, in claim order; membership is claim and fence"
    ),
    "dead": Key("dead:", "zset", "by queue: members of dead letters, by time of death (ms)"),
    "attempts": Key("attempts", "hash", "id -> history (count and last attempts); only of jobs that failed once"),
    "losses": Key("losses", "hash", "id -> how often its process died while it ran"),
    "cancelled": Key("cancelled", "hash", "id -> route of the ready list where its place is empty: it is elsewhere"),
    "waits": Key("waits", "hash", "id -> of a running job: who holds it, its task, and the ids that it waits for"),
    "result": Key("result:", "string", "by id: the outcome record; with a TTL, or without one while the job is dead"),
    "awaited": Key("awaited", "hash", "id -> the 8-byte names of the clients that wait for its outcome"),
    "reply": Key("reply:", "list", "by client: ids whose outcome is there (TTL)"),
    "wake": Key("wake:", "list", "by queue:lane, or 'timer': doorbells; at most one token, never a job"),
    "poke": Key("poke:", "list", "by epoch: the doorbell of one worker process"),
    "queues": Key("queues", "set", "every queue that ever had a job"),
    "levels": Key("levels", "set", "every queue:lane that ever had a job of another priority than the default"),
    "turns": Key("turns", "hash", "queue:lane with priorities -> whose turn was last, and how many were claimed since"),
    "config": Key("config:", "hash", "by queue: 'paused' -> who and when"),
    "terms": Key(
        "terms:", "string", "by queue, as declared: its order, and the most jobs in line (0: any): 'lifo 1000'"
    ),
    "room": Key("room:", "list", "by bounded queue: the doorbell of producers that wait for room; at most one token"),
    "stats": Key("stats:", "hash", "by queue:minute: counters and run-time buckets (kept for a day)"),
    "profiles": Key(
        "profiles", "hash", "task -> its lane, two times (ms), and what its jobs took; the old counts less"
    ),
    "workers": Key("workers", "zset", "epoch -> lease expiry (ms) of every live worker process"),
    "worker": Key(
        "worker:",
        "hash",
        "by epoch: what it is; 'lease' (ms); 'started': ids it was running at the last heartbeat, or when it died; "
        "'credit:<lane>:<queue>': what queues that share by weight have in hand",
    ),
    "fenced": Key("fenced", "set", "epochs declared dead that may still hold jobs"),
    "clock": Key("clock", "hash", "'beat' -> when any supervisor last sent a heartbeat (outage guard)"),
    "permits": Key(
        "permits:",
        "hash",
        "by task that has a limit: id -> '<epoch> <member>' of a job that runs, '+<ms>' of one that may until then",
    ),
    "limited": Key(
        "limited:", "zset", "by task that has a limit: members that wait for it, in order; they are delayed"
    ),
    "holders": Key(
        "holders:",
        "zset",
        "by sync (lock:<name>, semaphore:<name>): tokens that have a place, by fence; "
        "by barrier:<name>: those of its last round, by arrival (TTL)",
    ),
    "waiters": Key("waiters:", "zset", "by sync: tokens in line, or at a barrier, by the number that they drew"),
    "stakes": Key(
        "stakes:", "set", "by party (an epoch, or another process): '<sync> <token>' of all it has or waits for"
    ),
    "parties": Key(
        "parties", "zset", "lease expiry (ms) of processes with stakes that are no workers; or dead: <= now"
    ),
    "granted": Key(
        "granted:", "list", "by process: '<token> <fence>' of places that it was given while it waited (TTL)"
    ),
    "fencing": Key("fencing", "string", "the last fencing number that was drawn"),
    "broken": Key("broken:", "string", "by barrier:<name>: it is broken (TTL)"),
    "schema": Key("schema", "string", "which version of this table the data has; none is 1"),
}

_LONGEST = 119
"""Bytes of a route that is looked at: none of ours has more than 108."""
_ROUTE = re.compile(r"([A-Za-z0-9_.\-]+):([a-z]+)(?::([0-9])$)?")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,100}")


def check_name(name: str, what: str) -> str:
    """`name` if it can be part of a key; else ConfigError. `what` says what it names."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{what} {shown(name)} cannot be used\n  hint: 1 to 100 of the characters A-Z a-z 0-9 _ . -")
    return name


def prefix(namespace: str) -> bytes:
    """What every key of `namespace` begins with."""
    return f"{{{check_name(namespace, 'namespace')}}}:".encode()


def text(name: bytes) -> str:
    """A name as Redis has it, whoever wrote it; `raw` gives the bytes back."""
    return name.decode("utf-8", "surrogateescape")


def raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def full_key(namespace_prefix: bytes, name: str, rest: str | bytes = b"") -> bytes:
    """The full key of row `name` of the data model."""
    return namespace_prefix + MODEL[name].suffix.encode() + (raw(rest) if isinstance(rest, str) else rest)


def route(queue: str, lane: str, priority: int = DEFAULT_PRIORITY) -> str:
    """The suffix of a ready list."""
    return f"{queue}:{lane}" if priority == DEFAULT_PRIORITY else f"{queue}:{lane}:{priority}"


def member_id(member: bytes) -> bytes:
    return member[:ID_BYTES]


def member_route(member: bytes) -> str:
    return member[ID_BYTES:].decode("utf-8", "backslashreplace")


def member_lane(member: bytes) -> str:
    return _lane(member[ID_BYTES : ID_BYTES + _LONGEST + 1])


@lru_cache(maxsize=1024)  # each claimed job asks twice, and a worker meets few routes
def _lane(route: bytes) -> str:
    return route_lane(route.decode("utf-8", "replace"))


def route_queue(route: str) -> str:
    return route_parts(route)[0]


def route_lane(route: str) -> str:
    return route_parts(route)[1]


def route_parts(route: str) -> tuple[str, str, int]:
    """Queue, lane and priority. Of what is no route of ours those of "default:io", as in `route.lua`."""
    found = _ROUTE.match(route) if len(route) <= _LONGEST else None
    return (found[1], found[2], int(found[3] or DEFAULT_PRIORITY)) if found else ("default", "io", DEFAULT_PRIORITY)


def bells(namespace_prefix: bytes, queues: tuple[str, ...], lanes: tuple[str, ...]) -> list[bytes]:
    """The doorbells that a fetcher with room in `lanes` listens to."""
    start = namespace_prefix + MODEL["wake"].suffix.encode()
    return [start + f"{queue}:{lane}".encode() for queue in queues for lane in lanes]
