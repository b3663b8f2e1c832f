"""The worker that `taskq bench` measures: a `taskq worker` in a process of its own, which does not outlive the bench.

bench --starts--> python -m taskq.cli.bench.worker PID worker ...    dies with PID, and is `taskq worker` from then on
      --TERM----> finishes what runs, ends
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from taskq.cli.bench import cost
from taskq.cli.bench.app import QUEUE
from taskq.errors import TaskqError

GRACE = 5.0
PATIENCE = 10.0
"""Seconds from SIGTERM to SIGKILL. More than the grace."""


class WorkerEnded(TaskqError):
    """The worker of the bench ended by itself."""


class Worker:
    """A running worker."""

    def __init__(self, process: subprocess.Popen[bytes]):
        self._process = process

    def check(self) -> None:
        """Raise WorkerEnded where it has ended."""
        code = self._process.poll()
        if code is not None:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise WorkerEnded(f"cannot measure: the worker ended by itself ({how})\n  hint: what it said is above")

    def cpu(self) -> float | None:
        """CPU seconds that it has used, all its processes together; None where this machine does not tell."""
        return cost.cpu_of(self._process.pid)

    def memory(self) -> int | None:
        """Bytes that its processes take; None where this machine does not tell."""
        return cost.memory_of(self._process.pid)


@contextmanager
def working(url: str, namespace: str, procs: int, threads: int) -> Iterator[Worker]:
    """A worker that was started, and may not be ready yet; it has ended when the block has."""
    # -P: a file that lies here by chance is no module of ours.
    launch = [sys.executable, "-P", "-m", "taskq.cli.bench.worker", str(os.getpid())]
    process = subprocess.Popen(
        [*launch, *words(procs, threads)],
        env={**os.environ, "TASKQ_URL": url, "TASKQ_NAMESPACE": namespace},  # everybody can read the words of a command
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        process_group=0,  # Ctrl-C is for the bench, which stops its worker then
    )
    try:
        yield Worker(process)
    finally:
        _stop(process)


def words(procs: int, threads: int) -> list[str]:
    """How `taskq worker` is called: what matters to the bench is said, whatever the project's settings are."""
    flags = {"--procs": procs, "--threads": threads, "--queues": QUEUE, "--grace": GRACE}
    flags |= {"--log-level": "warning", "--log-format": "json"}  # no line for each job, and no banner
    told = [str(word) for flag in flags.items() for word in flag]
    return ["worker", "-A", "taskq.cli.bench.app:app()", "--no-burst", *told]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    finally:  # a second Ctrl-C ends the waiting
        process.kill()
        process.wait()


if __name__ == "__main__":
    from taskq.cli import main
    from taskq_workers.process import die_with

    die_with(int(sys.argv.pop(1)))
    main()
