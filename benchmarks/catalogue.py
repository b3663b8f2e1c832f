"""The systems that are measured, each with its best documented settings.

What a system has waiting or unacknowledged is counted from outside, by Redis commands that cost it nothing: a drain
ends when all of these are 0 and, where results are stored, when as many results are there.

Where a system has no other way to keep what calculates from holding up what waits, its jobs `burn` go to a queue
"cpu" with workers of its own, as its documentation says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Load = Literal["quick", "io", "async", "cpu", "mixed"]
"""What a worker is to be good at: jobs of no time, waiting threads, waiting coroutines, calculating, both at once."""
Command = tuple[str, ...]
"""Of a worker: the name of a program in the system's environment, and its arguments. Of Redis: the words."""
Workers = Callable[[Load], list[Command]]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One system. `packages`: what pip installs; "." is this project. `module`: its file in systems/.

    `pending`: commands whose sum is the number of jobs not yet acknowledged. `stored`: those that count results.
    `acknowledges`: does a job that was taken come back when its worker dies? `jobs`: some seconds of no-op jobs.
    `lanes`: "io" where it has threads for waiting, "async" where it has an event loop.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    workers: Workers
    pending: tuple[Command, ...]
    stored: tuple[Command, ...]
    acknowledges: bool
    settings: str
    jobs: int
    lanes: tuple[Literal["io", "async"], ...] = ("io",)
    note: str = ""


def _taskq(load: Load) -> list[Command]:
    return [("taskq", "worker", "-A", "on_taskq:app", "--procs", "2", "--threads", "16", "--log-level", "warning")]


def _huey(load: Load) -> list[Command]:
    def consumer(name: str, kind: str, workers: str) -> Command:
        return ("huey_consumer", f"on_huey.{name}", "-k", kind, "-w", workers, "-n", "-q", "-d", "0.01", "-m", "0.1")

    return {
        "quick": [consumer("huey", "process", "2")],
        "io": [consumer("huey", "thread", "32")],
        "cpu": [consumer("calculating", "process", "2")],
        "mixed": [consumer("calculating", "process", "2"), consumer("huey", "thread", "16")],
    }[load]


TASKQ = System(
    name="taskq",
    module="on_taskq",
    packages=(".[hiredis]",),
    workers=_taskq,
    pending=(("HLEN", "{taskq}:jobs"),),
    stored=(("DBSIZE",),),
    acknowledges=True,
    settings="taskq worker --procs 2 --threads 16",
    jobs=200_000,
    lanes=("io", "async"),
)

HUEY = System(
    name="huey",
    module="on_huey",
    packages=("huey", "redis", "hiredis"),
    workers=_huey,
    pending=(("LLEN", "huey.redis.bench"), ("LLEN", "huey.redis.cpu")),
    stored=(("HLEN", "huey.results.bench"), ("HLEN", "huey.results.cpu")),
    acknowledges=False,
    settings="huey_consumer -k process -w 2 (io: -k thread -w 32), notify_result where results are awaited",
    jobs=10_000,
    note="a job is taken off the list before it runs: one whose worker dies is lost",
)


def _celery(load: Load) -> list[Command]:
    def worker(name: str, queue: str, *options: str) -> Command:
        lean = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning")
        return ("celery", "-A", "on_celery", "worker", "-n", name, "-Q", queue, *lean, *options)

    threads = ("-P", "threads", "-c", "16")
    calculating = worker("cpu", "cpu", "-P", "prefork", "-c", "2", "--prefetch-multiplier", "1")
    return {
        "quick": [worker("one", "celery", "-P", "solo"), worker("two", "celery", "-P", "solo")],
        "io": [worker("one", "celery", *threads), worker("two", "celery", *threads)],
        "cpu": [calculating],
        "mixed": [calculating, worker("io", "celery", *threads)],
    }[load]


def _rq(load: Load) -> list[Command]:
    def pool(queue: str, workers: str) -> Command:
        options = ("-c", "on_rq", "-w", "rq.worker.SimpleWorker", "--logging-level", "WARNING")
        return ("rq", "worker-pool", *options, "-n", workers, queue)

    return {
        "quick": [pool("default", "4")],
        "io": [pool("default", "32")],
        "cpu": [pool("cpu", "2")],
        "mixed": [pool("cpu", "2"), pool("default", "4")],
    }[load]


