"""The advice as people read it, and as JSON has it: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskq.advice import WORDS
from taskq.cli.advise.plan import Plan
from taskq.cli.advise.rows import Row
from taskq.cli.output import Cell, plain, table
from taskq.cli.picture import count
from taskq.units import brief

_HEADER = ("TASK", "LANE", "BETTER", "IS", "JOBS/s", "TAKES", "WAITS", "PYTHON", "C", "GIL DELAY")


def screen(rows: Sequence[Row], made: Plan | None, cores: int, workers: int, terminal: bool) -> str:
    """The table of tasks, why each is what it is, and what to start a worker with here."""
    width = max(len(plain(row.task)) for row in rows)
    reasons = [f" {plain(row.task):{width}}  {'!' if row.moves else ' '} {row.advice.why}" for row in rows]
    host = [f" this host has {count(cores, 'core')}; {count(workers, 'worker')} at work"]
    if made is not None:
        host += [f" --procs {made.procs:<6} {made.procs_why}", f" --threads {made.threads:<4} {made.threads_why}"]
    return "\n".join([table(_HEADER, list(map(_cells, rows)), terminal, headed=True), "", *reasons, "", *host])


def _cells(row: Row) -> list[Cell]:
    parts = (row.nature.waiting, row.nature.python, row.nature.c, row.delay)
    times = ["-"] * len(parts) if not row.is_known else list(map(_time, parts))
    better = row.advice.lane if row.moves else "-"
    return [row.task, row.lane, better, WORDS[row.nature.kind], _rate(row.rate), _time(row.wall), *times]


def _rate(a_second: float) -> str:
    return f"{a_second:.2f}" if a_second < 9.995 else f"{a_second:.0f}"


def _time(seconds: float) -> str:
    return brief(seconds) if seconds >= 0.00995 else f"{seconds * 1000:.2f}ms"


def data(rows: Sequence[Row], made: Plan | None, cores: int, workers: int) -> dict[str, Any]:
    """Durations are in seconds, of one job."""
    host: dict[str, Any] = {"cores": cores, "workers": workers, "procs": None, "threads": None}
    if made is not None:
        host |= {"procs": made.procs, "procs_why": made.procs_why}
        host |= {"threads": made.threads, "threads_why": made.threads_why}
        host |= {"cores_used": round(made.used, 6), "io_jobs_at_once": round(made.at_once, 6)}
    return {"tasks": list(map(_task, rows)), "host": host}


def _task(row: Row) -> dict[str, Any]:
    numbers = {
        "jobs_per_second": row.rate,
        "wall_seconds": row.wall,
        "waiting_seconds": row.nature.waiting,
        "python_seconds": row.nature.python,
        "c_seconds": row.nature.c,
        "gil_delay_seconds": row.delay,
        "seen": row.profile.ticks,
        "reported_seconds_ago": row.age,
    }
    words = {"task": row.task, "lane": row.lane, "is": row.nature.kind, "better": row.advice.lane}
    return {**words, "why": row.advice.why, **{name: round(value, 6) for name, value in numbers.items()}}
