"""Tasks of six natures, and how a worker is fed with them until it knows what they are.

By hand, for as long and beside as much as one likes, with what `taskq advise` says of it at the end:

    python -m tests.process.natures REDIS_URL [ROUNDS] [OTHER_PROCESSES]
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from threading import Thread
from typing import Any
from urllib.request import urlopen

from taskq import TaskQ
from taskq.broker.broker import Broker
from tests.support.console import Console, Said
from tests.support.workers import worker

app = TaskQ()
np: Any = import_module("numpy") if find_spec("numpy") else None
SOON, LATENCY = 0.08, 0.08
DATA = bytes(range(256)) * 4096
EXPECTED = {
    "sleeps": "waits",
    "fetches": "waits",
    "counts": "python",
    "hashes": "c",
    "packs": "c",
    "multiplies": "c",
    "both": "mixed",
}
ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Threads that a library starts are not seen."""
APP = "tests.process.natures:app"


def count(seconds: float) -> int:
    """Pure Python for so many seconds of CPU."""
    until, n = time.thread_time() + seconds, 0
    while time.thread_time() < until:
        n += sum(range(100))
    return n


@app.task(name="sleeps")
def sleeps() -> None:
    time.sleep(SOON)


@app.task(name="fetches")
def fetches(url: str) -> int:
    with urlopen(url) as answer:  # a server of the test's own
        return len(answer.read())


@app.task(name="counts")
def counts() -> None:
    count(SOON)


@app.task(name="hashes")
def hashes() -> None:
    until = time.thread_time() + SOON
    while time.thread_time() < until:
        hashlib.sha256(DATA)


@app.task(name="packs")
def packs() -> None:
    until = time.thread_time() + SOON
    while time.thread_time() < until:
        zlib.compress(DATA)


@app.task(name="both")
def both() -> None:
    count(SOON / 2)
    time.sleep(SOON / 2)


@app.task(name="multiplies")
def multiplies() -> None:
    """Only sent where there is NumPy."""
    matrix, until = np.ones((600, 600)), time.thread_time() + SOON
    while time.thread_time() < until:
        matrix @ matrix


class Slow(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(LATENCY)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * 1000)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def slow_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def feed(redis: str, rounds: int, *, load: bool) -> Said:
    """Have a worker run jobs of each nature, all at once or one at a time; the answer is its advice as JSON.

    Where the machine is so busy that the worker saw too little of them, another one goes on where it ended.
    """
    broker = Broker(redis)
    app.use(broker)
    for _ in range(4):
        _work(redis, rounds, load)
        said = Console(broker)("advise", "--json")
        if all(task["is"] != "unknown" for task in said.data["tasks"]):
            break
    app.close()
    return said


def _work(redis: str, rounds: int, load: bool) -> None:
    flags = ("--procs", "2" if load else "1", "--threads", "8")
    with slow_server() as url, worker(redis, *flags, app=APP, **ALONE) as running:
        tasks = [sleeps, counts, hashes, packs, both, *([multiplies] if np else [])]
        enqueues = [partial(fetches.enqueue, url), *(task.enqueue for task in tasks)] * rounds
        if load:
            app.gather([enqueue() for enqueue in enqueues], 300)
        else:
            for enqueue in enqueues:
                enqueue().result(60)
        running.signal(signal.SIGTERM)
        running.end()


def main(redis: str, rounds: int = 200, others: int = 0) -> None:
    """Print what is said on an idle worker and under load, beside `others` processes that only count."""
    counting = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
    try:
        for load in (False, True):
            said = feed(redis, rounds, load=load)
            print(f"{'load' if load else 'idle'}, {rounds} rounds, {others} others:")
            for task in said.data["tasks"]:
                parts = "  ".join(f"{name} {task[name + '_seconds']:.4f}" for name in ("waiting", "python", "c"))
                right = "" if task["is"] == EXPECTED[task["task"]] else "   WRONG"
                print(f"  {task['task']:10}  {task['is']:7}  {parts}  seen {task['seen']:.0f}{right}")
    finally:
        for process in counting:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
