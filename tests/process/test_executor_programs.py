"""Programs of the concurrency guide on an executor of taskq: only the executor is another one, and there is an app.

Each is run as a script beside a worker that has the same file as its app. And what else real workers have to show.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from taskq import exit_codes
from taskq.broker.embedded import Server
from taskq.errors import TimeLimitExceeded
from tests.process import calls
from tests.support.servers import server_or_skip
from tests.support.workers import Worker, python_path, worker

WAIT = 20.0
HEAD = "from taskq import TaskQ\n\napp = TaskQ(executor_modules=[__name__])\n"
DOWNLOAD = """
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

def download(url):
    with urlopen(url, timeout=10) as answer:
        return len(answer.read())

if __name__ == "__main__":
    urls = [f"{sys.argv[1]}/{n}" for n in range(20)]
    with ThreadPoolExecutor(max_workers=5) as executor:
        for url, size in zip(urls, executor.map(download, urls)):
            print(url.rpartition("/")[2], size)
"""
AS_COMPLETED = """
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from urllib.error import HTTPError
from urllib.request import urlopen

def load(url, timeout):
    with urlopen(url, timeout=timeout) as answer:
        return answer.read()

if __name__ == "__main__":
    lines = []
    with ThreadPoolExecutor(max_workers=5) as executor:
        futures = {executor.submit(load, f"{sys.argv[1]}/{page}", 60): page for page in ["a", "bb", "missing"]}
        for future in as_completed(futures):
            page = futures[future]
            try:
                data = future.result()
            except Exception as error:
                lines.append(f"{page} raised {str(error)[-9:]}")
            else:
                lines.append(f"{page} has {len(data)} bytes")
    print(*sorted(lines), sep="\\n")
"""
PRIMES = """
import math
from concurrent.futures import ProcessPoolExecutor

PRIMES = [112272535095293, 112582705942171, 115280095190773, 115797848077099, 1099726899285419]

def is_prime(n):
    if n < 2:
        return False
    if n == 2:
        return True
    if n % 2 == 0:
        return False
    return all(n % i for i in range(3, math.isqrt(n) // 100 + 1, 2))

def main():
    with ProcessPoolExecutor() as executor:
        for number, prime in zip(PRIMES, executor.map(is_prime, PRIMES)):
            print(f"{number} is prime: {prime}")

if __name__ == "__main__":
    main()
"""
COUNT = """
from concurrent.futures import ProcessPoolExecutor

def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))

def main():
    with ProcessPoolExecutor() as executor:
        print(sum(executor.map(is_prime, range(20_000), chunksize=1000)))

if __name__ == "__main__":
    main()
"""
PROGRAMS = {"download": DOWNLOAD, "as_completed": AS_COMPLETED, "primes": PRIMES, "count": COUNT}


class Pages(BaseHTTPRequestHandler):
    """Every page has its name as its text, but for one."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path[1:].encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def on_taskq(program: str) -> str:
    """The same program with another executor."""
    threads, processes = ("ThreadPoolExecutor(", "app.executor("), ("ProcessPoolExecutor()", "app.executor(pool='cpu')")
    return HEAD + program.replace(*threads).replace(*processes)


def run(folder: Path, *arguments: str, **environ: str) -> str:
    """What a Python program prints; `arguments` are those of Python."""
    environment = {**os.environ, "PYTHONPATH": python_path(), "no_proxy": "127.0.0.1", **environ}
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_guide_does_the_same_on_taskq(name: str, site: str, redis_url: str, tmp_path: Path) -> None:
    plain, script = tmp_path / "plain.py", tmp_path / "program.py"
    plain.write_text(PROGRAMS[name])
    script.write_text(on_taskq(PROGRAMS[name]))
    with worker(redis_url, "--procs", "2", app=str(script), no_proxy="127.0.0.1"):
        output = run(tmp_path, script.name, site, TASKQ_URL=redis_url)
    assert output == run(tmp_path, plain.name, site)
    assert output


# What runs as __main__

