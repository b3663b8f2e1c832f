"""How an audit is shown: a table of places by queue, then what was found, or one JSON object."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from taskq.cli.audit.findings import KINDS, Finding
from taskq.cli.audit.survey import PLACES, Survey
from taskq.cli.output import Cell, paint, plain, table
from taskq.cli.picture import count

SHOWN = 10
"""How many of a kind are listed for people."""
_HEADER = ("QUEUE", *(place.upper() for place in PLACES))


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit came to. `counts`: by place and queue."""

    counts: Counter[tuple[str, str]]
    bodies: int
    outcomes: int
    empty_places: int
    findings: Sequence[Finding]
    unsettled: int

    @property
    def queues(self) -> list[str]:
        return sorted({queue for _, queue in self.counts})


def report(survey: Survey, findings: Sequence[Finding], unsettled: int) -> Report:
    dead = sum(number for (place, _), number in survey.counts.items() if place == "dead")
    outcomes = max(0, len(survey.records) - dead)
    return Report(survey.counts, len(survey.bodies), outcomes, len(survey.hashes["cancelled"]), findings, unsettled)


def screen(found: Report, terminal: bool, *, advise: bool) -> str:
    """For people, and as rows with tabs where there is no terminal. `advise`: say what to type about findings."""
    rows: list[list[Cell]] = [[queue, *(found.counts[place, queue] for place in PLACES)] for queue in found.queues]
    parts = [table(_HEADER, rows, terminal, headed=True)] if rows else [" no job is in any place"]
    parts.append(
        f" bodies {found.bodies} . outcomes {found.outcomes} . empty places of cancelled jobs {found.empty_places}"
    )
    if found.unsettled:
        why = "moved too fast to be judged, or may stand in too many lists"
        parts.append(f" {count(found.unsettled, 'job')} {why}: run it again when less is going on")
    if not found.findings:
        which = "every other job" if found.unsettled else "every job"
        parts.append(f" {paint('ok', sys.stdout, fg='green', bold=True)} {which} is in one place")
        return "\n".join(parts)
    for kind in KINDS:
        parts += _of_kind(kind, [finding for finding in found.findings if finding.kind == kind])
    return "\n".join([*parts, *(["   next: taskq audit --repair"] if advise else [])])


def _of_kind(kind: str, found: Sequence[Finding]) -> list[str]:
    if not found:
        return []
    mark = paint("!", sys.stdout, fg="red", bold=True)
    lines = [f" {mark} {kind} {len(found)}: each {KINDS[kind].means}"]
    lines += [f"     {plain(finding.subject)}  {plain(finding.detail)}".rstrip() for finding in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"     and {len(found) - SHOWN} more: --json lists them all")
    return [*lines, f"     --repair: each {KINDS[kind].repair}"]


def data(found: Report, repaired: int | None) -> dict[str, Any]:
    """`repaired`: how many findings were repaired; None where nothing was to be done."""
    return {
        "ok": not found.findings,
        "bodies": found.bodies,
        "outcomes": found.outcomes,
        "empty_places": found.empty_places,
        "queues": [
            {"name": queue, **{place: found.counts[place, queue] for place in PLACES}} for queue in found.queues
        ],
        "findings": [{**asdict(finding), "means": KINDS[finding.kind].means} for finding in found.findings],
        "unsettled": found.unsettled,
        "repaired": repaired,
    }
