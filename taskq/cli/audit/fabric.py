"""What is wrong with what jobs stand on: holdings of nobody, doorbells, queues that are not listed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from taskq.broker import calls, keys
from taskq.broker.keys import LANES, member_lane
from taskq.broker.records import Lane, WorkerRow
from taskq.cli.audit.findings import Finding
from taskq.cli.audit.survey import Survey, is_route
from taskq.cli.orphans import Ask, orphans_among
from taskq.cli.picture import count, queues_of

STUCK = 5.0
"""Seconds that a line stands still, beside idle workers, until it counts as stuck: they look every two anyway."""


def orphans(ask: Ask, survey: Survey) -> list[Finding]:
    """Worker processes that hold jobs, and are neither alive nor known to be dead."""
    held = orphans_among(ask, survey.found["held"])
    return [Finding("orphan", epoch, f"holds {count(jobs, 'job')}") for epoch, jobs in held.items()]


def doubled_bells(ask: Ask, prefix: bytes, survey: Survey) -> list[Finding]:
    found = []
    for bell in sorted(survey.found["wake"]):
        tokens = ask(calls.length(keys.full_key(prefix, "wake", bell)))
        if tokens > 1:
            found.append(Finding("bell", bell, f"{tokens} tokens"))
    return found


def unlisted(ask: Ask, prefix: bytes, survey: Survey) -> list[Finding]:
    """Queues and priorities with jobs. The script that puts the first job there lists them: that never comes late."""
    queues = ask(calls.names(keys.full_key(prefix, "queues")))
    levels = ask(calls.names(keys.full_key(prefix, "levels")))
    lanes = {
        route.rpartition(":")[0]: route for route in survey.routes & survey.found["ready"] if route.count(":") == 2
    }
    found = [
        Finding("unlisted", queue, "the queue")
        for queue in sorted(survey.queues - queues)
        if is_route(f"{queue}:{LANES[0]}")
    ]
    return found + [Finding("unlisted", lanes[lane], "its priority") for lane in sorted(lanes.keys() - levels)]


def silent(ask: Ask, survey: Survey, wait: Callable[[float], object]) -> list[Finding]:
    """Lanes that stand still though workers are idle. Waits where it looks like that, and looks again."""
    before = _stuck(ask, survey.queues)
    if not before:
        return []
    wait(STUCK)
    return [
        Finding("silent", f"{lane.queue}:{lane.lane}", f"stood still for {STUCK:g} s")
        for lane in _stuck(ask, survey.queues)
        if lane in before
    ]


def _stuck(ask: Ask, queues: set[str]) -> list[Lane]:
    lanes = ask(calls.lanes(sorted(queues))) if queues else []
    if not lanes:
        return []
    workers = ask(calls.holdings())
    return [lane for lane in lanes if lane.lane in LANES and any(_is_idle(row, lane) for row in workers)]


def _is_idle(row: WorkerRow, lane: Lane) -> bool:
    """Does this process live, work on the queue, and have a free slot in the lane?"""
    found = re.search(rf"(\d+) {lane.lane}\b", row.info.get("slots", ""))
    held = Counter(map(member_lane, row.held))
    return row.lease_left > 0 and lane.queue in queues_of(row) and found is not None and held[lane.lane] < int(found[1])


def repair(ask: Ask, findings: Sequence[Finding]) -> None:
    """Mend what the functions above found. Each script looks again before it does something."""
    by_kind: dict[str, list[str]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding.subject)
    if "orphan" in by_kind:
        ask(calls.fence(by_kind["orphan"]))
    if "unlisted" in by_kind:
        ask(calls.enlist([name if ":" in name else keys.route(name, LANES[0]) for name in by_kind["unlisted"]]))
    bells = [*by_kind.get("bell", ()), *by_kind.get("silent", ())]
    if bells:
        ask(calls.tune(bells))
