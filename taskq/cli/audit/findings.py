"""What an audit can find, what each means, and what a repair does about it."""

from __future__ import annotations

from dataclasses import dataclass

from taskq.cli.audit.closely import Sight


@dataclass(frozen=True, slots=True)
class Kind:
    """`means` is said of the job (or lane, or process); `repair` says what becomes of it."""

    name: str
    means: str
    repair: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("lost", "has a body and stands nowhere: nobody will run it", "goes back in line"),
        Kind("double", "stands in several places: it may run more than once", "stays in one of them"),
        Kind("hollow", "stands in a place and has no body: it cannot run", "is taken out"),
        Kind("ghost", "has a mark for an empty place, and stands nowhere in line", "loses the mark"),
        Kind("undead", "has its outcome and still a body, and is no dead letter", "ends with that outcome"),
        Kind("blank", "is dead without a record: who waits for it waits in vain", "gets a record that says so"),
        Kind("stray", "left attempts, losses, waits or waiters, and has no body", "is forgotten, who waits is told"),
        Kind("orphan", "holds jobs, is not alive, and nobody will reap it", "is declared dead: a worker reaps it"),
        Kind("bell", "has several tokens: workers wake for nothing", "keeps one"),
        Kind("silent", "has jobs in line and idle workers, and no bell rings", "is rung"),
        Kind("unlisted", "has jobs and is not listed: they are neither promoted nor shown", "is listed"),
    )
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject`: the job as people name it, the lane, or the process. `detail`: where it stands, what it has."""

    kind: str
    subject: str
    detail: str = ""


def contradictions(sight: Sight) -> frozenset[str]:
    """The kinds of what contradicts 'each job is in exactly one place' in a sight; nothing where all is well."""
    places, things = list(sight.places), sight.things
    body, empty = "body" in things, "cancelled" in things
    ghost = empty and "ready" not in places
    if empty and not ghost:
        places.remove("ready")
    found = {
        "lost": body and not places,
        "double": len(places) > 1,
        "hollow": bool(places) and not body,
        "ghost": ghost,
        "undead": body and "record" in things and "dead" not in places,
        "blank": "dead" in places and "record" not in things,
        "stray": not body and bool(things & {"attempts", "losses", "waits", "awaited"}),
    }
    return frozenset(kind for kind, wrong in found.items() if wrong)


def detail(sight: Sight) -> str:
    """ "held, ready; body, record"."""
    return f"{', '.join(sight.places) or 'no place'}; {', '.join(sorted(sight.things)) or 'nothing stored'}"
