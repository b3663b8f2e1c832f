"""The guide's three kinds of work: one after another in plain Python, then with taskq.

    python -m examples.guide.demo            takes about a minute
    python -m examples.guide.demo --quick    a few of everything

Each piece of work is many calls of one task. Calling the task runs it here; enqueueing it runs it in the worker. Both
must give the same results; the table says how long each way took.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sysconfig import get_path
from typing import Any
from urllib.parse import quote

from examples.guide.processes import PROCS, THREADS, running
from examples.guide.screen import progress, table
from examples.guide.tasks import app, count_primes, count_tokens, fetch
from taskq import Task
from taskq.errors import ConfigError

LIBRARY = Path(get_path("stdlib"))
LATENCY = 0.05  # seconds until the web server answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Calls of one task; `sum_up` says in words what came out."""

    name: str
    task: Task[..., Any]
    arguments: Sequence[Any]
    sum_up: Callable[[list[Any]], str]

    def one_by_one(self) -> Iterator[Any]:
        """The results, each worked out here when it is asked for."""
        for argument in self.arguments:
            yield self.task(argument)

    def with_taskq(self) -> Iterator[Any]:
        """The results, worked out by the worker."""
        for job in self.task.enqueue_many((argument,) for argument in self.arguments):
            yield job.result(timeout="1m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How long both ways took, in seconds; whether their results were the same; and what they were, in words."""

    work: Work
    one_by_one: float
    with_taskq: float
    same: bool
    summary: str


def works(address: str, *, quick: bool) -> Iterator[Work]:
    """What there is to do. The standard library is served at `address`."""
    paths = sources()[: 100 if quick else None]
    urls = [f"{address}/{quote(path.relative_to(LIBRARY).as_posix())}" for path in paths[: 20 if quick else 300]]
    top = 50_000 if quick else 200_000
    limits = range(top, top // 2, -2_500)  # the longest first, so that no core stands idle at the end
    yield Work(name="files", task=count_tokens, arguments=[*map(str, paths)], sum_up=sum_up_files)
    yield Work(name="requests", task=fetch, arguments=urls, sum_up=sum_up_requests)
    yield Work(name="primes", task=count_primes, arguments=limits, sum_up=sum_up_primes)


def sources() -> list[Path]:
    """The source files of this Python's standard library, without what has been installed into it."""
    return sorted(
        path for path in LIBRARY.rglob("*.py") if not {"site-packages", "dist-packages"}.intersection(path.parts)
    )


def sum_up_files(counts: list[tuple[int, int] | None]) -> str:
    counted = [count for count in counts if count]
    lines, tokens = (sum(column) for column in zip(*counted, strict=True))
    return f"{lines:,} lines, {tokens:,} tokens; skipped {len(counts) - len(counted)} that are no valid Python"


def sum_up_requests(bodies: list[tuple[int, str]]) -> str:
    return f"{sum(size for size, _ in bodies):,} bytes, from a web server that answers after {LATENCY * 1000:.0f} ms"


def sum_up_primes(counts: list[int]) -> str:
    return f"{min(counts):,} to {max(counts):,} of them below each limit"


def compare(work: Work) -> Comparison:
    """Do `work` both ways."""
    jobs = len(work.arguments)
    expected, one_by_one = timed(f"{work.name}, one after another", jobs, work.one_by_one())
    found, with_taskq = timed(f"{work.name}, with taskq", jobs, work.with_taskq())
    return Comparison(
        work=work,
        one_by_one=one_by_one,
        with_taskq=with_taskq,
        same=found == expected,
        summary=work.sum_up(expected),
    )


def timed(label: str, total: int, results: Iterable[Any]) -> tuple[list[Any], float]:
    """All of `results`, and the seconds it took until the last of them was there."""
    found, began = [], time.perf_counter()
    with progress(label, total) as step:
        for result in results:
            found.append(result)
            step()
    return found, time.perf_counter() - began


def report(comparisons: Sequence[Comparison]) -> str:
    """The table."""
    head = ["", "jobs", "one by one", "taskq", "speed-up", "results"]
    rows = [head, *map(row, comparisons)]
    notes = [f"{done.work.name:8}   {done.summary}" for done in comparisons]
    return "\n".join([f"{PROCS} processes, {THREADS} threads in each", "", table(rows), "", *notes])


def row(done: Comparison) -> list[str]:
    return [
        done.work.name,
        f"{len(done.work.arguments):,}",
        f"{done.one_by_one:.2f} s",
        f"{done.with_taskq:.2f} s",
        f"{done.one_by_one / done.with_taskq:.1f} x",
        "same" if done.same else "DIFFERENT",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.guide.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few of everything")
    quick = parser.parse_args().quick
    try:
        with running(app, partial(count_primes.enqueue, 100), LIBRARY, LATENCY) as address:
            comparisons = [compare(work) for work in works(address, quick=quick)]
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report(comparisons))
    return 0 if all(done.same for done in comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
