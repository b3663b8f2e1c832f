"""A soak: mixed work at a moderate rate, and every few seconds a look at what could grow.

A private Redis; a worker whose processes stay, one whose processes are recycled, and a producer with threads and an
event loop, each in processes of their own. Quick, large, delayed, urgent, named, cpu and async jobs, with and without
time limits; jobs that fail and are retried, that die, that are cancelled, that no worker knows; results that are waited
for, and those that are not.

The table says for each gauge what it did in the second half. The exit code is 1 where one grew or had a spike beyond
what is tolerated, or anything else went wrong. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from taskq.broker import embedded
from taskq.broker.broker import Broker
from tests.soak import tasks
from tests.soak.gauges import Sample, look_at_process, look_at_processes, look_at_redis
from tests.soak.report import Series, table
from tests.support.census import ask, one_place, take_census
from tests.support.workers import ROOT, Worker

PROCS = 2
LAST_JOBS = 60.0
"""Seconds that the jobs get which are left when the producer has ended."""


class QuietWorker(Worker):
    """Its log is read to the end, but not kept as far as it is about single jobs."""

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if '"outcome"' not in line:
                self._arriving.put(line)
        self._arriving.put(None)


class Site:
    """All that runs. `stable`: the pids of the worker whose processes stay."""

    def __init__(self, broker: Broker, steady: Worker, recycling: Worker, load: subprocess.Popen[str]):
        self.broker, self._steady, self._recycling, self.load = broker, steady, recycling, load
        self.workers = (steady, recycling)
        self._stable = sorted(steady.children())

    def look(self) -> Sample:
        """A sample of everything. Raises OSError where a process is gone that should stay."""
        sample = look_at_process("supervisor", self._steady.process.pid)
        for number, pid in enumerate(self._stable):
            sample |= look_at_process(f"child {number}", pid)
        sample |= look_at_process("recycling supervisor", self._recycling.process.pid)
        sample |= look_at_processes("recycled", self._recycling.children())
        sample |= look_at_process("producer", self.load.pid)
        return sample | look_at_redis(self.broker)

    def end(self) -> list[str]:
        """Stop the producer, let its jobs end, stop the workers. The answer is what is wrong, in words."""
        self.load.send_signal(signal.SIGTERM)
        said, _ = self.load.communicate(timeout=LAST_JOBS)
        done = json.loads(said)
        print(f"{sum(done['jobs'].values()):,} jobs: {', '.join(f'{n:,} {kind}' for kind, n in done['jobs'].items())}")
        until = time.monotonic() + LAST_JOBS
        while (left := ask(self.broker, "HLEN", self.broker.key("jobs"))) and time.monotonic() < until:
            time.sleep(0.1)
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        codes = [worker.end(60) for worker in self.workers]
        logs = [worker.log() for worker in self.workers]
        recycled = logs[1].count('"event": "recycled"')
        print(f"{recycled} processes recycled")
        wrong = list(done["troubles"]) + one_place(take_census(self.broker))
        wrong += [f"{left} jobs have no outcome"] if left else []
        wrong += [f"a worker ended with {codes}"] if any(codes) else []
        return wrong + [line for log in logs for line in log.splitlines() if "process died" in line]


@contextmanager
def site(rate: float, seed: int, share: int, leak: str) -> Iterator[Site]:
    """Everything, up and at work."""
    with ExitStack() as stack:
        url = stack.enter_context(embedded.temporary()).url
        flags = ("--procs", str(PROCS), "--threads", "4")
        told = {"app": "tests.soak.tasks:app", tasks.LEAK: leak}
        steady = stack.enter_context(QuietWorker(url, *flags, **told))
        recycling = stack.enter_context(QuietWorker(url, *flags, "--max-jobs", str(share), **told))
        for worker in (steady, recycling):
            worker.wait_for("ready")
        words = [sys.executable, "-m", "tests.soak.load", "--rate", str(rate), "--seed", str(seed)]
        environ = {**os.environ, "TASKQ_URL": url, tasks.PRODUCES: "1"}
        load = stack.enter_context(subprocess.Popen(words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True))
        stack.callback(load.kill)
        yield Site(Broker(url), steady, recycling, load)


def soak(asked: argparse.Namespace) -> int:
    """The whole soak; its exit code."""
    with site(asked.rate, asked.seed, asked.share, asked.leak) as place:
        series, began = Series(), time.monotonic()
        while (now := time.monotonic()) - began < asked.minutes * 60 and place.load.poll() is None:
            series.add(now - began, place.look())
            time.sleep(max(0.0, now + asked.every - time.monotonic()))
        wrong = place.end()
    verdicts = series.verdicts()
    print(table(verdicts))
    wrong += [f"{v.gauge} grows: {v.growth:.1f}" for v in verdicts if v.grows]
    wrong += [f"{v.gauge} has a spike: {v.largest:.1f}" for v in verdicts if v.spikes and not v.grows]
    print("\n".join(wrong) if wrong else "all constant")
    return 1 if wrong else 0


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser("python -m tests.soak", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="how long [60]")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between samples [3]")
    parser.add_argument("--rate", type=float, default=150.0, help="things that producers do a second [150]")
    parser.add_argument("--share", type=int, default=1500, help="--max-jobs of the worker that recycles [1500]")
    parser.add_argument("--seed", type=int, default=1, help="of the mix of jobs [1]")
    parser.add_argument("--leak", choices=["", "memory", "files", "keys"], default="", help="leak on purpose")
    return parser.parse_args(words)


if __name__ == "__main__":
    raise SystemExit(soak(parse(sys.argv[1:])))
