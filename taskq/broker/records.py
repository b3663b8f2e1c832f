"""What the scripts answer, as frozen records. Times are in seconds, bodies and records still encoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Place = Literal["unknown", "queued", "delayed", "running", "parked", "dead", "done"]


@dataclass(slots=True)
class Claimed:
    """One job, now held. `history` is None and `losses` 0 unless it failed or was lost before."""

    member: bytes
    body: bytes
    history: bytes | None = None
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim. `lease` is "expired" until the supervisor renews it, "fenced" for ever."""

    lease: Literal["ok", "expired", "fenced"]
    jobs: tuple[Claimed, ...] = ()


@dataclass(frozen=True, slots=True)
class Pick:
    """The answer to a pick. `cycle`: ids and tasks of jobs each of which waits for the next, the last for the first."""

    claim: Claim
    cycle: tuple[tuple[bytes, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat. `next_due` is in seconds from now, None where nothing waits."""

    lost: tuple[str, ...]
    victim: str | None
    next_due: float | None


@dataclass(frozen=True, slots=True)
class Reaped:
    left: int
    given_back: int
    buried: int


@dataclass(frozen=True, slots=True)
class Adopted:
    held: tuple[bytes, ...]
    parked: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Located:
    """Where a job is and what is stored of it. `worker` holds it while running; `due` is in seconds since the epoch."""

    place: Place
    worker: str | None
    due: float | None
    body: bytes | None
    record: bytes | None
    history: bytes | None
    losses: int


@dataclass(frozen=True, slots=True)
class Full:
    """An enqueue for the whole of which a bounded queue had no room: the first `dealt` jobs are dealt with, no others.

    `stored` of them were new; `length` jobs are in line now, `bound` may be.
    """

    stored: int
    dealt: int
    length: int
    bound: int


@dataclass(frozen=True, slots=True)
class QueueRow:
    """`terms`: its order and bound as they were declared, "lifo 1000", or ""."""

    name: str
    ready: int
    delayed: int
    parked: int
    dead: int
    paused: str | None
    oldest: bytes | None
    counters: dict[str, int] = field(default_factory=dict)
    terms: str = ""


@dataclass(frozen=True, slots=True)
class JobRow:
    member: bytes
    time: float | None
    body: bytes
    record: bytes | None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    epoch: str
    lease_left: float
    held: tuple[bytes, ...]
    info: dict[str, str]


class Bookmark(NamedTuple):
    """How far a ready list has been read, from its end towards its head: see the scripts' `stretch`.

    `mark` was the last member at the last visit, `read` counts the members from there on, `edge` is the one read last.
    """

    route: str
    mark: bytes = b""
    read: int = 0
    edge: bytes = b""


class Stretch(NamedTuple):
    """What a visit to a ready list found: how many are left to read, and the members in the order in which they stand.

    `newer` are those that came behind the mark since the last visit.
    """

    left: int
    members: tuple[bytes, ...]
    newer: tuple[bytes, ...]


class Trace(NamedTuple):
    """For each list what was read, None where its place is lost; for each job the words for what there is of it."""

    stretches: tuple[Stretch | None, ...]
    jobs: tuple[tuple[str, ...], ...]


class Lane(NamedTuple):
    """A lane of an open queue in which jobs stand in line, and the members at the heads of its lists."""

    queue: str
    lane: str
    firsts: tuple[bytes, ...]


class Turn(NamedTuple):
    """What who asks for a place is told.

    `number`: the fence, or the place in the order of arrival (from 1 on); 0: not yet; or DEAD, or BROKEN.
    `look`: seconds after which to ask again, if nothing was heard.
    """

    number: int
    look: float = 0.0


DEAD, BROKEN = -1, -2
"""The party has lost its lease. The barrier is broken."""


class Renewed(NamedTuple):
    """Does the party live, and, where it knows of another number of tokens, the (sync, token) pairs that there are."""

    alive: bool
    stakes: list[tuple[str, str]] | None
