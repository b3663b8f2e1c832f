"""The walk over a namespace: every body, key and place, in pages of at most a thousand, while jobs move.

What it brings home is no picture of one instant: a job that moved was seen twice, or not at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from taskq.broker import calls, keys
from taskq.cli.audit.lines import Reader
from taskq.cli.audit.piles import Pile
from taskq.cli.orphans import Ask

PAGE = 1000
LARGE_PAGE = 1 << 20
"""Bytes of a page of bodies that are enough: large bodies are read fewer at a time."""
HASHES = ("cancelled", "attempts", "losses", "waits", "awaited")
ASIDE = ("delayed", "held", "parked", "dead")
PLACES = ("ready", *ASIDE)
_ROUTE = re.compile(r"[A-Za-z0-9_.\-]+:[a-z]+(:\d)?")
_ROWS = {key.suffix.rstrip(":").encode(): row for row, key in keys.MODEL.items()}


Progress = Callable[[str, int], None]
"""Told what is being read, and how many of it so far."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where members stand: the place, its queue or epoch (or route), and their route."""

    place: str
    rest: str
    route: str


@dataclass(slots=True)
class Survey:
    """What was seen. `spots` are what the numbers in `placed` stand for; `counts` is by place and queue."""

    bodies: Pile = field(default_factory=Pile)
    records: Pile = field(default_factory=Pile)
    placed: Pile = field(default_factory=lambda: Pile(numbered=True))
    hashes: dict[str, Pile] = field(default_factory=lambda: {name: Pile() for name in HASHES})
    spots: list[Spot] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: dict[str, set[str]] = field(default_factory=lambda: {row: set() for row in (*PLACES, "wake")})

    @property
    def routes(self) -> set[str]:
        """Every route that a member has, or a ready list: those that lead somewhere."""
        return {route for route in {spot.route for spot in self.spots} | self.found["ready"] if is_route(route)}

    @property
    def queues(self) -> set[str]:
        """Every queue that has a place with something in it."""
        aside = {queue for row in ("delayed", "parked", "dead") for queue in self.found[row]}
        return aside | {keys.route_queue(route) for route in self.routes}


def is_route(text: str) -> bool:
    return _ROUTE.fullmatch(text) is not None


def survey(ask: Ask, prefix: bytes, progress: Progress) -> Survey:
    """Walk over the namespace whose keys begin with `prefix`."""
    found = Survey()
    walk = _Walk(ask, prefix, progress, found)
    walk.bodies()
    walk.keys()
    for route in sorted(found.found["ready"]):
        walk.line(route)
    for row in ASIDE:
        for rest in sorted(found.found[row]):
            walk.aside(row, rest)
    for name in HASHES:
        walk.hash(name, found.hashes[name])
    return found


class _Walk:
    def __init__(self, ask: Ask, prefix: bytes, progress: Progress, found: Survey):
        self._ask, self._prefix, self._progress, self._found = ask, prefix, progress, found
        self._numbers: dict[Spot, int] = {}

    def bodies(self) -> None:
        self.hash("jobs", self._found.bodies)

    def hash(self, row: str, pile: Pile) -> None:
        """The fields of a hash. A small step first: nobody knows how large the values are."""
        cursor, step = 0, 10
        while True:
            cursor, ids, size = self._ask(calls.fields(self._key(row), cursor, step))
            pile.add(ids)
            self._progress(row, len(pile))
            if not cursor:
                return
            step = max(1, step // 2) if size > LARGE_PAGE else min(PAGE, step * 2)

    def keys(self) -> None:
        cursor, seen = 0, 0
        while True:
            cursor, found = self._ask(calls.scan(cursor, self._prefix + b"*", PAGE))
            seen += len(found)
            self._progress("keys", seen)
            for key in found:
                self._sort(key[len(self._prefix) :])
            if not cursor:
                return

    def _sort(self, name: bytes) -> None:
        head, _, rest = name.partition(b":")
        row = _ROWS.get(head)
        if row == "result":
            self._found.records.add((rest,))
        elif row in self._found.found:
            self._found.found[row].add(keys.text(rest))

    def line(self, route: str) -> None:
        """A ready list. Where its place is lost, it was drained beyond what had been read: nothing is left of it."""
        reader = Reader(route)
        while reader.left != 0:
            (stretch,) = self._ask(calls.trace(PAGE, [reader.bookmark], (), ())).stretches
            if stretch is None:
                return
            reader.take(stretch)
            self._place("ready", route, (*stretch.members, *stretch.newer))

    def aside(self, row: str, rest: str) -> None:
        """A sorted set, from its end: most of what leaves does so at the other one, and moves nothing."""
        key, read = self._key(row, rest), 0
        while members := self._ask(calls.span(key, -read - PAGE, -read - 1)):
            self._place(row, rest, members)
            read += len(members)

    def _place(self, row: str, rest: str, members: Sequence[bytes]) -> None:
        for own, jobs in _by_route(members):
            route = rest if row == "ready" else own
            spot = Spot(row, rest, route)
            if spot not in self._numbers:
                self._numbers[spot] = len(self._found.spots)
                self._found.spots.append(spot)
            self._found.placed.add(jobs, self._numbers[spot])
            queue = keys.route_queue(route) if row in ("ready", "held") else rest
            self._found.counts[row, queue] += len(jobs)
        self._progress("places", len(self._found.placed))

    def _key(self, row: str, rest: str = "") -> bytes:
        return keys.full_key(self._prefix, row, rest)


def _by_route(members: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """The ids of members by their route."""
    groups: dict[bytes, list[Any]] = {}
    for member in members:
        groups.setdefault(member[keys.ID_BYTES :], []).append(member[: keys.ID_BYTES])
    for tail, jobs in groups.items():
        yield keys.text(tail), jobs
