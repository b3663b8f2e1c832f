"""From suspects to findings. A job is guilty when two close looks in a row see the same contradiction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from taskq.broker import calls, keys
from taskq.broker.keys import LANES, SOLO
from taskq.cli.audit.closely import Glass, Sight
from taskq.cli.audit.findings import contradictions
from taskq.cli.audit.survey import Progress, is_route
from taskq.cli.audit.suspects import Suspect
from taskq.codec import HARD_LIMIT, decode_job
from taskq.errors import MalformedJob

LOOK, MEND, BODIES = 250, 100, 50
"""How many jobs at once are looked at, mended, and have their bodies read."""
LISTS = 50
"""In how many ready lists a job is looked for at once: more would keep the server busy."""
_ENDED: frozenset[str] = frozenset({"lost", "double", "undead", "stray"})
"""What a job looks like that came to its end while the survey went on."""
_NEW: frozenset[str] = frozenset({"hollow"})
"""What a job looks like that was enqueued after the survey had read the bodies."""

_PLACELESS: frozenset[str] = frozenset({"stray"})
"""What can be told without a look at places."""


@dataclass(frozen=True, slots=True)
class Case:
    """A job that may stand under these routes; the first is where it belongs, that of a solo lane is the last.

    There is none for what is left of a job without a body that was seen nowhere.
    """

    job: bytes
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guilty:
    case: Case
    kinds: frozenset[str]
    sight: Sight


@dataclass(slots=True)
class Verdicts:
    """`unsettled`: jobs whose lists moved too fast to be looked at, or are too many."""

    guilty: list[Guilty] = field(default_factory=list)
    unsettled: int = 0


class Jury:
    """`routes`: all that are known, for jobs that do not say where they belong."""

    def __init__(self, glass: Glass, routes: Iterable[str], progress: Progress):
        self._glass, self._progress = glass, progress
        self._known = tuple(sorted(routes)) or (keys.route("default", LANES[0]),)

    def judge(self, suspects: Iterable[Suspect]) -> Verdicts:
        verdicts = Verdicts()
        for batch in _batches(self._remaining(suspects), LOOK):
            for routes, jobs in _grouped(self.cases(batch)):
                self._try(routes, jobs, verdicts)
        return verdicts

    def _remaining(self, suspects: Iterable[Suspect]) -> Iterator[Suspect]:
        """Those that have not just come to their end, or into being, since the survey saw them."""
        seen = 0
        for batch in _batches(suspects, LOOK):
            things = self._glass.things([suspect.job for suspect in batch])
            yield from (suspect for suspect, stored in zip(batch, things, strict=True) if not _moved(suspect, stored))
            seen += len(batch)
            self._progress("suspects", seen)

    def cases(self, suspects: Sequence[Suspect]) -> Iterator[Case]:
        for batch in _batches(suspects, BODIES):
            jobs = [suspect.job for suspect in batch]
            bodies, ghosts = self._stored("jobs", jobs), self._stored("cancelled", jobs)
            for suspect, body, ghost in zip(batch, bodies, ghosts, strict=True):
                yield Case(suspect.job, self._routes(suspect, body, ghost))

    def _stored(self, row: str, jobs: Sequence[bytes]) -> list[bytes | None]:
        return self._glass.ask(calls.values(keys.full_key(self._glass.prefix, row), jobs))

    def _routes(self, suspect: Suspect, body: bytes | None, ghost: bytes | None) -> tuple[str, ...]:
        """Where its body says that it belongs, where its members were seen, and the solo lanes of those queues."""
        if body is None and ghost is None and not suspect.spots:
            return ()
        own = [_route_in(body), keys.text(ghost or b"")]
        seen = [spot.route for spot in suspect.spots]
        routes = [route for route in dict.fromkeys([*own, *seen]) if is_route(route)] or list(self._known)
        foreign = [route for route in seen if not is_route(route)]
        queues = [spot.rest for spot in suspect.spots if spot.place not in ("ready", "held")]
        queues += map(keys.route_queue, [*routes, *foreign])
        solo = dict.fromkeys(keys.route(queue, SOLO) for queue in queues)
        return tuple(dict.fromkeys([*(route for route in routes if route not in solo), *foreign, *solo]))

    def _try(self, routes: tuple[str, ...], jobs: Sequence[bytes], verdicts: Verdicts) -> None:
        first = self._contradictory(routes, jobs)
        second = first and self._contradictory(routes, list(first))
        if first is None or second is None:
            verdicts.unsettled += len(jobs if first is None else first)
            return
        for job in first.keys() & second.keys():
            kinds = _kinds(routes, first[job]) & _kinds(routes, second[job])
            if kinds:
                verdicts.guilty.append(Guilty(Case(job, routes), kinds, second[job]))

    def _contradictory(self, routes: tuple[str, ...], jobs: Sequence[bytes]) -> dict[bytes, Sight] | None:
        sights = self._glass.look(routes, jobs) if len(routes) <= LISTS else None
        return sights and {job: sight for job, sight in sights.items() if _kinds(routes, sight)}


def mend(glass: Glass, guilty: Sequence[Guilty], unused: Iterator[bytes], record: bytes) -> list[Guilty]:
    """Repair; the answer is those for which it could be done. `unused`: ids that no job has."""
    mended: set[bytes] = set()
    for routes, jobs in _grouped(one.case for one in guilty):
        for batch in _batches(jobs, MEND):
            mended.update(glass.mend(routes, batch, next(unused), record) or ())
    return [one for one in guilty if one.case.job in mended]


def _kinds(routes: tuple[str, ...], sight: Sight) -> frozenset[str]:
    """What is wrong. Who looked under no route cannot say that a job, enqueued meanwhile, stands nowhere."""
    found = contradictions(sight)
    return found if routes else found & _PLACELESS


def _moved(suspect: Suspect, stored: frozenset[str]) -> bool:
    if "body" in stored:
        return stored == {"body"} and suspect.reasons <= _NEW
    return stored <= {"record"} and suspect.reasons <= _ENDED


def _route_in(body: bytes | None) -> str:
    try:
        return "" if body is None else decode_job(body, HARD_LIMIT).route
    except MalformedJob:
        return ""


def _grouped(cases: Iterable[Case]) -> list[tuple[tuple[str, ...], list[bytes]]]:
    groups: dict[tuple[str, ...], list[bytes]] = {}
    for case in cases:
        groups.setdefault(case.routes, []).append(case.job)
    return list(groups.items())


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
