"""What does not add up in a survey: jobs to look at more closely. On a live system most of them have only moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from taskq.cli.audit.piles import HEAPS
from taskq.cli.audit.survey import Spot, Survey

Reasons = dict[str, set[bytes]]


@dataclass(slots=True)
class Suspect:
    """A job, why it is looked at, and where it was seen."""

    job: bytes
    reasons: set[str] = field(default_factory=set)
    spots: tuple[Spot, ...] = ()


def suspects(survey: Survey) -> Iterator[Suspect]:
    """One heap of ids after the other, so that little more memory is needed than the survey takes."""
    for which in range(HEAPS):
        seen = _spots(survey, which)
        found: dict[bytes, Suspect] = {}
        for reason, jobs in _reasons(survey, which, seen).items():
            for job in jobs:
                spots = tuple(survey.spots[number] for number in seen.get(job, ()))
                found.setdefault(job, Suspect(job, spots=spots)).reasons.add(reason)
        yield from found.values()


def _spots(survey: Survey, which: int) -> dict[bytes, tuple[int, ...]]:
    """Where each job was seen. Pages of a sorted set may overlap, and then it was there once all the same."""
    seen: dict[bytes, tuple[int, ...]] = {}
    for job, number in survey.placed.numbers(which):
        before = seen.get(job, ())
        if number not in before or survey.spots[number].place == "ready":
            seen[job] = (*before, number)
    return seen


def _reasons(survey: Survey, which: int, seen: dict[bytes, tuple[int, ...]]) -> Reasons:
    bodies, records = survey.bodies.heap(which), survey.records.heap(which)
    hashes = {name: pile.heap(which) for name, pile in survey.hashes.items()}
    dead = {job for job, numbers in seen.items() if any(survey.spots[n].place == "dead" for n in numbers)}
    lined = {job for job, numbers in seen.items() if any(survey.spots[n].place == "ready" for n in numbers)}
    empty = hashes["cancelled"] & lined
    places = {job: len(numbers) - (job in empty) for job, numbers in seen.items()}
    return {
        "lost": {job for job in bodies if not places.get(job)},
        "double": {job for job, count in places.items() if count > 1},
        "hollow": {job for job, count in places.items() if count} - bodies,
        "ghost": hashes["cancelled"] - lined,
        "undead": (bodies & records) - dead,
        "blank": dead - records,
        "stray": (hashes["attempts"] | hashes["losses"] | hashes["waits"] | hashes["awaited"]) - bodies,
    }
