"""How many processes and threads a worker on this host should have: pure.

at once  =  jobs a second  x  a job's own time                  (Little's law: that many slots are busy)
most     =  own time  /  time that it holds the GIL             (more threads of a process only wait for each other)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from taskq.cli.advise.rows import Row
from taskq.cli.picture import count
from taskq.config import WorkerSettings

BUSY = 0.7
"""How busy cores and threads may be on average: beyond it a burst waits for long."""
MOST_THREADS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`used`: cores that the jobs of this host keep busy. `at_once`: io jobs of this host that run at a time."""

    procs: int
    procs_why: str
    threads: int
    threads_why: str
    used: float
    at_once: float


def plan(rows: Sequence[Row], cores: int, workers: int) -> Plan | None:
    """For a host with that many cores, which is one of `workers` that share the work. None where nothing is known."""
    known = [row for row in rows if row.is_known]
    if not known:
        return None
    hosts = max(1, workers)
    used = sum(row.rate * row.cpu for row in known) / hosts
    procs, procs_why = _procs(known, used, cores)
    io = [row for row in known if row.advice.lane == "io"]
    at_once = sum(row.at_once for row in io) / hosts
    gil = sum(row.rate * row.nature.python for row in io) / hosts
    threads, threads_why = _threads(at_once / procs, gil / procs, bool(io))
    return Plan(procs=procs, procs_why=procs_why, threads=threads, threads_why=threads_why, used=used, at_once=at_once)


def _procs(rows: Sequence[Row], used: float, cores: int) -> tuple[int, str]:
    here = f"jobs keep {used:.2f} of {count(cores, 'core')} busy"
    if used > BUSY * cores:
        return cores, f"{here}, which is too much for bursts: {_hosts(used, cores)} would do it"
    computing = [row.task for row in rows if row.nature.kind in ("python", "c", "mixed")]
    if computing:
        return cores, f"{here}; a burst of {computing[0]} can use every one"
    needed = max(1, math.ceil(used / BUSY))
    return needed, f"{here}, and none of them computes for long: threads do it"


def _hosts(used: float, cores: int) -> str:
    return f"{count(math.ceil(used / BUSY / cores), 'host')} like this"


def _threads(at_once: float, gil: float, any_io: bool) -> tuple[int, str]:
    """For one process, in which `at_once` io jobs run at a time and hold the GIL for the share `gil` of the time."""
    usual = WorkerSettings().threads
    if not any_io:
        return usual, "no task should be in the io lane: any number will do"
    needed = math.ceil(at_once / BUSY)
    most = min(MOST_THREADS, max(1, int(at_once / gil))) if gil else MOST_THREADS
    little = f"{at_once:.2f} io jobs run at a time in each process (jobs a second x their own time)"
    if needed > most:
        return most, f"{little}; more than {most} would wait for the GIL: more processes or hosts"
    if most < usual:
        return most, f"{little}; they hold the GIL {gil / at_once:.0%} of their time, so more would wait for it"
    return max(usual, needed), f"{little}, and {max(usual, needed)} leave room for bursts"
