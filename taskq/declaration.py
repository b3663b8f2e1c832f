"""What a task is (its declaration) and how one enqueue differs from it (options): checked once, then frozen."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

from taskq.broker import keys
from taskq.errors import ConfigError, shown
from taskq.lifecycle import Policy
from taskq.retry import Backoff, make_backoff
from taskq.units import Duration, seconds

Lane = Literal["io", "cpu", "async"]
Exceptions = type[BaseException] | tuple[type[BaseException], ...]
RESULT_TTL = 3600.0
RETRIES = 3
MOST_AT_ONCE = 1000
"""Jobs of a task with a limit: it is looked at as many when one of them died."""
LONGEST_NAME = 200
"""Characters of a task's name."""


class Declared(TypedDict, total=False):
    """The options of `@app.task(...)`; `declare` has their defaults, `TaskQ.task` says what they mean."""

    name: str | None
    queue: str
    pool: Lane | None
    retries: int
    retry_on: Exceptions
    no_retry_on: Exceptions
    backoff: Backoff | Duration | None
    timeout: Duration | None
    result_ttl: Duration
    concurrency: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration(Policy):
    """What `@app.task(...)` said, with what its Policy has.

    Durations in seconds; `timeout` None is no limit, `result_ttl` 0 stores no result, `concurrency` None is no limit.
    """

    name: str
    func: Callable[..., Any]
    queue: str
    pool: Lane
    retry_on: tuple[type[BaseException], ...]
    no_retry_on: tuple[type[BaseException], ...]
    timeout: float | None
    result_ttl: float
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one enqueue differs. `delay`: seconds from now. `eta`: seconds since the epoch. `queue` None: the task's.

    `queue_timeout`: seconds to wait for room in a full queue; None: without end.
    """

    delay: float | None = None
    eta: float | None = None
    queue: str | None = None
    priority: int = keys.DEFAULT_PRIORITY
    job_id: str | None = None
    queue_timeout: float | None = None


def declare(
    func: Callable[..., Any],
    *,
    name: str | None = None,
    queue: str = "default",
    pool: Lane | None = None,
    retries: int = RETRIES,
    retry_on: Exceptions = Exception,
    no_retry_on: Exceptions = (),
    backoff: Backoff | Duration | None = None,
    timeout: Duration | None = None,
    result_ttl: Duration = RESULT_TTL,
    concurrency: int | None = None,
) -> Declaration:
    """The declaration of `func` as a task. Raises ConfigError, naming the task, for what cannot be."""
    name = _checked_name(_own_name(func) if name is None else name)
    if not callable(func) or inspect.isasyncgenfunction(func) or inspect.isgeneratorfunction(func):
        raise ConfigError(
            f"cannot make a task of '{name}': it is not a function that returns\n"
            "  hint: return a list instead of yielding"
        )
    if not isinstance(retries, int) or retries < 0:
        raise ConfigError(f"retries of task '{name}' is {shown(retries)}\n  hint: 0 or more; it counts re-tries")
    limit = None if timeout is None else seconds(timeout, f"timeout of task '{name}'")
    if limit == 0:
        raise ConfigError(f"timeout of task '{name}' is 0\n  hint: None is no limit")
    return Declaration(
        name=name,
        func=func,
        queue=keys.check_name(queue, f"queue of task '{name}'"),
        pool=_lane(name, func, pool),
        retries=retries,
        retry_on=_exceptions(name, retry_on),
        no_retry_on=_exceptions(name, no_retry_on),
        backoff=make_backoff(backoff),
        timeout=limit,
        result_ttl=seconds(result_ttl, f"result_ttl of task '{name}'"),
        concurrency=_concurrency(name, concurrency),
    )


def _own_name(func: Callable[..., Any]) -> str:
    if not hasattr(func, "__qualname__"):
        raise ConfigError(f"cannot make a task of {shown(func)}: it has no name\n  hint: name=")
    return f"{module_name(func)}.{func.__qualname__}"


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ConfigError(
            f"cannot make a task of the name {shown(name)}\n"
            f"  hint: 1 to {LONGEST_NAME} characters that can be printed on one line"
        )
    return name


def _lane(name: str, func: Callable[..., Any], pool: Lane | None) -> Lane:
    coroutine = inspect.iscoroutinefunction(func)
    if pool is None:
        return "async" if coroutine else "io"
    if pool not in get_args(Lane):
        raise ConfigError(f"pool of task '{name}' is {shown(pool)}\n  hint: 'io', 'cpu' or 'async'")
    if coroutine != (pool == "async"):
        raise ConfigError(
            f"task '{name}' cannot run in pool {pool!r}: it is {'an async' if coroutine else 'a plain'} def"
        )
    return pool


def _concurrency(name: str, limit: int | None) -> int | None:
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_AT_ONCE:
        raise ConfigError(
            f"concurrency of task '{name}' is {shown(limit)}\n  hint: 1 to {MOST_AT_ONCE}, or None for no limit"
        )
    return limit


def _exceptions(name: str, types: Exceptions) -> tuple[type[BaseException], ...]:
    types = types if isinstance(types, tuple) else (types,)
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise ConfigError(
                f"retry_on or no_retry_on of task '{name}' holds {shown(kind)}, which is not an exception type"
            )
    return types


def module_name(thing: Any) -> str:
    """The module of a function or class; what runs as `__main__` goes by the name that others import it by."""
    module = thing.__module__
    return main_module() if module == "__main__" else cast("str", module)


def main_module() -> str:
    """The name by which others import what runs as `__main__`; that itself where nobody can."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return cast("str", spec.name.removesuffix(".__main__"))
    path = getattr(main, "__file__", None)
    return Path(path).stem if path else "__main__"


def home(func: Callable[..., Any]) -> tuple[str, str]:
    """Where a function is defined: a module that is loaded again defines the same ones again."""
    return module_name(func), getattr(func, "__qualname__", type(func).__qualname__)  # a partial has none


def make_options(
    before: Options,
    *,
    delay: Duration | None,
    eta: datetime | None,
    queue: str | None,
    priority: int | None,
    job_id: str | None,
    queue_timeout: Duration | None,
) -> Options:
    """`before` with what is not None changed. Raises ConfigError."""
    options = Options(
        delay=before.delay if delay is None else seconds(delay, "delay"),
        eta=before.eta if eta is None else _eta(eta),
        queue=before.queue if queue is None else keys.check_name(queue, "queue"),
        priority=before.priority if priority is None else _priority(priority),
        job_id=before.job_id if job_id is None else _job_id(job_id),
        queue_timeout=before.queue_timeout if queue_timeout is None else seconds(queue_timeout, "queue_timeout"),
    )
    if options.delay is not None and options.eta is not None:
        raise ConfigError("delay and eta cannot both be given\n  hint: delay counts from now, eta is a moment")
    return options


def _eta(eta: datetime) -> float:
    if not isinstance(eta, datetime) or eta.tzinfo is None:
        raise ConfigError(f"eta {shown(eta)} is not an aware datetime\n  hint: datetime(..., tzinfo=timezone.utc)")
    return eta.timestamp()


def _priority(priority: int) -> int:
    if not isinstance(priority, int) or not 0 <= priority <= 9:
        raise ConfigError(f"priority {shown(priority)} cannot be used\n  hint: 0 to 9, higher runs sooner, default 5")
    return priority


def _job_id(job_id: str) -> str:
    if not isinstance(job_id, str) or not 0 < len(job_id) <= 1000:
        raise ConfigError(f"job_id {shown(job_id)} cannot be used\n  hint: a text of 1 to 1000 characters")
    return job_id
