"""A place to measure one system in: a fresh Redis, its producer, its workers, and what each has cost.

Everything runs on this machine's loopback. Wall time on a shared machine drifts; CPU time a job drifts less.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import redis

from benchmarks.catalogue import Command, Load, System
from benchmarks.environments import binary, environment
from taskq.broker import embedded
from taskq.cli.bench import cost

SYSTEMS = Path(__file__).parent / "systems"
GIVE_UP = 120.0
"""Seconds after which a measurement that does not end is given up."""
TICK = 0.005


class GaveUp(Exception):
    """A measurement did not come to its end."""


@dataclass(frozen=True, slots=True)
class Note:
    """What one job noted: when it was sent (0: not told), started and ended (monotonic seconds)."""

    sent: float
    started: float
    ended: float

    @property
    def late(self) -> float:
        return self.started - self.sent


@dataclass(slots=True)
class Workers:
    """The running worker of a system: `began` (monotonic) when its command was started."""

    commands: list[subprocess.Popen[bytes]]
    began: float = field(default_factory=time.monotonic)

    def processes(self) -> list[int]:
        rows = cost.processes()
        return [row.pid for command in self.commands for row in cost.family(command.pid, rows)]

    def cpu(self) -> float:
        """CPU seconds that its processes have used, with those that ended."""
        return sum(cost.cpu_of(command.pid) or 0.0 for command in self.commands)

    def pss(self) -> float:
        """Proportional set size of its processes, in MB: memory that several share counts once."""
        return sum(cost.memory_of(command.pid) or 0 for command in self.commands) / 2**20

    def check(self) -> None:
        for command in self.commands:
            if command.poll() is not None:
                raise GaveUp(f"{command.args} ended with {command.returncode}")


class Lab:
    """`system` on a server of its own. `results`: are results stored? `awaited`: will somebody wait for them?"""

    def __init__(self, system: System, url: str, journal: Path, *, results: bool = True, awaited: bool = False):
        self.system, self.url = system, url
        self.redis = redis.Redis.from_url(url)
        self._journal = journal
        self._environment = {
            **environment(system),
            "PYTHONPATH": str(SYSTEMS),
            "BENCH_REDIS": url,
            "BENCH_JOURNAL": str(journal),
            "BENCH_RESULTS": "1" if results else "0",
            "BENCH_AWAITED": "1" if awaited else "0",
            "REDIS_URL": url,
        }
        self._results = results

    # The producer

    def drive(self, verb: str, **arguments: Any) -> dict[str, float]:
        """Run one verb of the driver to its end."""
        words = [binary(self.system, "python"), str(SYSTEMS / "driver.py"), self.system.module, verb]
        command = [*words, json.dumps(arguments)]
        driver = subprocess.run(
            command,
            cwd=SYSTEMS,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=4 * GIVE_UP,
            check=True,
        )
        return cast("dict[str, float]", json.loads(driver.stdout.splitlines()[-1]))

    def fill(self, count: int, task: str = "noop", *args: Any, size: int = 0) -> float:
        """Enqueue as fast as can be; the answer is how many seconds it took."""
        return self.drive("fill", task=task, count=count, args=args, size=size).get("seconds", 0.0)

    # The worker

    @contextmanager
    def working(self, load: Load = "quick") -> Iterator[Workers]:
        """The system's worker, stopped at the end."""
        workers = Workers([])
        try:
            for name, *words in self.system.workers(load):
                workers.commands.append(
                    subprocess.Popen(
                        [binary(self.system, name), *words],
                        cwd=SYSTEMS,
                        env=self._environment,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL if not os.environ.get("BENCH_LOUD") else None,
                        start_new_session=True,
                    )
                )
            yield workers
        finally:
            for command in workers.commands:
                stop(command)

    def pending(self) -> int:
        """How many jobs are not acknowledged yet."""
        return self._count(self.system.pending)

    def stored(self) -> int:
        """How many results there are (roughly, where they lie among other keys)."""
        return self._count(self.system.stored)

    def _count(self, commands: Sequence[Command]) -> int:
        pipeline = self.redis.pipeline(transaction=False)
        for words in commands:
            pipeline.execute_command(*words)
        return sum(int(reply or 0) for reply in pipeline.execute())

    def wait_until_done(self, workers: Workers, results: int = 0, left: int = 0) -> float:
        """Wait until at most `left` jobs are pending and `results` are stored; when that was (monotonic)."""
        until = time.monotonic() + GIVE_UP
        while self.pending() > left or (self._results and self.stored() < results):
            workers.check()
            if time.monotonic() > until:
                raise GaveUp(f"{self.system.name} still has {self.pending()} jobs after {GIVE_UP:g} s")
            time.sleep(TICK)
        return time.monotonic()

    def wait_for_first(self, workers: Workers, count: int) -> float:
        """Wait until fewer than `count` jobs are pending; when that was (monotonic)."""
        return self.wait_until_done(workers, left=count - 1)

    def notes(self, count: int, workers: Workers) -> list[Note]:
        """The journal, once `count` jobs have noted something."""
        until = time.monotonic() + GIVE_UP
        while self._journal.stat().st_size < count * 24:
            workers.check()
            if time.monotonic() > until:
                raise GaveUp(f"{self.system.name} ran {self._journal.stat().st_size // 24} of {count} jobs")
            time.sleep(TICK)
        return [Note(*fields) for fields in struct.iter_unpack("=3d", self._journal.read_bytes())]

    # The server

    def redis_cpu(self) -> float:
        """CPU seconds that the server has used."""
        info = self.redis.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def redis_memory(self) -> int:
        """Bytes that the server's data takes."""
        return int(self.redis.info("memory")["used_memory"])


@contextmanager
def lab(system: System, *, results: bool = True, awaited: bool = False) -> Iterator[Lab]:
    """A lab on a fresh server without persistence, which is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="taskq-bench-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        with embedded.temporary(port=str(port), bind="127.0.0.1"):
            journal = Path(folder) / "journal"
            journal.touch()
            yield Lab(system, f"redis://127.0.0.1:{port}/0", journal, results=results, awaited=awaited)


def stop(command: subprocess.Popen[bytes]) -> None:
    """End a worker and all that it started: TERM, then KILL for its session."""
    if command.poll() is None:
        command.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            command.wait(5)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(command.pid, signal.SIGKILL)
    command.wait()


def span(notes: list[Note]) -> float:
    """Seconds from the first start to the last end."""
    return max(note.ended for note in notes) - min(note.started for note in notes)
