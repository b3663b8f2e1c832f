"""The figures of a bench as people read them, and as JSON has them: pure."""

from __future__ import annotations

from typing import Any

from taskq.cli.bench.figures import Figures, Spread
from taskq.cli.bench.verdict import Verdict
from taskq.cli.output import Cell, plain, table
from taskq.cli.picture import count

_TIMES = ("MEASURE", "JOBS/s", "p50", "p99", "MAX")
_COSTS = ("DRAIN", "us CPU/JOB", "CORES", "OF", "MEMORY")


def screen(figures: Figures, judged: Verdict, terminal: bool) -> str:
    """Two tables under what was measured, and over what limits it."""
    return "\n".join(
        [
            *_about(figures),
            "",
            table(_TIMES, _times(figures), terminal, headed=True),
            "",
            table(_COSTS, _costs(figures), terminal, headed=True),
            "",
            f" limit   {judged.why}",
            f" next    {judged.next}",
        ]
    )


def _about(figures: Figures) -> list[str]:
    redis, worker = figures.redis, figures.worker
    where = "on this machine" if redis.local else "on another machine"
    return [
        plain(f" redis   {redis.url}   {redis.version or '?'}   {where}"),
        f" worker  --procs {worker.processes} --threads {worker.threads}   on {count(worker.cores, 'core')}",
    ]


def _times(figures: Figures) -> list[list[Cell]]:
    single, bulk, drain = figures.single, figures.bulk, figures.drain
    return [
        ["round trip (PING)", "-", *_spread(figures.ping)],
        ["enqueue", round(single.rate), *_spread(single.took)],
        ["enqueue_many", round(bulk.rate), "-", "-", "-"],
        ["enqueue to start, idle worker", "-", *_spread(figures.start)],
        ["enqueue to result, idle worker", "-", *_spread(figures.result)],
        [f"drain of {drain.jobs:,} jobs".replace(",", " "), round(drain.rate), "-", "-", "-"],
    ]


def _costs(figures: Figures) -> list[list[Cell]]:
    drain, worker, queued = figures.drain, figures.worker, figures.bulk.memory
    bytes_a_job = "-" if queued is None else f"{queued:.0f} bytes a queued job"
    held = "-" if worker.memory is None else f"{worker.memory / 2**20:.0f} MB"
    return [
        ["redis", _micro(drain.a_job(drain.redis_cpu)), _cores(drain.cores(drain.redis_cpu)), 1, bytes_a_job],
        ["worker", _micro(drain.a_job(drain.worker_cpu)), _cores(drain.cores(drain.worker_cpu)), worker.cores, held],
    ]


def _spread(times: Spread) -> list[Cell]:
    return [f"{seconds * 1000:.2f}ms" for seconds in (times.p50, times.p99, times.most)]


def _micro(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e6:.1f}"


def _cores(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}"


def data(figures: Figures, judged: Verdict) -> dict[str, Any]:
    """The object of --json: seconds, bytes, jobs per second; null for what could not be measured."""
    redis, worker, bulk, drain = figures.redis, figures.worker, figures.bulk, figures.drain
    return {
        "redis": {"url": redis.url, "version": redis.version, "local": redis.local},
        "worker": {"processes": worker.processes, "threads": worker.threads, "cores": worker.cores},
        "ping": _seconds(figures.ping),
        "enqueue": {"jobs_per_second": _rounded(figures.single.rate), **_seconds(figures.single.took)},
        "enqueue_many": {"jobs": bulk.jobs, "jobs_per_second": _rounded(bulk.rate)},
        "enqueue_to_start": _seconds(figures.start),
        "enqueue_to_result": _seconds(figures.result),
        "drain": {
            "jobs": drain.jobs,
            "seconds": _rounded(drain.seconds),
            "jobs_per_second": _rounded(drain.rate),
            "redis_cpu_seconds_per_job": _rounded(drain.a_job(drain.redis_cpu)),
            "worker_cpu_seconds_per_job": _rounded(drain.a_job(drain.worker_cpu)),
            "redis_cores": _rounded(drain.cores(drain.redis_cpu)),
            "worker_cores": _rounded(drain.cores(drain.worker_cpu)),
            "machine_cores": _rounded(drain.cores(drain.machine_cpu)),
        },
        "memory": {"redis_bytes_per_queued_job": _rounded(bulk.memory), "worker_bytes": worker.memory},
        "limit": {"name": judged.limit, "why": judged.why, "next": judged.next},
    }


def _seconds(times: Spread) -> dict[str, Any]:
    return {
        "samples": times.samples,
        "p50_seconds": _rounded(times.p50),
        "p99_seconds": _rounded(times.p99),
        "max_seconds": _rounded(times.most),
    }


def _rounded(number: float | None) -> float | None:
    """To nanoseconds: what is below was not measured."""
    return None if number is None else round(number, 9)
