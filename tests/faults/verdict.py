"""What the promises mean for what was seen: from journals, worker logs and what is left in Redis to findings.

Pure. The model is a queue that gives each element at least once and one outcome to each (the total queue of Jepsen):

    lost         acknowledged, and there is no outcome
    unexpected   executed, though nobody tried to enqueue it, or its enqueue was refused, or its cancel said it will not
    two outcomes more than one was accepted, or what a client was told is not what is stored
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

from tests.faults.journals import Execution, Journals

SLACK = 1.0
"""Seconds from the end of an execution until its outcome is in Redis, on a machine with other things to do."""
RESUME = 3.0
"""Seconds from the end of a fault until what it held up is in Redis: a process tries again every two at the latest."""
LOSS_LIMIT = 3


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
    verdict = Verdict(list(seen.wrong))
    missing = frozenset().union(*(fault.missing for fault in seen.faults))
    undone = frozenset().union(*(fault.undone for fault in seen.faults))
    runs = defaultdict[str, list[Execution]](list)
    for run in seen.journals.executions:
        runs[run.token].append(run)
    verdict.findings += _lost(seen, missing | undone, verdict)
    verdict.findings += _unexpected(seen, runs, undone)
    verdict.findings += _outcomes(seen, runs, undone)
    verdict.findings += _duplicates(seen, runs, undone, verdict)
    return verdict


def _lost(seen: Evidence, excused: frozenset[str], verdict: Verdict) -> Iterator[str]:
    for token, job in seen.journals.acks.items():
        if seen.finals.get(token) is None and token not in seen.journals.cancelled:
            if job in excused:
                verdict.excused.add(token)
            else:
                yield f"lost: {token} ({job}) was acknowledged and has no outcome"


def _unexpected(seen: Evidence, runs: dict[str, list[Execution]], undone: frozenset[str]) -> Iterator[str]:
    known = seen.journals
    for token, executions in runs.items():
        if token not in known.intents:
            yield f"unexpected: {token} was executed, and nobody enqueued it"
        if token in known.refused:
            yield f"unexpected: {token} was executed, and its enqueue had been refused"
        if token in known.cancelled and known.acks.get(token) not in undone:
            yield f"unexpected: {token} was executed by {executions[0].fence}, and had been cancelled"


def _outcomes(seen: Evidence, runs: dict[str, list[Execution]], undone: frozenset[str]) -> Iterator[str]:
    for job, times in seen.accepted.items():
        if times > 1 and job not in undone:
            yield f"two outcomes: {times} were accepted for job {job}"
    for token, final in seen.finals.items():
        if final is None or seen.journals.acks.get(token) in undone:
            continue
        told = seen.journals.told.get(token, set())
        if final.value is not None and told - {final.value}:
            yield f"two outcomes: {token} is {final.value}, and somebody was told {sorted(told)}"
        if final.value is not None and final.value not in {run.name for run in runs[token] if run.end is not None}:
            yield f"foreign: the result of {token}, {final.value}, is of no execution that came to its end"
        lost = sum(run.end is None or _excuse(run, seen.faults, seen.lease) for run in runs[token])
        if final.error == "WorkerLost" and lost < LOSS_LIMIT:
            yield f"buried too early: {token} was lost {lost} times"


def _duplicates(
    seen: Evidence, runs: dict[str, list[Execution]], undone: frozenset[str], verdict: Verdict
) -> Iterator[str]:
    faults = [*seen.faults, *_own_deaths(seen.journals.executions)]
    for token, executions in runs.items():
        for first, again in pairwise(executions):
            if first.attempt != again.attempt:
                continue
            verdict.duplicates += 1
            verdict.back_after += _back_after(first, again, faults)
            if first.job not in undone and not _excuse(first, faults, seen.lease):
                yield f"duplicate: {token} without a fault\n    {first}\n    {again}{_around(first, again, faults)}"


def _excuse(run: Execution, faults: Sequence[Fault], lease: float) -> bool:
    """Was there a fault that could keep the outcome of `run` from being stored? Its effects last two leases more."""
    until = _unstored_until(run, faults)
    return any(fault.touches(run) and fault.start <= until and run.start <= fault.end + 2 * lease for fault in faults)


def _unstored_until(run: Execution, faults: Iterable[Fault]) -> float:
    """When the outcome of `run` was in Redis at the latest, if nothing disturbed it for good."""
    until = (run.end or float("inf")) + SLACK
    for fault in sorted(faults, key=lambda fault: fault.start):
        if (fault.everywhere or fault.touches(run)) and fault.start <= until:
            until = max(until, fault.end + RESUME)
    return until


def _around(first: Execution, again: Execution, faults: Iterable[Fault]) -> str:
    """What was done at that time, to whomever."""
    near = [fault for fault in faults if fault.end > first.start - 15 and fault.start < again.start]
    return "".join(
        f"\n    {fault.start:.3f} to {fault.end:.3f} {fault.what}, {sorted(fault.supervisors)} {sorted(fault.pids)}"
        for fault in near
    )


def _back_after(first: Execution, again: Execution, faults: Sequence[Fault]) -> Iterator[float]:
    """Seconds from the death of the process of `first` until the job started again, where nothing else was wrong."""
    for death in faults:
        if first.pid in death.pids and death.what == KILLED and first.end is None and first.start < death.start:
            others = [other for other in faults if other.everywhere or other.supervisors]
            if not any(other.start <= again.start and death.start <= other.end + RESUME for other in others):
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
