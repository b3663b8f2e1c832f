"""What the promises mean for what was seen: from journals, worker logs and what is left in Redis to findings.

Pure. The model is a queue that gives each element at least once and one outcome to each (the total queue of Jepsen):

    lost         acknowledged, and there is no outcome
    unexpected   executed, though nobody tried to enqueue it, or its enqueue was refused, or its cancel said it will not
    two outcomes more than one was accepted, or what was told is not what is stored: told to a client, or to a job in
                 the execution whose outcome counts (else who told it is fenced with it)
    foreign      a stored result is of no execution that came to its end
    duplicate    the same attempt executed again, though no fault had touched the execution before
    wrong        something in Redis is in no place, in two, or left over

Writes that Redis itself lost excuse the jobs that they were about, and are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from taskq.broker.calls import LOSS_LIMIT
from tests.faults.journals import Execution, Journals

SLACK = 1.0
"""Seconds from the end of an execution until its outcome is in Redis, on a machine with other things to do."""
RESUME = 3.0
"""Seconds from the end of a fault until what it held up is in Redis: a process tries again every two at the latest."""
NEAR = 10.0
"""Seconds around an execution of which a finding tells the faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that was done, from `start` to `end`.

    `pids` and `supervisors`: the processes whose executions it may disturb. `everywhere`: it holds up all outcomes, and
    disturbs none. `missing` and `undone`: jobs (as they are shown) whose enqueue, or whose other moves, Redis lost.
    """

    what: str
    start: float
    end: float
    pids: frozenset[int] = frozenset()
    supervisors: frozenset[int] = frozenset()
    everywhere: bool = False
    missing: frozenset[str] = frozenset()
    undone: frozenset[str] = frozenset()

    def touches(self, run: Execution) -> bool:
        return run.pid in self.pids or supervisor_of(run.fence) in self.supervisors


@dataclass(frozen=True, slots=True)
class Final:
    """The outcome of a job that is stored at the end. `value`: what the task returned; `error`: its type's name."""

    value: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that was seen. `finals` by token; `accepted`: jobs (as shown) by how often a worker's outcome was taken."""

    journals: Journals
    faults: Sequence[Fault]
    finals: dict[str, Final | None]
    accepted: Counter[str]
    wrong: Sequence[str] = ()
    lease: float = 3.0


@dataclass(slots=True)
class Verdict:
    """`findings`: each is a broken promise. The rest is counted."""

    findings: list[str] = field(default_factory=list)
    duplicates: int = 0
    excused: set[str] = field(default_factory=set)
    back_after: list[float] = field(default_factory=list)

    def summary(self) -> str:
        after = sorted(self.back_after)
        back = f"{median(after):.3f} s (median), {after[-1]:.3f} s (max)" if after else "-"
        return (
            f"run again after a fault  {self.duplicates}\n"
            f"excused: lost by Redis   {len(self.excused)}\n"
            f"jobs of a killed process started again after  {back}\n"
            f"findings                 {len(self.findings)}"
        )


def judge(seen: Evidence) -> Verdict:
    """What of it contradicts the promises."""
    return _Judge(seen).verdict


