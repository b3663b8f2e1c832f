"""What the examples start, and how nothing of it is left over: a private Redis, a web server, a worker.

 program ----> Redis <---- worker (supervisor, and a process for each core)
      |                       |
      `-- starts --> web server

Each ends when its `with` block does. Ctrl-C and TERM end the block in which they are heard. Where processes are being
started or stopped they are held back, so that none is forgotten.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from taskq import Job, TaskQ
from taskq.broker import embedded

PROCS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = 32
PATIENCE = 10.0  # seconds that a worker gets to stop


@contextmanager
def beside_a_worker(app: TaskQ, module: str, **options: int | str) -> Iterator[None]:
    """Run the block beside a private Redis and a worker that runs the jobs of `app`, which stands in `module`.

    `options`: flags of the worker.
    """
    with Interrupts() as interrupts, embedded.temporary() as redis, closing(app):
        os.environ["TASKQ_URL"] = redis.url
        with worker(f"{module}:app", **options), interrupts.heard():
            yield


@contextmanager
def running(app: TaskQ, first: Callable[[], Job[Any]], folder: Path, latency: float) -> Iterator[str]:
    """A Redis, a web server and a worker that has done a `first` job; gives the address at which `folder` is served.

    `latency`: seconds until the web server answers.
    """
    with Interrupts() as interrupts:
        print("starting a private Redis, a web server and a worker", file=sys.stderr, flush=True)
        with embedded.temporary() as redis, web_server(folder, latency) as address:
            os.environ["TASKQ_URL"] = redis.url
            with worker() as process, closing(app), interrupts.heard():
                wait_until_ready(process, first)
                yield address


@contextmanager
def web_server(folder: Path, latency: float) -> Iterator[str]:
    """The web server in a process of its own, which ends when its standard input is closed; gives its address."""
    command = [sys.executable, "-m", "examples.guide.web", str(folder), str(latency)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, process_group=0) as process:
        assert process.stdout
        yield process.stdout.readline().strip()


@contextmanager
def worker(app: str = "examples.guide.tasks:app", **options: int | str) -> Iterator[subprocess.Popen[bytes]]:
    """`taskq worker` in a process group of its own, so that Ctrl-C reaches the program only. `options`: its flags."""
    options = {"procs": PROCS, "threads": THREADS, "grace": 2, "log-level": "warning", **options}
    command = [sys.executable, "-m", "taskq", "worker", "--app", app]
    command += [f"--{name}={value}" for name, value in options.items()]
    with subprocess.Popen(command, process_group=0) as process:
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the worker to stop; returns when it has. Its children die with it, whatever it dies of."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_until_ready(process: subprocess.Popen[bytes], first: Callable[[], Job[Any]]) -> None:
    """Return when the worker has done the job that `first` enqueues."""
    job = first()
    while process.poll() is None:
        with suppress(TimeoutError):
            job.result(timeout=1)
            return
    raise SystemExit("error: the worker did not start")


class Interrupts:
    """Ctrl-C, TERM and HUP: held back, except inside `with heard()`. In the end they end the program, by SystemExit."""

    def __init__(self) -> None:
        self._arrived: int | None = None
        self._listening = False

    def __enter__(self) -> Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """A signal counts for more than what else went wrong: a Ctrl-C may have reached a program that was starting."""
        self._obey()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """End the block at a signal, at once where one has arrived before."""
        self._listening = True
        try:
            self._obey()
            yield
        finally:
            self._listening = False

    def _note(self, number: int, _: Any) -> None:
        self._arrived = number
        if self._listening:
            self._listening = False
            self._obey()

    def _obey(self) -> None:
        if self._arrived is not None:
            raise SystemExit(128 + self._arrived)
