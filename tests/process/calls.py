"""What the tests of the executor have called: in threads, in a process pool, and by a worker."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from taskq import TaskQ

app = TaskQ(executor_modules=[__name__])


class BadImageError(Exception):
    """An exception of the module's own."""


def add(x: int, y: int = 0) -> int:
    return x + y


def echo(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    return args, kwargs


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def hold(fifo: str) -> str:
    """Run from when `fifo` is opened for writing until it is closed."""
    return Path(fifo).read_text()


def fail(kind: str, text: str) -> NoReturn:
    raise {"value": ValueError, "key": KeyError, "own": BadImageError}[kind](text)


def reciprocal(x: int) -> float:
    return 1 / x


def note(path: str, word: str) -> str:
    """Append a line to the file at `path`."""
    with Path(path).open("a") as file:
        file.write(f"{word}\n")
    return word


def slow_at_first(index: int) -> int:
    """The later, the sooner."""
    time.sleep(0.2 / (index + 1))
    return index


def unportable() -> Iterator[int]:
    return (n for n in range(3))


def is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


def big(size: int) -> str:
    return "x" * size


def modules() -> list[str]:
    return sorted(sys.modules)


@app.task(retries=1, backoff=0.01)
def second_time_lucky(path: str) -> int:
    """A registered task: it keeps its policy."""
    with Path(path).open("a") as file:
        file.write("x")
    tries = len(Path(path).read_text())
    if tries == 1:
        raise OSError("not yet")
    return tries


@app.task
async def double(x: int) -> int:
    return 2 * x


async def triple(x: int) -> int:
    return 3 * x


@app.task(pool="cpu", timeout=0.5, retries=0)
def wait_for(seconds: float) -> float:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    return seconds


@app.task(result_ttl=0)
def forget() -> None: ...