class _Judge:
    def __init__(self, seen: Evidence):
        self._seen = seen
        self._faults = [*seen.faults, *_own_deaths(seen.journals.executions)]
        self._missing = frozenset().union(*(fault.missing for fault in seen.faults))
        self._undone = frozenset().union(*(fault.undone for fault in seen.faults))
        self._runs = defaultdict[str, list[Execution]](list)
        for run in seen.journals.executions:
            self._runs[run.token].append(run)
        self.verdict = Verdict(list(seen.wrong))
        for findings in (
            self._lost(),
            self._unexpected(),
            self._accepted(),
            self._stored(),
            self._heard(),
            self._duplicates(),
        ):
            self.verdict.findings += findings

    def _lost(self) -> Iterator[str]:
        known = self._seen.journals
        for token, job in known.acks.items():
            if self._seen.finals.get(token) is None and token not in known.cancelling:
                if job in self._missing | self._undone:
                    self.verdict.excused.add(token)
                else:
                    yield f"lost: {token} ({job}) was acknowledged and has no outcome"

    def _unexpected(self) -> Iterator[str]:
        known = self._seen.journals
        for token, executions in self._runs.items():
            if token not in known.intents:
                yield f"unexpected: {token} was executed, and nobody enqueued it"
            if token in known.refused:
                yield f"unexpected: {token} was executed, and its enqueue had been refused"
            if token in known.cancelled and known.acks.get(token) not in self._undone:
                yield f"unexpected: {token} was executed by {executions[0].fence}, and had been cancelled"

    def _accepted(self) -> Iterator[str]:
        for job, times in self._seen.accepted.items():
            if times > 1 and job not in self._undone:
                runs = [run for run in self._seen.journals.executions if run.job == job]
                yield f"two outcomes: {times} were accepted for job {job}{self._story(runs)}"

    def _stored(self) -> Iterator[str]:
        for token, final in self._seen.finals.items():
            if final is None or self._seen.journals.acks.get(token) in self._undone:
                continue
            told, runs = self._seen.journals.told.get(token, set()), self._runs[token]
            if final.value is not None and told - {final.value}:
                yield f"two outcomes: {token} is {final.value}, and somebody was told {sorted(told)}"
            if final.value is not None and final.value not in {run.name for run in runs if run.end is not None}:
                yield f"foreign: the result of {token}, {final.value}, is of no execution that came to its end"
            if final.error == "WorkerLost":
                yield from self._buried_early(token, runs)

    def _heard(self) -> Iterator[str]:
        known = self._seen.journals
        finals = {final.value: token for token, final in self._seen.finals.items() if final is not None and final.value}
        for name, told in known.heard.items():
            parent = finals.get(name)
            if parent is None or known.acks.get(parent) in self._undone:
                continue
            for token, value in told.items():
                final = self._seen.finals.get(token)
                if final is not None and final.value != value and known.acks.get(token) not in self._undone:
                    yield f"two outcomes: {token} is {final}, and {parent}, which waited for it, was told {value}"

    def _buried_early(self, token: str, runs: list[Execution]) -> Iterator[str]:
        lost = sum(run.end is None or self._is_excused(run) for run in runs)
        # One that was just beginning when a neighbour ended its process has left no line, and is lost all the same.
        since, until = (runs[0].start, max(run.end or run.start for run in runs) + SLACK) if runs else (0.0, 0.0)
        deaths = _own_deaths(self._seen.journals.executions)
        lost += sum(
            since <= death.start <= until and death.pids.isdisjoint(run.pid for run in runs) for death in deaths
        )
        if lost < LOSS_LIMIT:
            yield f"buried too early: {token} was lost {lost} times{self._story(runs)}"

    def _duplicates(self) -> Iterator[str]:
        for token, executions in self._runs.items():
            for first, again in pairwise(executions):
                if first.attempt != again.attempt:
                    continue
                self.verdict.duplicates += 1
                self.verdict.back_after += _back_after(first, again, self._faults)
                excused = first.job in self._undone or self._is_excused(first, again.start) or self._is_late(again)
                if not excused:
                    yield f"duplicate: {token} without a fault{self._story([first, again])}"

    def _is_excused(self, run: Execution, by: float = float("inf")) -> bool:
        """Could a fault, `by` then, keep its outcome from being stored? Its effects last two leases more."""
        until, after = min(by, _unstored_until(run, self._faults)), 2 * self._seen.lease
        return any(
            fault.touches(run) and fault.start <= until and run.start <= fault.end + after for fault in self._faults
        )

    def _is_late(self, run: Execution) -> bool:
        """Did its process have the job from before a fault, and others run it meanwhile?"""
        return any(fault.touches(run) and fault.start <= run.start <= fault.end + RESUME for fault in self._seen.faults)

    def _story(self, runs: Sequence[Execution]) -> str:
        """These executions, and what was done at that time, to whomever."""
        if not runs:
            return ""
        start, end = runs[0].start - NEAR, max(run.end or run.start for run in runs) + NEAR
        near = [
            f"{fault.start:.3f} to {fault.end:.3f} {fault.what}, {sorted(fault.supervisors)} {sorted(fault.pids)}"
            for fault in self._faults
            if fault.end > start and fault.start < end
        ]
        return "".join(f"\n    {line}" for line in (*runs, *near))


def _unstored_until(run: Execution, faults: Iterable[Fault]) -> float:
    """When the outcome of `run` was in Redis at the latest, if nothing disturbed it for good."""
    until = (run.end or float("inf")) + SLACK
    for fault in sorted(faults, key=lambda fault: fault.start):
        if (fault.everywhere or fault.touches(run)) and fault.start <= until:
            until = max(until, fault.end + RESUME)
    return until


def _back_after(first: Execution, again: Execution, faults: Sequence[Fault]) -> Iterator[float]:
    """Seconds from the death of the process of `first` until the job started again, where nothing else was wrong."""
    for death in faults:
        if first.pid in death.pids and death.what == KILLED and first.end is None and first.start < death.start:
            others = [other for other in faults if other.everywhere or other.touches(first) or other.touches(again)]
            if not any(
                other is not death and other.start <= again.start and death.start <= other.end + RESUME
                for other in others
            ):
                yield again.start - death.start


KILLED = "kill -9 of a worker process"


def _own_deaths(executions: Iterable[Execution]) -> list[Fault]:
    """A job that did not come to its end may have ended its process, and is a fault for all others in it."""
    return [
        Fault(what="a job that did not end", start=run.start, end=run.start + SLACK, pids=frozenset({run.pid}))
        for run in executions
        if run.end is None and run.token.startswith("hurt-")
    ]


def supervisor_of(fence: str) -> int:
    """The pid of the supervisor of an epoch: <host>-<pid>-<random>-<number>."""
    return int(fence.rsplit("-", 3)[1])
