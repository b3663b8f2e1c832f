"""What is reported: each figure's name, what it says, and which of two values is the better one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.catalogue import System
from benchmarks.measures import answering, calculating, draining, enqueueing, growing, standing, waiting

Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the report. `digits`: after the point."""

    name: str
    title: str
    unit: str
    better: Literal["more", "less"]
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Measure:
    """What is run for one system at a time. `once`: it takes minutes, and is not repeated."""

    name: str
    run: Callable[[System], Numbers]
    figures: tuple[Figure, ...]
    once: bool = False


def _rate(name: str, title: str) -> Figure:
    return Figure(name, title, "jobs/s", "more")


def _ms(name: str, title: str) -> Figure:
    return Figure(name, title, "ms", "less", 2)


MEASURES = (
    Measure(
        "drain",
        draining.drain,
        (
            _rate("drain_rate", "drain, no-op jobs, results stored"),
            Figure("drain_us", "  CPU a job, worker and Redis", "us", "less", 1),
            Figure("drain_worker_us", "  CPU a job, worker", "us", "less", 1),
            Figure("drain_redis_us", "  CPU a job, Redis", "us", "less", 1),
            Figure("queued_bytes", "Redis memory a queued job", "B", "less"),
            Figure("pss_after_mb", "PSS of the worker afterwards", "MB", "less"),
        ),
    ),
    Measure(
        "bare",
        draining.drain_without_results,
        (
            _rate("bare_drain_rate", "drain, no-op jobs, no results"),
            Figure("bare_drain_us", "  CPU a job, worker and Redis", "us", "less", 1),
        ),
    ),
    Measure(
        "enqueue",
        enqueueing.enqueue,
        (
            _rate("enqueue_rate", "enqueue one by one"),
            Figure("enqueue_us", "  CPU a job, producer", "us", "less", 1),
            _rate("enqueue_many_rate", "enqueue in bulk"),
            _rate("enqueue_threads_rate", "enqueue from 8 threads (or coroutines)"),
            _rate("aenqueue_rate", "enqueue from 100 coroutines"),
        ),
    ),
    Measure(
        "latency",
        answering.latency,
        (
            _ms("start_p50_ms", "enqueue to start, idle worker: p50"),
            _ms("start_p99_ms", "  p99"),
            _ms("start_max_ms", "  max"),
            _ms("result_p50_ms", "enqueue to result, idle worker: p50"),
            _ms("result_p99_ms", "  p99"),
        ),
    ),
    Measure(
        "gather",
        answering.gathering,
        (
            _rate("gather_work_rate", "up to 10,000 jobs: enqueue, run, gather results"),
            _rate("gather_rate", "as many stored results gathered"),
        ),
    ),
    Measure(
        "io",
        waiting.threads,
        (Figure("io_share", "20 ms of waiting, 2 x 16 threads, of the ideal", "%", "more", 1),),
    ),
    Measure(
        "async",
        waiting.coroutines,
        (
            _rate("async_rate", "20 ms of waiting on event loops"),
            Figure("async_seconds", "10,000 coroutines of 1 s, 2 x 1,000 at a time", "s", "less", 2),
        ),
    ),
    Measure(
        "cpu",
        calculating.alone,
        (Figure("cpu_times", "cpu jobs of 100 ms, of plain Python's speed", "x", "more", 2),),
    ),
    Measure(
        "beside",
        calculating.beside,
        (
            _ms("beside_p50_ms", "io jobs beside cpu jobs start late: p50"),
            _ms("beside_p99_ms", "  p99"),
            Figure("beside_seconds", "  all done after", "s", "less", 2),
        ),
    ),
    Measure(
        "start",
        standing.start,
        (Figure("start_seconds", "worker's start to first job", "s", "less", 2),),
    ),
    Measure(
        "idle",
        standing.idle,
        (
            Figure("idle_pss_mb", "idle worker, PSS", "MB", "less", 1),
            Figure("idle_cpu_percent", "idle worker, of a core", "%", "less", 2),
            Figure("idle_redis_percent", "  Redis meanwhile, of a core", "%", "less", 2),
        ),
        once=True,
    ),
    Measure(
        "waiting",
        growing.waiting,
        (
            _rate("waiting_10k_enqueue_rate", "enqueue one by one, 10,000 waiting"),
            _rate("waiting_1m_enqueue_rate", "  1,000,000 waiting"),
            _rate("waiting_10k_drain_rate", "drain, 10,000 waiting behind"),
            _rate("waiting_1m_drain_rate", "  1,000,000 waiting behind"),
            Figure("waiting_drain_share", "  of the rate with 10,000", "x", "more", 2),
        ),
        once=True,
    ),
    Measure(
        "delayed",
        growing.delayed,
        (
            _rate("delayed_1m_enqueue_rate", "enqueue one by one, 1,000,000 delayed"),
            _rate("delayed_1m_drain_rate", "drain, 1,000,000 delayed"),
        ),
        once=True,
    ),
    Measure(
        "connected",
        growing.connected,
        (
            _rate("connected_1k_enqueue_rate", "enqueue one by one, 1,000 idle workers"),
            _rate("connected_1k_drain_rate", "drain, 1,000 idle workers"),
        ),
        once=True,
    ),
    Measure(
        "payloads",
        growing.payloads,
        tuple(
            _rate(f"payload_{size}_{what}_rate", f"{title} of {size.replace('b', ' B').replace('k B', ' kB')}")
            for size in growing.PAYLOADS
            for what, title in (("enqueue", "enqueue one by one, arguments"), ("drain", "drain, arguments"))
        ),
        once=True,
    ),
)
