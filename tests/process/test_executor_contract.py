"""What the documentation of concurrent.futures says of executors and futures, tried on the three of them alike.

Python's own two say whether a test asks for what is documented; a real worker runs the calls of the third.
"""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from taskq.broker.embedded import Server
from tests.process import calls
from tests.support.servers import server_or_skip
from tests.support.workers import python_path, worker

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
"""Python 3.12 and newer warn of a fork in a process with threads."""

PATIENCE = 20.0
KINDS = ("threads", "processes", "taskq")
Make = Callable[..., Executor]


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    """A server with a worker, that the app of `calls` talks to."""
    flags = ("--procs", "1", "--threads", "8")
    with server_or_skip() as server, worker(server.url, *flags, app="tests.process.calls:app"):
        calls.app.url = server.url
        yield server
        calls.app.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "taskq":
        request.getfixturevalue("served")
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Make:
    """Makes executors of one kind; its argument is max_workers."""
    return {"threads": cf.ThreadPoolExecutor, "processes": cf.ProcessPoolExecutor, "taskq": calls.app.executor}[kind]


@pytest.fixture
def executor(make: Make) -> Iterator[Executor]:
    with make(2) as executor:
        yield executor


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@contextmanager
def held(executor: Executor, fifo: Path) -> Iterator[Future[str]]:
    """A call that has started, and runs until the end of the block."""
    future = executor.submit(calls.hold, str(fifo))
    with fifo.open("w"):
        yield future


# submit and result


def test_a_future_has_the_result(executor: Executor) -> None:
    future = executor.submit(calls.add, 2, y=3)
    assert isinstance(future, Future)
    assert (future.result(PATIENCE), future.exception(), future.done(), future.running()) == (5, None, True, False)


def test_any_name_may_be_a_keyword_argument(executor: Executor) -> None:
    future = executor.submit(calls.echo, 1, self=2, fn=3, task=4, args=5, kwargs=6)
    assert future.result(PATIENCE) == ((1,), {"self": 2, "fn": 3, "task": 4, "args": 5, "kwargs": 6})


@pytest.mark.parametrize(
    ("word", "error"), [("value", ValueError), ("key", KeyError), ("own", calls.BadImageError)], ids=str
)
def test_what_the_call_raises_is_raised_by_result_and_returned_by_exception(
    executor: Executor, word: str, error: type[Exception]
) -> None:
    future = executor.submit(calls.fail, word, "bad image")
    with pytest.raises(error) as caught:
        future.result(PATIENCE)
    assert type(caught.value) is error
    assert caught.value.args == ("bad image",)
    assert future.exception() is caught.value


def test_arguments_that_do_not_fit_are_the_future_s_error(executor: Executor) -> None:
    assert isinstance(executor.submit(calls.add).exception(PATIENCE), TypeError)  # type: ignore[call-arg]
    assert isinstance(executor.submit(calls.add, 1, 2, 3).exception(PATIENCE), TypeError)  # type: ignore[call-arg]


def test_what_cannot_be_called_is_the_future_s_error(executor: Executor) -> None:
    nothing: Any = None
    assert isinstance(executor.submit(nothing).exception(PATIENCE), TypeError)


@pytest.mark.parametrize("ask", [Future.result, Future.exception], ids=["result", "exception"])
def test_who_waits_for_too_long_gets_a_timeout_error(
    executor: Executor, fifo: Path, ask: Callable[..., object]
) -> None:
    with held(executor, fifo) as future, pytest.raises(TimeoutError):
        ask(future, timeout=0.01)
    assert future.result(PATIENCE) == ""


def test_thousands_of_futures_in_one_go(executor: Executor) -> None:
    futures = [executor.submit(calls.add, n, 1) for n in range(2000)]
    assert [future.result(PATIENCE) for future in futures] == list(range(1, 2001))


# Callbacks


def test_callbacks_are_called_with_the_future_in_the_order_in_which_they_were_added(
    executor: Executor, fifo: Path
) -> None:
    seen: list[tuple[int, Future[str]]] = []
    over = threading.Event()
    with held(executor, fifo) as future:
        for n in range(3):
            future.add_done_callback(lambda done, n=n: seen.append((n, done)))  # type: ignore[misc]
        future.add_done_callback(lambda _: over.set())
    assert over.wait(PATIENCE)
    assert seen == [(0, future), (1, future), (2, future)]


