"""Calls that a type checker must accept, and the types that it must find."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Executor, Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any, assert_type

from taskq import AsyncTask, Backoff, CurrentJob, Job, Retry, Task, TaskFailed, TaskQ, TaskQExecutor, current_job, task

app = TaskQ("redis://localhost", namespace="shop")


@app.task
def add(x: int, y: int = 0) -> int:
    return x + y


@app.task(name="mail", queue="mail", retries=5, retry_on=(OSError,), no_retry_on=KeyError, timeout="30s", result_ttl=0)
def send_mail(to: str, *, text: str | None = None) -> None: ...


@app.task(pool="cpu", backoff=Backoff(base=1.0, cap=60.0), timeout=timedelta(minutes=2))
def primes(limit: int) -> list[int]:
    return []


@app.task
async def fetch(url: str) -> bytes:
    return b""


@app.task(pool="async", backoff="1s")
async def crawl(*urls: str, depth: int = 1) -> dict[str, int]:
    return {}


@task
def bare() -> str:
    return ""


@task(retries=0)
async def bare_async() -> str:
    return ""


assert_type(app.queue("mail", order="lifo", max_length=1000), str)
assert_type(bare.enqueue(), Job[str])
assert_type(bare_async.enqueue(), Job[str])


def functions() -> None:
    assert_type(add(1, 2), int)
    assert_type(add.enqueue(1), Job[int])
    assert_type(add.delay(1, y=2), Job[int])
    assert_type(add.enqueue(1).result(), int)
    assert_type(add.enqueue(1).result(timeout="10s"), int)
    assert_type(send_mail.enqueue("me", text="hello"), Job[None])
    assert_type(primes.enqueue(10).result(timedelta(seconds=1)), list[int])
    assert_type(add.enqueue_many([(1, 2), (3,)]), list[Job[int]])
    assert_type([job.result() for job in add.enqueue_many([(1, 2)])], list[int])


async def coroutines() -> None:
    coroutine: Coroutine[Any, Any, bytes] = fetch("http://h")
    assert_type(await coroutine, bytes)
    assert_type(await fetch("http://h"), bytes)
    assert_type(fetch.enqueue("http://h"), Job[bytes])
    assert_type(await fetch.aenqueue("http://h"), Job[bytes])
    assert_type(await (await fetch.aenqueue("http://h")).aresult(1.5), bytes)
    assert_type(await add.aenqueue(1, 2), Job[int])
    assert_type(await crawl.enqueue("a", "b", depth=3).aresult(), dict[str, int])


async def options() -> None:
    later = add.options(delay=10, priority=9, queue="mail", job_id="invoice-7")
    assert_type(later(1), int)
    assert_type(later.enqueue(1, 2), Job[int])
    assert_type(add.options(eta=datetime.now(UTC)).options(delay="10m").enqueue(1).result(), int)
    assert_type(await fetch.options(delay=1)("http://h"), bytes)
    assert_type(fetch.options(delay=1).enqueue("http://h"), Job[bytes])


def handles() -> None:
    job = add.enqueue(1)
    assert_type(job.id, str)
    assert_type(job.cancel(), bool)
    if job.status() == "done":
        return
    anything: Job[Any] = app.job(job.id)
    number: int = anything.result()
    jobs: set[Job[int]] = {job}
    print(number, jobs)


async def many_results() -> None:
    jobs = add.enqueue_many([(1,), (2,)])
    assert_type(app.gather(jobs, "10s"), list[int])
    assert_type(app.gather(jobs, return_exceptions=True), list[int | Exception])
    assert_type(await app.agather(fetch.enqueue_many([("http://h",)]), 10), list[bytes])
    assert_type(await app.agather(iter(jobs), return_exceptions=True), list[int | Exception])


def inside() -> None:
    job = current_job()
    assert_type(job, CurrentJob | None)
    if job is not None and job.attempt < job.retries:
        raise Retry("busy", delay=timedelta(seconds=3))


def takes_tasks(plain: Task[[int, int], int], coroutine: AsyncTask[[str], bytes]) -> None:
    assert_type(plain.enqueue(1, 2), Job[int])
    assert_type(coroutine.enqueue("http://h"), Job[bytes])


def errors() -> str:
    app.register_exceptions(ValueError, KeyError)
    try:
        return bare.enqueue().result()
    except TaskFailed as failed:
        return f"{failed.type}: {failed.text} {failed.traceback}"


@app.register_type
@dataclass(frozen=True)
class Point:
    x: int


@app.register_type(name="colour")
class Colour(Enum):
    RED = 1


def types(colour: Colour) -> None:
    assert_type(Point(1), Point)
    assert_type(colour, Colour)
    assert_type(app.register_type(Fraction, encode=str, decode=Fraction), type[Fraction])
    assert_type(app.register_type(Point, name="p"), type[Point])


@app.lifespan
def database() -> Iterator[Path]:
    yield Path()


@app.lifespan
async def session() -> AsyncIterator[Fraction]:
    yield Fraction()


@app.lifespan
@contextmanager
def model() -> Iterator[list[int]]:
    yield [1]


opened = app.lifespan(lambda: closing(Thing()))


class Thing:
    def close(self) -> None: ...


def shared() -> None:
    assert_type(database(), Path)
    assert_type(session(), Fraction)
    assert_type(model(), list[int])
    assert_type(opened(), Thing)
    database.use(Path())


def plain(x: int, *, y: str = "") -> float:
    return 0.5


def executors() -> None:
    pools: list[Executor] = [app.executor(), TaskQ(executor_modules=["shop.jobs"]).executor(4, pool="cpu")]
    with app.executor(max_workers=2) as executor:
        assert_type(executor, TaskQExecutor)
        assert_type(executor.submit(add, 1, y=2), Future[int])
        assert_type(executor.submit(fetch, "http://h"), Future[bytes])
        assert_type(executor.submit(add.options(priority=9), 1), Future[int])
        assert_type(executor.submit(plain, 1, y="x"), Future[float])
        assert_type(list(executor.map(add, [1, 2], [3, 4], timeout=2.5, chunksize=10)), list[int])
        assert_type(list(executor.map(fetch, ["http://h"])), list[bytes])
        executor.shutdown(wait=False, cancel_futures=True)
    print(pools)
