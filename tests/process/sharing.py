"""An app whose processes share something. SHARING says how it goes wrong, if at all."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from taskq import TaskQ
from tests.support import journal

app = TaskQ()
SHARING = os.environ.get("SHARING", "")


def misbehave(moment: str) -> None:
    """Do what SHARING says, as in "enter raise", if this is the moment."""
    when, _, how = SHARING.partition(" ")
    if when == moment:
        WAYS[how]()


def fail() -> None:
    raise ConnectionError("the database is away")


def fork_and_exit() -> None:
    if os.fork() == 0:
        sys.exit(0)


def hang() -> None:
    threading.Event().wait()


def is_down() -> bool:
    return Path(os.environ["SHARING_DOWN"]).exists()


WAYS: dict[str, Callable[[], object]] = {
    "raise": fail,
    "raise while down": lambda: is_down() and fail(),
    "hang while down": lambda: is_down() and hang(),
    "exit": lambda: sys.exit(3),
    "die": lambda: os._exit(9),
    "fork": os.fork,
    "fork and exit": fork_and_exit,
    "hang": hang,
}


class Database:
    """Notes when it is opened, closed, and used while it is closed."""

    def __init__(self, name: str):
        self.name, self.thread, self.open = name, threading.get_ident(), True
        journal.write("open", name)

    def close(self) -> None:
        journal.write("close", self.name)
        self.open = False

    def use(self) -> int:
        assert self.open
        return os.getpid()


@app.lifespan
def first() -> Iterator[Database]:
    database = Database("first")
    yield database
    database.close()


@app.lifespan
async def second() -> AsyncIterator[tuple[Database, asyncio.AbstractEventLoop]]:
    assert first().open
    misbehave("aenter")
    database = Database("second")
    async with asyncio.timeout(3600):  # its scope belongs to one task
        yield database, asyncio.get_running_loop()
    misbehave("aclose")
    database.close()


@app.lifespan
def third() -> Iterator[Database]:
    misbehave("enter")
    database = Database("third")
    yield database
    misbehave("close")
    database.close()


@app.task
def use() -> int:
    assert third().thread == threading.main_thread().ident
    return first().use() + second()[0].use() - third().use()


@app.task
async def ause() -> bool:
    return second()[1] is asyncio.get_running_loop() and first().open


@app.task
def hold(path: str) -> int:
    """Run until somebody opens the FIFO at `path` for writing, with all that is shared."""
    journal.write("hold", "-")
    Path(path).read_bytes()
    return first().use()


@app.task(retries=0)
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(retries=0)
async def cancel_all() -> None:
    """Cancel every task of the loop but this one."""
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()