SQUARES = """
from taskq import TaskQ

app = TaskQ(executor_modules=["__main__"])

def square(x):
    return x * x

def squares(n):
    with app.executor() as executor:
        return list(executor.map(square, range(n)))

if __name__ == "__main__":
    with app.executor() as executor:
        print(executor.submit(squares, 4).result(20))
"""


@pytest.mark.parametrize("arguments", [["program.py"], ["-m", "program"]], ids=["script", "module"])
def test_functions_of_main_are_those_of_the_file_for_the_worker_and_in_its_jobs(
    arguments: list[str], redis_url: str, tmp_path: Path
) -> None:
    script = tmp_path / "program.py"
    script.write_text(SQUARES)
    with worker(redis_url, "--procs", "1", app=str(script)):
        assert run(tmp_path, *arguments, TASKQ_URL=redis_url) == "[0, 1, 4, 9]\n"


def test_a_function_that_was_typed_in_cannot_be_found_by_a_worker(tmp_path: Path) -> None:
    code = "print(app.executor().submit(square, 2).exception())"
    output = run(tmp_path, "-c", SQUARES.partition("def squares")[0] + code)
    assert output == (
        "cannot submit square: it was typed in, or piped in: no worker can import it\n  hint: write it into a file\n"
    )


def test_a_worker_does_not_start_without_the_executor_modules(redis_url: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text("from taskq import TaskQ\napp = TaskQ(executor_modules=['nowhere.to.be.found'])\n")
    with Worker(redis_url, app=str(script)) as refused:
        assert refused.end() == exit_codes.BAD_APP
        assert "cannot import 'nowhere.to.be.found', one of the executor_modules of the app" in refused.log()


# What real workers have to show


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    """A server with a worker, that the app of `calls` talks to."""
    with server_or_skip() as server, worker(server.url, "--procs", "2", app="tests.process.calls:app"):
        calls.app.url = server.url
        yield server
        calls.app.close()


THOUSANDS = """
import os, sys, threading
from concurrent.futures import wait
from tests.process.calls import add, app, hold

def sockets():
    return sum("socket:" in os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))

if __name__ == "__main__":
    with app.executor() as executor:
        first = executor.submit(hold, sys.argv[1])
        with open(sys.argv[1], "w"):
            futures = [executor.submit(add, n) for n in range(5000)]
            done, left = wait(futures, 50)
            print(len(done), len(left))
            print(*sorted(thread.name for thread in threading.enumerate()))
            print(sockets())
    print(sum(future.result() for future in futures) == sum(range(5000)))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts sockets in /proc")
def test_five_thousand_futures_are_sent_by_one_thread_and_waited_for_by_one_each_with_a_connection(
    served: Server, tmp_path: Path
) -> None:
    script, fifo = tmp_path / "thousands.py", tmp_path / "fifo"
    script.write_text(THOUSANDS)
    os.mkfifo(fifo)
    output = run(tmp_path, script.name, str(fifo), TASKQ_URL=served.url)
    assert output.splitlines() == ["5000 0", "MainThread taskq-executor taskq-results", "2", "True"]


@pytest.mark.parametrize("chunksize", [1, 2])
def test_a_task_keeps_its_retries_in_chunks_too(served: Server, tmp_path: Path, chunksize: int) -> None:
    with calls.app.executor() as executor:
        path = tmp_path / "tries"
        assert next(executor.map(calls.second_time_lucky, [str(path)], timeout=WAIT, chunksize=chunksize)) == 2


def test_a_chunk_may_take_its_task_s_timeout_for_each_call(served: Server) -> None:
    with calls.app.executor() as executor:
        assert list(executor.map(calls.wait_for, [0.3] * 3, timeout=WAIT, chunksize=3)) == [0.3] * 3
        with pytest.raises(TimeLimitExceeded):
            list(executor.map(calls.wait_for, [1.5, 0.0], timeout=WAIT, chunksize=2))


def test_coroutines_of_a_chunk_are_awaited_one_after_another(served: Server) -> None:
    with calls.app.executor() as executor:
        assert list(executor.map(calls.double, range(5), timeout=WAIT, chunksize=3)) == [0, 2, 4, 6, 8]