def _dramatiq(load: Load) -> list[Command]:
    def workers(queue: str, processes: int, threads: int, ahead: int = 2, timeout: int = 1000) -> Command:
        # Dramatiq reads these from the environment only: how many it takes ahead, how long it sleeps at most (ms).
        variables = f"dramatiq_queue_prefetch='{ahead * threads}', dramatiq_worker_timeout='{timeout}'"
        program = f"import os, sys; os.environ.update({variables}); from dramatiq.cli import main; sys.exit(main())"
        return ("python", "-c", program, "on_dramatiq", "-Q", queue, "-p", str(processes), "-t", str(threads))

    return {
        "quick": [workers("default", 2, 8, ahead=25, timeout=10)],
        "io": [workers("default", 2, 16)],
        "async": [workers("default", 2, 1000)],
        "cpu": [workers("cpu", 2, 1)],
        "mixed": [workers("cpu", 2, 1), workers("default", 1, 16, timeout=10)],
    }[load]


def _arq(load: Load) -> list[Command]:
    def worker(settings: str) -> Command:
        return ("arq", f"on_arq.{settings}", "--custom-log-dict", "on_arq.LOGGING")

    return {
        "quick": [worker("quick")],
        "io": [worker("waiting")] * 2,
        "async": [worker("waiting")] * 2,
        "cpu": [worker("calculating")],
        "mixed": [worker("calculating"), worker("waiting")],
    }[load]


def _taskiq(module: str) -> Workers:
    def worker(workers: int, at_once: int, processes: int = 0) -> list[Command]:
        pool = ("--use-process-pool", "--max-process-pool-processes", str(processes)) if processes else ()
        limits = ("--workers", str(workers), "--max-async-tasks", str(at_once))
        return [("taskiq", "worker", f"{module}:broker", "--log-level", "WARNING", *limits, *pool)]

    return {
        "quick": worker(2, 100),
        "io": worker(2, 1000),
        "async": worker(2, 1000),
        "cpu": worker(1, 1000, processes=2),
        "mixed": worker(2, 1000, processes=1),
    }.__getitem__


def _saq(load: Load) -> list[Command]:
    def workers(settings: str, count: int = 2) -> Command:
        return ("saq", f"on_saq.{settings}", "--workers", str(count))

    return {
        "quick": [workers("quick")],
        "io": [workers("waiting")],
        "async": [workers("waiting")],
        "cpu": [workers("calculating")],
        "mixed": [workers("calculating"), workers("quick", 1)],
    }[load]


def _streaq(load: Load) -> list[Command]:
    def workers(worker: str, count: int = 2) -> Command:
        return ("streaq", "run", f"on_streaq:{worker}", "--workers", str(count))

    return {
        "quick": [workers("quick")],
        "io": [workers("waiting")],
        "async": [workers("waiting")],
        "cpu": [workers("calculating")],
        "mixed": [workers("calculating"), workers("quick", 1)],
    }[load]


CELERY = System(
    name="celery",
    module="on_celery",
    packages=("celery[redis]", "hiredis"),
    workers=_celery,
    pending=(("LLEN", "celery"), ("LLEN", "cpu"), ("HLEN", "unacked")),
    stored=(("DBSIZE",),),
    acknowledges=True,
    settings="2 x celery worker -P solo (io: -P threads -c 16, cpu: -P prefork -c 2), task_acks_late",
    jobs=4_000,
    note="a job whose worker dies comes back after the visibility timeout, 1 h by default",
)

RQ = System(
    name="rq",
    module="on_rq",
    packages=("rq", "redis", "hiredis"),
    workers=_rq,
    pending=tuple(
        (word, f"rq:{kind}{queue}{rest}")
        for queue in ("default", "cpu")
        for word, kind, rest in (("LLEN", "queue:", ""), ("LLEN", "queue:", ":intermediate"), ("ZCARD", "wip:", ""))
    ),
    stored=(("ZCARD", "rq:finished:default"), ("ZCARD", "rq:finished:cpu")),
    acknowledges=True,
    settings="rq worker-pool -n 4, SimpleWorker (io: -n 32, cpu: -n 2), Retry(max=1)",
    jobs=1_500,
    note="a job whose worker dies comes back as its retry, 4 to 14 min later; without Retry it counts as failed",
)

