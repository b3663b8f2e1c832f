"""The app that the process tests run. Each execution appends a line to the journal, apart from Redis."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

from taskq import Retry, TaskQ, current_job
from tests.support import journal

app = TaskQ()


class RefusedError(Exception):
    """Not registered with the app: `result()` cannot rebuild it."""


def note(task: str) -> None:
    job = current_job()
    journal.write(task, job.id if job else "-")


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def pid() -> int:
    return os.getpid()


@app.task(result_ttl="1d")
def nap(seconds: float) -> float:
    note("nap")
    time.sleep(seconds)
    return seconds


@app.task
def hold(path: str) -> int:
    """Run until somebody opens the FIFO at `path` for writing."""
    note("hold")
    Path(path).read_bytes()
    return os.getpid()


_hoard: list[bytes] = []


@app.task
def hoard(megabytes: int) -> None:
    """Leak."""
    _hoard.append(b"x" * (megabytes << 20))


@app.task
def lateness(enqueued: float) -> float:
    """Seconds from enqueue to start, then 2 ms of waiting."""
    late = time.monotonic() - enqueued
    time.sleep(0.002)
    return late


@app.task(pool="cpu", retries=0)
def spin(seconds: float) -> int:
    note("spin")
    rounds, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        rounds += 1
    return rounds


@app.task
async def anap(seconds: float) -> float:
    note("anap")
    await asyncio.sleep(seconds)
    return seconds


@app.task(backoff=0.01)
def third_time_lucky() -> int:
    job = current_job()
    assert job is not None
    if job.attempt < 3:
        raise KeyError(job.attempt)
    return job.attempt


@app.task(retries=1)
def ask_again() -> int:
    job = current_job()
    assert job is not None
    if job.attempt == 1:
        raise Retry("not yet", delay=0.01)
    return job.attempt


@app.task(retries=0)
def fail(kind: str) -> None:
    raise {
        "value": ValueError("bad image"),
        "own": RefusedError("no"),
        "exit": SystemExit(3),
        "ctrl-c": KeyboardInterrupt(),
    }[kind]


@app.task(retries=0)
def recurse() -> None:
    recurse()


@app.task(retries=0)
def unserializable() -> object:
    return object()


@app.task(retries=0)
def too_large() -> bytes:
    return bytes(1 << 20)


@app.task(retries=0)
def exit_now() -> None:
    note("exit_now")
    os._exit(1)


@app.task(retries=0)
def segfault() -> None:
    note("segfault")
    ctypes.string_at(0)


@app.task(retries=0)
def fork_and_return() -> int:
    os.fork()
    return os.getpid()


@app.task(retries=0)
def leave_an_orphan() -> None:
    """Start a process that outlives its parent, and then ends."""
    subprocess.run(["/bin/sh", "-c", "sleep 0.05 &"], check=True)


@app.task(timeout=0.3, retries=0)
def sleepy(seconds: float) -> None:
    """Python code that the soft limit can reach."""
    note("sleepy")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


@app.task(timeout=0.3, retries=0)
def stuck(seconds: float) -> None:
    """One call into C, which no exception reaches."""
    note("stuck")
    time.sleep(seconds)


@app.task(timeout=0.3, retries=0, pool="cpu")
def busy(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@app.task(timeout=0.3, retries=0)
async def asleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


@app.task(timeout=0.3, retries=0)
async def block_the_loop(seconds: float) -> None:
    note("block_the_loop")
    time.sleep(seconds)


@app.task(timeout=0.3, retries=0)
def hold_the_gil() -> None:
    """A C call that neither returns nor lets go of the GIL."""
    note("hold_the_gil")
    ctypes.PyDLL(None).sleep(60)


@app.task
def slow_at_first(seconds: float) -> int:
    """Takes `seconds` in the first run, nothing in later ones; the answer is which it was."""
    note("slow_at_first")
    job = current_job()
    assert job is not None
    runs = Path(os.environ[journal.FILE]).read_text(encoding="utf-8").count(job.id)
    time.sleep(seconds if runs == 1 else 0)
    return runs


@app.task
def stop_myself() -> int:
    """The first time, stop the whole process; the second run is that of another."""
    note("stop_myself")
    if Path(os.environ[journal.FILE]).read_text(encoding="utf-8").count("stop_myself") == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return os.getpid()


@app.task
def hold_the_lock() -> str:
    """The first time, hold it until this process dies."""
    with app.lock("x"):
        note("hold_the_lock")
        if Path(os.environ[journal.FILE]).read_text(encoding="utf-8").count("hold_the_lock") == 1:
            time.sleep(60)
    return "again"


@app.task
def hold_the_gil_in_a_lock(seconds: float) -> bool:
    """In one call into C. The answer is whether the lock was lost."""
    with app.lock("x") as held:
        note("hold_the_gil_in_a_lock")
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
        return held.lost


@app.task
def meet(parties: int, timeout: float) -> tuple[int, int]:
    """Wait at the barrier; the answer is the place there, and which process this is."""
    note("meet")
    return app.barrier("x", parties).wait(timeout), os.getpid()


@app.task(concurrency=2)
def two_at_a_time(number: int, seconds: float) -> int:
    """Notes when it begins and when it ends."""
    note(f"begin-{number}")
    time.sleep(seconds)
    note(f"end-{number}")
    return number


@app.task(concurrency=1)
def one_at_a_time(number: int, seconds: float) -> int:
    note("one_at_a_time")
    time.sleep(seconds)
    return number


@app.task(concurrency=1, retries=0)
def one_and_deadly(kills: bool) -> bool:
    if kills:
        os._exit(1)
    return kills


if "only_new_workers" in os.environ.get("TASKQ_TEST_FLAGS", ""):

    @app.task
    def new_in_this_version() -> str:
        return "new"
