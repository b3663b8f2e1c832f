"""The picture of a namespace that `status` and `queues` show: pure, made from what Redis answered.

QueueRow, WorkerRow  ->  QueueLine, Fleet  ->  troubles
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskq.broker.keys import member_route, route_queue
from taskq.broker.records import QueueRow, WorkerRow
from taskq.codec import HARD_LIMIT, decode_job
from taskq.errors import MalformedJob
from taskq.queues import parts
from taskq.units import brief

WINDOW = 10
"""Minutes of counters that rates and run times are taken from; the last of them is under way."""
PATIENCE = 60.0
"""Seconds that the oldest job of a queue waits before the queue can be falling behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLine:
    """One queue. `oldest`: seconds its first job has waited. Rates are per minute, p50 and p95 seconds of run time.

    Within the window `ended` jobs came to an end, and `died` of them are dead letters; `dropped` outcomes were late,
    from processes that had lost their jobs. `paused`: by whom and when, or None. `processes`: how many living worker
    processes work on it. `order` and `max_length` as they were declared.
    """

    name: str
    ready: int
    delayed: int
    parked: int
    dead: int
    running: int
    oldest: float | None
    came: float
    went: float
    p50: float | None
    p95: float | None
    died: int
    ended: int
    dropped: int
    paused: str | None
    processes: int
    order: str = "fifo"
    max_length: int | None = None

    @property
    def is_full(self) -> bool:
        return self.max_length is not None and self.ready >= self.max_length

    @property
    def falls_behind(self) -> bool:
        """More jobs come than go, and the first in line has waited for long."""
        return self.paused is None and self.came > self.went and (self.oldest or 0) > PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The worker processes. `late`: those whose lease has run out and who still hold jobs."""

    workers: int
    processes: int
    slots: int
    busy: int
    late: Sequence[WorkerRow]


def picture(rows: Sequence[QueueRow], workers: Sequence[WorkerRow], now: float) -> list[QueueLine]:
    """A line for each queue; `now` is in seconds since the epoch."""
    running = Counter(route_queue(member_route(member)) for row in workers for member in row.held)
    processes = Counter(queue for row in workers if row.lease_left > 0 for queue in queues_of(row))
    minutes = WINDOW - 1 + now % 60 / 60
    return [
        QueueLine(
            name=row.name,
            ready=row.ready,
            delayed=row.delayed,
            parked=row.parked,
            dead=row.dead,
            running=running[row.name],
            oldest=_age(row.oldest, now),
            came=row.counters.get("enqueued", 0) / minutes,
            went=(row.counters.get("done", 0) + row.counters.get("dead", 0)) / minutes,
            p50=quantile(row.counters, 0.50),
            p95=quantile(row.counters, 0.95),
            died=row.counters.get("dead", 0),
            ended=row.counters.get("done", 0) + row.counters.get("dead", 0),
            dropped=row.counters.get("dropped", 0),
            paused=row.paused,
            processes=processes[row.name],
            order=parts(row.terms)[0],
            max_length=parts(row.terms)[1],
        )
        for row in rows
    ]


def fleet(workers: Sequence[WorkerRow]) -> Fleet:
    alive = [row for row in workers if row.lease_left > 0]
    return Fleet(
        workers=len({row.info.get("supervisor", row.epoch) for row in alive}),
        processes=len(alive),
        slots=sum(slots_of(row) for row in alive),
        busy=sum(len(row.held) for row in alive),
        late=[row for row in workers if row.lease_left <= 0 and row.held],
    )


def troubles(lines: Sequence[QueueLine], workers: Fleet) -> list[str]:
    """What is wrong, each with what to type. The rules are written in the help of `taskq status`."""
    wrong = [
        f"{row.epoch}: its lease ran out {brief(-row.lease_left)} ago, and it holds {count(len(row.held), 'job')}: "
        "they are given to others once a worker runs"
        for row in workers.late
    ]
    waiting = sum(line.ready + line.delayed for line in lines if line.paused is None)
    if not workers.processes and waiting:
        wrong.append(f"{count(waiting, 'job')} in line or delayed, and no worker is alive: taskq worker -A module:app")
    for line in lines:
        wrong += _troubles_of(line, bool(workers.processes))
    return wrong


def _troubles_of(line: QueueLine, any_worker: bool) -> list[str]:
    wrong = []
    if line.ready and line.paused is None and any_worker and not line.processes:
        wrong.append(f"{count(line.ready, 'job')} in line, and no worker works on this queue: --queues {line.name}")
    if line.falls_behind and line.processes:
        wrong.append(f"more comes than goes, and the first in line has waited {brief(line.oldest or 0)}: add workers")
    if line.parked:
        wrong.append(f"no worker knows the task of {count(line.parked, 'job')}: taskq jobs list --state parked")
    if line.died:
        wrong.append(f"{count(line.died, 'job')} died in {WINDOW} min: taskq dead list --queue {line.name}")
    return [f"{line.name}: {text}" for text in wrong]


def state_of(line: QueueLine, now: float) -> str:
    """The queue's state in a few words; nothing where all is well."""
    if line.paused is not None:
        return f"PAUSED {paused_by(line.paused, now)}"
    if line.ready and not line.processes:
        return "no worker"
    if line.is_full:
        return f"full ({line.max_length})"
    if line.falls_behind:
        return "falling behind"
    return f"{line.parked} parked" if line.parked else ""


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# Who paused a queue, and when: "ops@web-1 1700000000"


def pause_note(who: str, now: float) -> str:
    return f"{who} {now:.0f}"


def paused_by(note: str, now: float) -> str:
    """ "by ops@web-1 20m00 ago"."""
    who, _, when = note.rpartition(" ")
    return f"by {who} {brief(max(0.0, now - int(when)))} ago" if who and when.isdigit() else f"by {note}"


# Details of rows


def queues_of(row: WorkerRow) -> list[str]:
    return [name for name in row.info.get("queues", "").split(",") if name]


def slots_of(row: WorkerRow) -> int:
    """The sum of "16 io + 1 cpu + 1000 async"."""
    return sum(map(int, re.findall(r"\d+", row.info.get("slots", "")))) or 1


def _age(body: bytes | None, now: float) -> float | None:
    if body is None:
        return None
    try:
        return max(0.0, now - decode_job(body, HARD_LIMIT).enqueued_at)
    except MalformedJob:
        return None


def quantile(counters: Mapping[str, int], share: float) -> float | None:
    """Seconds that `share` of the jobs took at most; None where there are none.

    "bN" counts run times from 2^(N-1) up to 2^N microseconds; within one, jobs are taken to be spread evenly.
    """
    buckets = sorted((int(name[1:]), n) for name, n in counters.items() if re.fullmatch(r"b\d+", name))
    rank = share * sum(n for _, n in buckets)
    for octave, n in buckets:
        if n and rank <= n:
            least = 2.0 ** (octave - 1) if octave else 0.0
            return (least + (2.0**octave - least) * rank / n) / 1e6
        rank -= n
    return None