def test_a_callback_that_comes_late_is_called_at_once(executor: Executor) -> None:
    future = executor.submit(calls.add, 1)
    future.result(PATIENCE)
    seen: list[Future[int]] = []
    future.add_done_callback(seen.append)
    assert seen == [future]


def test_what_a_callback_raises_is_logged_and_the_next_ones_are_called(
    executor: Executor, fifo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    over = threading.Event()
    with held(executor, fifo) as future:
        future.add_done_callback(lambda _: {}["nothing"])
        future.add_done_callback(lambda _: over.set())
    assert over.wait(PATIENCE)
    assert [(record.name, record.exc_info[0]) for record in caplog.records if record.exc_info] == [
        ("concurrent.futures", KeyError)
    ]
    assert executor.submit(calls.add, 1).result(PATIENCE) == 1


def test_callbacks_are_called_in_this_process(executor: Executor, fifo: Path) -> None:
    seen: list[int] = []
    over = threading.Event()
    with held(executor, fifo) as future:
        future.add_done_callback(lambda _: seen.append(os.getpid()))
        future.add_done_callback(lambda _: over.set())
    assert over.wait(PATIENCE)
    assert seen == [os.getpid()]


def test_a_callback_may_submit_another_call(executor: Executor) -> None:
    second: Future[Future[int]] = Future()
    first = executor.submit(calls.add, 1)
    first.add_done_callback(lambda _: second.set_result(executor.submit(calls.add, 2)))
    assert second.result(PATIENCE).result(PATIENCE) == 2


# map


def test_map_gives_the_results_in_order_whichever_comes_first(executor: Executor) -> None:
    assert list(executor.map(calls.slow_at_first, range(6), timeout=PATIENCE)) == list(range(6))


@pytest.mark.parametrize("chunksize", [1, 2, 3, 100])
def test_map_takes_arguments_from_each_iterable_until_the_shortest_ends(executor: Executor, chunksize: int) -> None:
    results = executor.map(calls.add, [1, 2, 3, 4], iter([10, 20, 30]), timeout=PATIENCE, chunksize=chunksize)
    assert list(results) == [11, 22, 33]


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_of_nothing_is_nothing(executor: Executor, chunksize: int) -> None:
    assert list(executor.map(calls.add, [], chunksize=chunksize)) == []


def test_map_collects_its_arguments_at_once(executor: Executor) -> None:
    arguments = iter(range(5))
    results = executor.map(calls.add, arguments)
    assert list(arguments) == []
    assert list(results) == list(range(5))


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_raises_what_a_call_raises_when_it_would_be_its_turn(executor: Executor, chunksize: int) -> None:
    results = executor.map(calls.reciprocal, [1, 2, 0, 4], timeout=PATIENCE, chunksize=chunksize)
    assert [next(results), next(results)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_map_raises_a_timeout_error_for_what_is_not_there_in_time(executor: Executor, fifo: Path) -> None:
    with held(executor, fifo):
        results = executor.map(calls.nap, [0, 1], timeout=0.5)
        assert next(results) == 0
        with pytest.raises(TimeoutError):
            next(results)


def test_map_knows_buffersize_where_python_does(executor: Executor) -> None:
    if sys.version_info >= (3, 14):
        taken: list[int] = []
        arguments = (taken.append(n) or n for n in range(10))  # type: ignore[func-returns-value]
        results = executor.map(calls.add, arguments, buffersize=2)
        assert (next(results), len(taken)) == (0, 3)
        assert list(results) == list(range(1, 10))
    else:
        with pytest.raises(TypeError, match="unexpected keyword argument 'buffersize'"):
            executor.map(calls.add, [1], buffersize=2)  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", ["processes", "taskq"], indirect=True)
def test_chunks_have_at_least_one_call(executor: Executor) -> None:
    with pytest.raises(ValueError, match="chunksize must be >= 1"):
        executor.map(calls.add, [1], chunksize=0)


# as_completed and wait


def test_as_completed_gives_the_futures_of_a_dict_as_they_are_done(executor: Executor, fifo: Path) -> None:
    with held(executor, fifo) as last:
        names = {last: "last", **{executor.submit(calls.add, n): str(n) for n in range(5)}}
        done = cf.as_completed(names, timeout=PATIENCE)
        early = [names[next(done)] for _ in range(5)]
        assert sorted(early) == ["0", "1", "2", "3", "4"]
    assert [names[future] for future in done] == ["last"]


def test_as_completed_raises_a_timeout_error_when_it_takes_too_long(executor: Executor, fifo: Path) -> None:
    with held(executor, fifo) as last:
        done = cf.as_completed([last, executor.submit(calls.add, 1)], timeout=0.5)
        assert next(done).result() == 1
        with pytest.raises(TimeoutError):
            next(done)


def test_wait_returns_when_all_are_done(executor: Executor) -> None:
    futures = [executor.submit(calls.add, n) for n in range(5)]
    done, left = cf.wait(futures, PATIENCE, return_when=cf.ALL_COMPLETED)
    assert (done, left) == (set(futures), set())


def test_wait_returns_when_the_first_is_done(executor: Executor, fifo: Path) -> None:
    with held(executor, fifo) as last:
        first = executor.submit(calls.add, 1)
        done, left = cf.wait([first, last], PATIENCE, return_when=cf.FIRST_COMPLETED)
        assert (done, left) == ({first}, {last})


def test_wait_returns_when_the_first_has_raised(executor: Executor, fifo: Path) -> None:
    with held(executor, fifo) as last:
        good = executor.submit(calls.add, 1)
        good.result(PATIENCE)
        bad = executor.submit(calls.fail, "value", "")
        done, left = cf.wait([good, bad, last], PATIENCE, return_when=cf.FIRST_EXCEPTION)
        assert (done, left) == ({good, bad}, {last})


def test_wait_gives_up_after_its_timeout(executor: Executor, fifo: Path) -> None:
    with held(executor, fifo) as last:
        assert cf.wait([last], 0.01) == (set(), {last})


# cancel


@pytest.fixture
def busy(make: Make, fifo: Path) -> Iterator[tuple[Executor, Future[str], list[Future[int]]]]:
    """An executor of one worker that is held up, its future, and those of calls that wait behind."""
    with make(1) as executor, held(executor, fifo) as first:
        yield executor, first, [executor.submit(calls.add, n) for n in range(5)]


Busy = tuple[Executor, "Future[str]", "list[Future[int]]"]


def test_a_call_that_has_not_started_can_be_cancelled(busy: Busy) -> None:
    future = busy[2][-1]
    assert not future.running()
    assert future.cancel()
    assert (future.cancelled(), future.done(), future.running()) == (True, True, False)
    for ask in (future.result, future.exception):
        with pytest.raises(cf.CancelledError):
            ask(PATIENCE)
    assert future.cancel()


def test_the_callbacks_of_a_future_that_is_cancelled_are_called(busy: Busy) -> None:
    future, seen = busy[2][-1], []
    future.add_done_callback(seen.append)
    assert future.cancel()
    assert future.cancel()
    assert seen == [future]


def test_a_call_that_is_running_cannot_be_cancelled(busy: Busy) -> None:
    running = busy[1]
    assert running.running()
    assert not running.cancel()
    assert (running.cancelled(), running.done()) == (False, False)


def test_a_call_that_is_done_cannot_be_cancelled(executor: Executor) -> None:
    future = executor.submit(calls.add, 1)
    future.result(PATIENCE)
    assert not future.cancel()
    assert (future.cancelled(), future.result()) == (False, 1)


def test_a_cancelled_call_does_not_run_and_the_others_do(make: Make, fifo: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    with make(1) as executor, held(executor, fifo):
        futures = [executor.submit(calls.note, str(path), str(n)) for n in range(6)]
        assert futures[4].cancel()
    assert path.read_text().split() == ["0", "1", "2", "3", "5"]


def test_who_waits_for_futures_is_told_of_those_that_are_cancelled(make: Make, fifo: Path) -> None:
    with make(1) as executor:
        with held(executor, fifo) as first:
            futures: list[Future[Any]] = [first, *(executor.submit(calls.add, n) for n in range(5))]
            futures[-1].cancel()
        done, left = cf.wait(futures, PATIENCE)
        assert (len(done), len(left)) == (6, 0)
        assert {future.cancelled() for future in cf.as_completed(futures, PATIENCE)} == {True, False}


# shutdown


def test_leaving_the_block_waits_for_all(make: Make) -> None:
    with make(2) as executor:
        futures = [executor.submit(calls.nap, 0.05) for _ in range(5)]
    assert all(future.done() for future in futures)


def test_after_shutdown_nothing_can_be_submitted(executor: Executor) -> None:
    executor.submit(calls.add, 1).result(PATIENCE)
    executor.shutdown()
    with pytest.raises(RuntimeError, match=r"^cannot schedule new futures after shutdown$"):
        executor.submit(calls.add, 1)
    with pytest.raises(RuntimeError):
        executor.submit(lambda: 1)
    with pytest.raises(RuntimeError):
        executor.map(calls.add, [1])
    executor.shutdown()


def test_shutdown_without_waiting_returns_at_once_and_what_is_pending_is_done(executor: Executor, fifo: Path) -> None:
    with held(executor, fifo) as first:
        futures = [executor.submit(calls.add, n) for n in range(5)]
        executor.shutdown(wait=False)
        assert not first.done()
    assert [future.result(PATIENCE) for future in futures] == list(range(5))


def test_shutdown_can_cancel_what_has_not_started(make: Make, fifo: Path) -> None:
    executor = make(1)
    with held(executor, fifo) as first:
        futures = [executor.submit(calls.add, n) for n in range(20)]
        stopping = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True})
        told = threading.Event()
        futures[-1].add_done_callback(lambda _: told.set())
        stopping.start()
        assert told.wait(PATIENCE)
    stopping.join(PATIENCE)
    assert (first.result(), first.cancelled()) == ("", False)
    assert sum(future.cancelled() for future in futures) >= 18
    assert all(future.done() for future in futures)


def test_shutdown_waits_for_what_it_does_not_cancel(make: Make, tmp_path: Path) -> None:
    executor = make(1)
    futures = [executor.submit(calls.nap, 0.01) for _ in range(3)]
    executor.shutdown()
    assert [future.result(0) for future in futures] == [0.01] * 3


# asyncio


def test_an_event_loop_runs_calls_in_it(executor: Executor) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, calls.add, n, 1) for n in range(100)))

    assert asyncio.run(main()) == list(range(1, 101))


