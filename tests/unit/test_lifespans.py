"""Lifespans: what can be one, what a job gets of it, and in which order they are entered and closed."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import pytest

from taskq import TaskQ
from taskq.errors import ConfigError, NotMade
from taskq.lifespan import Shared
from taskq_workers.lifespans import LifespanFailed, Lifespans

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []

    def error(self, event: str, **fields: Any) -> None:
        self.errors.append({"event": event, **fields})


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def process(log: Log) -> Iterator[Lifespans]:
    process = Lifespans(log, "w1")
    yield process
    process.close()
    process.loop.start()
    process.loop.close()
    assert process.loop._thread is not None
    process.loop._thread.join(10)
    process.loop.loop.close()


@pytest.fixture
def app() -> TaskQ:
    return TaskQ()


# What can be one


class Connection:
    def __init__(self) -> None:
        self.open = False

    def __enter__(self) -> Connection:
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False


class Both(Connection):
    """As some clients are, of which one way is an error."""

    def __enter__(self) -> Connection:
        raise TypeError("use async with")

    async def __aenter__(self) -> Connection:
        self.open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open = False


def generator() -> Iterator[Connection]:
    with Connection() as connection:
        yield connection


async def async_generator() -> AsyncIterator[Connection]:
    with Connection() as connection:
        yield connection


WAYS: list[Callable[[], Any]] = [
    generator,
    async_generator,
    contextmanager(generator),
    asynccontextmanager(async_generator),
    Connection,
    Both,
    lambda: closing(Connection()),
]


@pytest.mark.parametrize("way", WAYS[:6], ids=lambda way: type(way).__name__)
def test_it_is_made_when_the_process_enters_and_closed_when_it_closes(
    app: TaskQ, process: Lifespans, way: Callable[[], Any]
) -> None:
    shared: Shared[Connection] = app.lifespan(way)
    process.enter(app.lifespans)
    connection = shared()
    assert shared() is connection
    assert connection.open
    process.close()
    assert not connection.open
    with pytest.raises(NotMade):
        shared()


@pytest.mark.parametrize(
    ("func", "text"),
    [
        (7, "cannot make a lifespan of 7: it is not a function"),
        (functools.partial(generator), "cannot make a lifespan of functools.partial("),
        (lambda path: None, "missing a required argument: 'path'\n  hint: it is called without arguments"),
        (asyncio.sleep, "it returns once\n  hint: yield what is to be shared"),
    ],
)
def test_what_cannot_be_one_is_an_error(app: TaskQ, func: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        app.lifespan(func)
    assert text in str(caught.value)
    assert app.lifespans == []


def test_outside_of_a_worker_it_is_not_made_and_says_what_to_do(app: TaskQ) -> None:
    shared = app.lifespan(generator)
    with pytest.raises(
        NotMade, match=r"cannot give 'tests.unit.test_lifespans.generator': it was not made in this proc"
    ):
        shared()
    shared.use(Connection())
    assert not shared().open


def test_a_module_that_is_loaded_again_has_its_lifespan_once(app: TaskQ) -> None:
    for _ in range(2):

        def f() -> Iterator[int]:
            yield 1

        again = app.lifespan(f)
    other = app.lifespan(generator)
    assert app.lifespans == [again, other]


# Entering and closing


def noted(notes: list[str], name: str, fails: str = "") -> Callable[[], Iterator[str]]:
    def make() -> Iterator[str]:
        notes.append(f"enter {name}")
        if fails == "enter":
            raise OSError(name)
        yield name
        notes.append(f"close {name}")
        if fails == "close":
            raise OSError(name)

    make.__qualname__ = name
    return make


def anoted(notes: list[str], name: str) -> Callable[[], AsyncIterator[str]]:
    async def make() -> AsyncIterator[str]:
        notes.append(f"enter {name}")
        yield name
        notes.append(f"close {name}")

    make.__qualname__ = name
    return make


def test_they_are_entered_in_their_order_and_closed_in_reverse(app: TaskQ, process: Lifespans) -> None:
    notes: list[str] = []
    app.lifespan(noted(notes, "a"))
    app.lifespan(anoted(notes, "b"))
    app.lifespan(noted(notes, "c"))
    process.enter(app.lifespans)
    process.close()
    assert notes == ["enter a", "enter b", "enter c", "close c", "close b", "close a"]


def test_one_that_cannot_be_entered_closes_those_before_it_and_is_told(app: TaskQ, process: Lifespans) -> None:
    notes: list[str] = []
    app.lifespan(anoted(notes, "a"))
    app.lifespan(noted(notes, "b", "enter"))
    app.lifespan(noted(notes, "c"))
    with pytest.raises(LifespanFailed) as caught:
        process.enter(app.lifespans)
    assert notes == ["enter a", "enter b", "close a"]
    text = str(caught.value)
    assert text.startswith("cannot enter lifespan 'tests.unit.test_lifespans.b': it raised\n\nTraceback (most recent")
    assert text.endswith("OSError: b")


def test_one_that_cannot_be_closed_is_told_and_the_others_close(app: TaskQ, process: Lifespans, log: Log) -> None:
    notes: list[str] = []
    app.lifespan(noted(notes, "a"))
    app.lifespan(noted(notes, "b", "close"))
    process.enter(app.lifespans)
    process.close()
    assert notes[-2:] == ["close b", "close a"]
    (error,) = log.errors
    assert error["event"] == "cannot close"
    assert error["error"].startswith("lifespan 'tests.unit.test_lifespans.b' raised\n\nTraceback")


@pytest.mark.parametrize(
    ("func", "text"),
    [
        (lambda: 7, "cannot enter lifespan 'tests.unit.test_lifespans.<lambda>': it returned 7\n  hint: yield what"),
        (lambda: iter([1]), "it returned <list_iterator"),
        (lambda: (_ for _ in ()), "it returned <generator"),
    ],
)
def test_a_function_that_returns_no_context_manager_is_told(
    app: TaskQ, process: Lifespans, func: Any, text: str
) -> None:
    app.lifespan(func)
    with pytest.raises(LifespanFailed) as caught:
        process.enter(app.lifespans)
    assert text in str(caught.value)


def nothing() -> Iterator[int]:
    yield from ()


async def anothing() -> AsyncIterator[int]:
    for number in range(0):
        yield number


@pytest.mark.parametrize("func", [nothing, anothing])
def test_a_generator_that_yields_nothing_is_told(app: TaskQ, process: Lifespans, func: Any) -> None:
    app.lifespan(func)
    with pytest.raises(LifespanFailed, match=r"generator didn't yield"):
        process.enter(app.lifespans)


def twice() -> Iterator[int]:
    yield 1
    yield 2


async def atwice() -> AsyncIterator[int]:
    yield 1
    yield 2


@pytest.mark.parametrize("func", [twice, atwice])
def test_a_generator_that_yields_twice_is_told_at_the_end(app: TaskQ, process: Lifespans, log: Log, func: Any) -> None:
    shared = app.lifespan(func)
    process.enter(app.lifespans)
    assert shared() == 1
    process.close()
    assert "generator didn't stop" in log.errors[0]["error"]


def test_none_may_be_what_is_shared(app: TaskQ, process: Lifespans) -> None:
    shared = app.lifespan(nullcontext_of_none)
    process.enter(app.lifespans)
    assert shared() is None


def nullcontext_of_none() -> AbstractContextManager[None]:
    return nullcontext()


def test_a_sync_one_is_entered_and_closed_in_this_thread_and_an_async_one_on_the_loop_by_one_task(
    app: TaskQ, process: Lifespans
) -> None:
    threads: list[threading.Thread] = []
    tasks: list[Any] = []

    def sync() -> Iterator[None]:
        threads.append(threading.current_thread())
        yield
        threads.append(threading.current_thread())

    async def on_the_loop() -> AsyncIterator[None]:
        for _ in range(2):
            tasks.append((asyncio.current_task(), asyncio.get_running_loop(), tenant.get()))
            if len(tasks) == 1:
                yield

    app.lifespan(sync)
    app.lifespan(on_the_loop)
    token = tenant.set("whoever enters")
    try:
        process.enter(app.lifespans)
        process.close()
    finally:
        tenant.reset(token)
    assert threads == [threading.current_thread()] * 2
    assert tasks[0] == tasks[1]
    assert tasks[0][1:] == (process.loop.loop, "nobody")


def test_without_lifespans_no_loop_is_made_for_them(log: Log) -> None:
    process = Lifespans(log, "w1")
    process.enter([])
    process.close()
    assert process._loop is None
