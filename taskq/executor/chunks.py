"""Chunks: one job that makes many calls of a task, one after another, and returns the list of what they return.

    task "shop.thumb"  ->  "shop.thumb[]", whose one argument is a list of tuples of arguments

A chunk has the queue, lane, retries and result_ttl of its task, and its timeout for each call. Nothing is registered
for it: who meets the name of one looks up the task that it begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from taskq.codec import Envelope
from taskq.declaration import Declaration
from taskq.tasks import Task

T = TypeVar("T")
Rows = Sequence[tuple[Any, ...]]
SUFFIX = "[]"


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Stands for a function where a list of tuples of arguments is submitted."""

    function: Callable[..., Any]


def cut(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` of `rows`; the last may be shorter."""
    rows = iter(rows)
    while part := list(islice(rows, size)):
        yield part


class ChunkTask(Task[[Rows], list[Any]]):
    """Enqueues chunks of `task`. Raises what an enqueue of each call would raise."""

    def __init__(self, task: Task[..., Any]) -> None:
        super().__init__(task._app, _chunked(task.declaration, 1), task._options)
        self._task = task

    def _body(self, args: tuple[Any, ...], kwargs: dict[str, Any], now: float) -> bytes:
        for row in args[0]:
            if len(row) not in self._task._arities:
                self._task._check(row, {})
        return super()._body(args, kwargs, now)


def chunk_declaration(tasks: Mapping[str, Task[..., Any]], envelope: Envelope) -> Declaration | None:
    """What to run where `envelope` is a chunk of one of `tasks`; None where it is not."""
    task = tasks.get(envelope.task.removesuffix(SUFFIX)) if envelope.task.endswith(SUFFIX) else None
    if task is None:
        return None
    rows = envelope.args[0] if envelope.args else None
    return _chunked(task.declaration, len(rows) if isinstance(rows, list) else 1)


def _chunked(declaration: Declaration, count: int) -> Declaration:
    timeout = declaration.timeout
    return replace(
        declaration,
        name=declaration.name + SUFFIX,
        func=partial(_call_async if declaration.pool == "async" else _call, declaration.func),
        timeout=None if timeout is None else timeout * max(1, count),
    )


def _call(func: Callable[..., Any], calls: Rows, /) -> list[Any]:
    return [func(*row) for row in calls]


async def _call_async(func: Callable[..., Any], calls: Rows, /) -> list[Any]:
    return [await func(*row) for row in calls]
