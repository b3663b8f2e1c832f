"""What an application sees."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import taskq
from taskq import (
    app,
    codec,
    config,
    declaration,
    errors,
    ids,
    job,
    lifecycle,
    lifespan,
    named,
    retry,
    tasks,
    types,
    units,
)
from taskq.broker import broker, calls, embedded, failures, keys, link, opening, quoting, reconnect, records, sentinels
from taskq.executor import chunks, dispatch, executor, functions, future, host
from taskq_workers import (
    bell,
    board,
    budget,
    channel,
    child,
    commits,
    courier,
    crew,
    exchange,
    lanes,
    lifespans,
    limits,
    loader,
    loop,
    outcomes,
    runner,
    supervisor,
    worker,
)

LIBRARY = [taskq, app, codec, config, declaration, errors, ids, job, lifecycle, lifespan, named, retry, tasks, types]
LIBRARY += [units]
INSIDE = [broker, calls, embedded, failures, keys, link, opening, quoting, reconnect, records, sentinels]
INSIDE += [bell, board, budget, channel, child, commits, courier, crew, exchange, lanes, lifespans, limits, loader]
INSIDE += [loop, outcomes, runner, supervisor, worker]
INSIDE += [chunks, dispatch, executor, functions, future, host]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout


# taskq itself


def test_the_public_names_are_sorted_and_there() -> None:
    assert taskq.__all__ == sorted(taskq.__all__)
    for name in taskq.__all__:
        assert getattr(taskq, name) is not None


def test_dir_shows_the_public_names() -> None:
    assert set(taskq.__all__) <= set(dir(taskq))


def test_the_names_of_the_design_are_public() -> None:
    assert {"TaskQ", "task", "Task", "Job", "current_job", "Retry", "TaskqError"} <= set(taskq.__all__)


def test_every_public_name_has_a_home_and_no_other_name_has_one() -> None:
    assert set(taskq._HOMES) | {"__version__"} == set(taskq.__all__)
    for name, home in taskq._HOMES.items():
        assert getattr(sys.modules[home] if home in sys.modules else __import__(home), name) is getattr(taskq, name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'taskq' has no attribute 'nothing'"):
        _ = taskq.nothing


def test_importing_taskq_imports_neither_redis_nor_msgpack_nor_structlog() -> None:
    loaded = run("import sys, taskq; print(*sys.modules)").split()
    assert "taskq" in loaded
    assert not {"redis", "msgpack", "structlog", "asyncio", "taskq.app"} & set(loaded)


def test_a_name_is_imported_when_it_is_first_used() -> None:
    loaded = run("import sys, taskq; taskq.Retry; print('taskq.retry' in sys.modules, 'redis' in sys.modules)")
    assert loaded.split() == ["True", "False"]


def test_star_imports_the_public_names() -> None:
    assert run("from taskq import *; print(TaskQ.__name__, task.__name__)").split() == ["TaskQ", "task"]


def test_the_version_is_the_installed_one() -> None:
    assert run("import importlib.metadata as m; print(m.version('taskq-redis'))").strip() == taskq.__version__


# Docstrings


def own(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public functions and classes that are written in `module`, and the public methods of the latter."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield f"{module.__name__}.{name}", thing
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                if not member.startswith("_") and inspect.isfunction(value):
                    yield f"{module.__name__}.{name}.{member}", value


@pytest.mark.parametrize("module", [*LIBRARY, *INSIDE], ids=lambda module: module.__name__)
def test_every_module_says_what_it_is_for(module: ModuleType) -> None:
    assert module.__doc__


@pytest.mark.parametrize("name", [name for name in taskq.__all__ if name != "__version__"])
def test_every_public_name_says_what_it_is(name: str) -> None:
    thing = getattr(taskq, name)
    assert thing.__doc__
    assert not thing.__doc__.startswith(f"{name}("), "this is what a dataclass writes by itself"


@pytest.mark.parametrize("name", ["TaskQ", "TaskQExecutor", "Task", "AsyncTask", "Job", "Backoff"])
def test_every_public_method_says_what_it_does(name: str) -> None:
    simple = {"name", "carry", "acarry", "queue", "now"}
    for member, value in vars(getattr(taskq, name)).items():
        if inspect.isfunction(value) and not member.startswith("_") and member not in simple:
            assert value.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("module", [units, config, retry, errors, loader, limits], ids=lambda module: module.__name__)
def test_public_functions_and_classes_say_what_they_do(module: ModuleType) -> None:
    for name, thing in own(module):
        if inspect.isclass(thing) or "." not in name.removeprefix(f"{module.__name__}."):
            assert thing.__doc__, name


# Errors


def drawn() -> dict[str, str]:
    """The tree in the docstring of `errors`: each name with its parent's."""
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ((?:\|  |   )*)(?:[|`]- )?([A-Z]\w+)(\s{2,}\S.*)?$", line)
        if found and "BaseException" not in line:
            indent = line.index(found[2]) - 4
            del path[indent // 3 :]
            parents[found[2]] = path[-1] if path else "Exception"
            path.append(found[2])
    return parents


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    classes = {name: getattr(errors, name) for name in errors.__all__}
    built = {name: kind.__mro__[1].__name__ for name, kind in classes.items() if issubclass(kind, Exception)}
    assert drawn() == built


def test_all_errors_are_listed_and_sorted() -> None:
    defined = {name for name, kind in vars(errors).items() if inspect.isclass(kind)}
    assert set(errors.__all__) == defined
    assert errors.__all__ == sorted(errors.__all__)


def test_errors_can_be_caught_as_what_python_calls_them() -> None:
    pairs = [
        (errors.ConfigError, ValueError),
        (errors.BadArguments, TypeError),
        (errors.NotSerializable, TypeError),
        (errors.TooLarge, ValueError),
        (errors.BrokerUnavailable, ConnectionError),
        (errors.JobNotFound, LookupError),
        (errors.ResultTimeout, TimeoutError),
    ]
    assert all(issubclass(ours, pythons) for ours, pythons in pairs)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_goes_through_a_pickle(name: str) -> None:
    import pickle

    kind = getattr(errors, name)
    error = kind("a.B", "text", "trace") if kind is errors.TaskFailed else kind("text")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))


def test_a_failed_task_shows_type_and_text() -> None:
    assert str(errors.TaskFailed("shop.BadImage", "no colours")) == "shop.BadImage: no colours"
    assert str(errors.TaskFailed("shop.BadImage", "")) == "shop.BadImage"