DRAMATIQ = System(
    name="dramatiq",
    module="on_dramatiq",
    packages=("dramatiq[redis]", "hiredis"),
    workers=_dramatiq,
    pending=(("HLEN", "dramatiq:default.msgs"), ("HLEN", "dramatiq:cpu.msgs")),
    stored=(("DBSIZE",),),
    acknowledges=True,
    settings="dramatiq -p 2 -t 8, prefetch 200 (io: -t 16, async: -t 1000, cpu: -t 1), time-out 10 ms",
    jobs=10_000,
    lanes=("io", "async"),
    note="a job whose worker dies comes back after 60 s without a heartbeat; a coroutine takes a thread, too",
)

ARQ = System(
    name="arq",
    module="on_arq",
    packages=("arq", "hiredis"),
    workers=_arq,
    pending=(("ZCARD", "arq:queue"), ("ZCARD", "arq:cpu")),
    stored=(("DBSIZE",),),
    acknowledges=True,
    settings="1 x arq, max_jobs 100 (io, async: 2 x max_jobs 1000), poll_delay 10 ms, cpu: a pool of 2 processes",
    jobs=4_000,
    lanes=("async",),
    note="a job whose worker dies comes back after job_timeout + 10 s (310 s); two workers drain no faster than one",
)

TASKIQ_LIST = System(
    name="taskiq-list",
    module="on_taskiq_list",
    packages=("taskiq", "taskiq-redis", "hiredis", "uvloop"),
    workers=_taskiq("on_taskiq_list"),
    pending=(("LLEN", "taskiq"),),
    stored=(("DBSIZE",),),
    acknowledges=False,
    settings="taskiq worker --workers 2 (io, async: --max-async-tasks 1000, cpu: --use-process-pool), uvloop",
    jobs=9_000,
    lanes=("async",),
    note="a job is taken off the list before it runs: one whose worker dies is lost",
)

_LAG = "local g = redis.call('XINFO', 'GROUPS', 'taskiq')[1] return g[6] + (g[12] or 0)"

TASKIQ_STREAM = System(
    name="taskiq-stream",
    module="on_taskiq_stream",
    packages=("taskiq", "taskiq-redis", "hiredis", "uvloop"),
    workers=_taskiq("on_taskiq_stream"),
    pending=(("EVAL", _LAG, "0"),),
    stored=(("DBSIZE",),),
    acknowledges=True,
    settings="taskiq worker --workers 2 (io, async: --max-async-tasks 1000, cpu: --use-process-pool), uvloop",
    jobs=8_000,
    lanes=("async",),
    note="a job whose worker dies comes back after 10 min, once another job arrives; the stream keeps what is done",
)

SAQ = System(
    name="saq",
    module="on_saq",
    packages=("saq[redis,hiredis]", "typing_extensions"),
    workers=_saq,
    pending=(("ZCARD", "saq:default:incomplete"), ("ZCARD", "saq:cpu:incomplete")),
    stored=(("DBSIZE",),),
    acknowledges=True,
    settings="saq --workers 2, concurrency 32 (io, async: 1000, cpu: 2 in threads), retries 2",
    jobs=7_000,
    lanes=("async",),
    note="a job whose worker dies comes back at the first sweep (60 s) after its timeout (10 s), having a retry left",
)

STREAQ = System(
    name="streaq",
    module="on_streaq",
    packages=("streaq", "hiredis", "uvloop"),
    workers=_streaq,
    pending=(("XLEN", "streaq:default:queues:normal"), ("XLEN", "streaq:cpu:queues:normal")),
    stored=(("DBSIZE",),),
    acknowledges=True,
    settings="streaq run --workers 2, concurrency 32 (io, async: 1000, cpu: 2 in threads), uvloop, coredis optimized",
    jobs=4_000,
    lanes=("async",),
    note="a job whose worker dies comes back after 60 s",
)

PEERS = (CELERY, RQ, DRAMATIQ, HUEY, ARQ, TASKIQ_LIST, TASKIQ_STREAM, SAQ, STREAQ)
SYSTEMS = {system.name: system for system in (TASKQ, *PEERS)}
