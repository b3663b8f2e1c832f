"""What the benchmarks share: a fresh private Redis, a worker as users start it, and what both have cost.

Wall time on a shared machine drifts; CPU time a job drifts less, so both are printed.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import jobs
from taskq.broker import calls, embedded
from taskq.broker.broker import Broker

ROOT = Path(__file__).parents[1]


@contextmanager
def fresh_redis() -> Iterator[Broker]:
    """A private server on a Unix socket, without persistence; the benchmark's app is connected to it."""
    with embedded.temporary() as server:
        broker = Broker(server.url)
        jobs.app.use(broker)
        yield broker
        jobs.app.close()


@contextmanager
def worker(broker: Broker, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """`taskq worker` with `flags`; stopped at the end, if it has not ended by itself."""
    command = [sys.executable, "-m", "taskq", "worker", "-A", "benchmarks.jobs:app", "--log-level", "warning", *flags]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TASKQ_URL": broker.url})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()


def redis_cpu(broker: Broker) -> float:
    """CPU seconds that the server has used."""
    info = broker.run(calls.info())
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def redis_memory(broker: Broker) -> int:
    """Bytes that the server's data takes."""
    return int(broker.run(calls.info())["used_memory"])


def children_cpu() -> float:
    """CPU seconds of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def family(pid: int) -> list[int]:
    """`pid` and its children (Linux)."""
    return [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def cpu_of(pid: int) -> float:
    """CPU seconds that a running process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_of(pid: int) -> int:
    """Proportional set size of a running process in bytes (Linux)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