def test_an_event_loop_raises_what_the_call_raises(executor: Executor) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(executor, calls.fail, "value", "bad image")

    with pytest.raises(ValueError, match="bad image"):
        asyncio.run(main())


def test_an_event_loop_cancels_what_has_not_started(busy: Busy) -> None:
    async def main() -> None:
        waiting = asyncio.wrap_future(busy[2][-1])
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert busy[2][-1].cancelled()


# What cannot travel, and what cannot be asked for


@pytest.mark.parametrize("kind", ["processes", "taskq"], indirect=True)
@pytest.mark.parametrize("what", ["lambda", "closure", "generator", "lock", "file"])
def test_what_cannot_travel_is_the_future_s_error(executor: Executor, what: str) -> None:
    def closure() -> int:
        return len(what)

    with Path(__file__).open() as file:
        call: tuple[Any, ...] = {
            "lambda": (lambda: 1,),
            "closure": (closure,),
            "generator": (calls.add, calls.unportable()),
            "lock": (calls.add, threading.Lock()),
            "file": (calls.add, file),
        }[what]
        assert executor.submit(*call).exception(PATIENCE) is not None


@pytest.mark.parametrize("kind", ["processes", "taskq"], indirect=True)
def test_a_result_that_cannot_travel_is_the_future_s_error(executor: Executor) -> None:
    assert executor.submit(calls.unportable).exception(PATIENCE) is not None


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_at_least_one_worker(make: Make, workers: int) -> None:
    with pytest.raises(ValueError, match="max_workers"):
        make(workers)


# The end of the program

PENDING = """
import concurrent.futures as cf, sys, os
from tests.process import calls
kinds = {"threads": cf.ThreadPoolExecutor, "processes": cf.ProcessPoolExecutor, "taskq": calls.app.executor}
if __name__ == "__main__":
    executor = kinds[sys.argv[1]](2)
    for n in range(5):
        executor.submit(calls.nap, 0.1).add_done_callback(lambda _: os.write(1, b"done\\n"))
    os.write(1, b"end of main\\n")
"""


def test_a_program_ends_when_all_that_is_pending_is_done(kind: str, served: Server, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PENDING)
    done = run(script, kind, served.url)
    assert sorted(done) == [*["done"] * 5, "end of main"]


def run(script: Path, kind: str, url: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": python_path(), "TASKQ_URL": url}
    command = [sys.executable, str(script), kind]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()
