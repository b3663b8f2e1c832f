"""The guide's table for this machine: some three minutes, and no network but loopback.

python -m benchmarks.guide [--rows requests,images] [--runs 3] [--docs]

Round for round each row's work is done one after another, in the standard library's own pools, and with taskq, one
straight after the other; the table shows medians, of times and of the ratios within a round. With --docs the values go
to docs/benchmarks/guide.json, and the table into docs/guide.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import redis

from benchmarks.environments import BENCH
from benchmarks.findings import Findings, describe_machine
from benchmarks.guide import report
from benchmarks.guide.rows import AT_ONCE, PROCS, ROWS, THREADS, Row
from examples.guide.processes import Interrupts, web_server, worker
from taskq.broker import embedded

LATENCY = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Started:
    """The standard library's pools, with all of their threads and processes."""

    threads: ThreadPoolExecutor
    processes: ProcessPoolExecutor


def main(words: Sequence[str]) -> int:
    """Measure, report."""
    asked = _parse(words)
    with Interrupts() as interrupts, embedded.temporary() as server, interrupts.heard():
        os.environ["TASKQ_URL"] = server.url
        version = redis.Redis.from_url(server.url).info("server")["redis_version"]
        findings = Findings(machine={**describe_machine(version), "load": os.getloadavg()[0]})
        for number in range(1, asked.runs + 1):
            for name in asked.rows:
                _say(f"round {number} of {asked.runs}: {ROWS[name].title}")
                for way, seconds in _measure(ROWS[name]).items():
                    findings.add(way, {name: seconds})
                findings.write(asked.out)
    print(report.table(findings))
    if asked.docs:
        findings.write(report.VALUES)
        report.write_into(report.PAGE, findings)
    return 0


def _measure(kind: type[Row]) -> dict[str, float]:
    """Seconds that each of the three ways takes."""
    with tempfile.TemporaryDirectory() as home, web_server(Path(home), LATENCY) as site:
        row = kind(Path(home), site)
        flags = {"procs": PROCS, "threads": THREADS, **row.flags}
        with _pools(row.module) as pools, worker(f"{row.module}:app", **flags):
            try:
                row.warm()
                one, expected = _timed(row.one_by_one)
                standard, found = _timed(lambda: row.standard(pools))
                row.prepare()
                taskq, ours = _timed(row.taskq)
            finally:
                row.app.close()
    if row.sample == 1 and not expected == found == ours:
        raise SystemExit(f"error: {row.title}: the three ways gave different results")
    return {"one by one": one / row.sample, "standard": standard, "taskq": taskq}


def _timed(do: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = do()
    return time.perf_counter() - began, result


@contextmanager
def _pools(module: str) -> Iterator[Started]:
    """With what they run imported, as a worker has it."""
    spawn = multiprocessing.get_context("spawn")  # this process has threads
    processes = ProcessPoolExecutor(PROCS, spawn, import_module, (module,))
    with ThreadPoolExecutor(AT_ONCE) as threads, processes:
        list(threads.map(time.sleep, [0.1] * AT_ONCE))
        list(processes.map(time.sleep, [0.5] * PROCS))
        yield Started(threads, processes)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guide", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=_names, default=[*ROWS], metavar="A,B", help=", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--out", type=Path, default=BENCH / "guide.json", metavar="FILE")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/guide.md")
    asked = parser.parse_args(words)
    if asked.docs and asked.rows != [*ROWS]:
        parser.error("--docs needs all rows")
    return asked


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return names


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
