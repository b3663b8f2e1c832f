"""Which functions an executor may be given, and by which task a worker knows them.

    a task of the app, or the function of one     that task, with its own policy
    a function of a module that the app allows    a task of its name, "module.function", that is never retried

The second kind of task is made here when such a function is submitted, and in a worker when it starts, of all public
functions of those modules (`enlist`). So what a payload names is looked up in a table, as for any other task: nothing
is imported for it, no attribute is followed.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from taskq.declaration import Lane, declare, home, main_module, module_name
from taskq.errors import ConfigError, NotSerializable, shown
from taskq.executor.chunks import Chunk, ChunkTask
from taskq.executor.host import Host
from taskq.tasks import Task

MAIN = "__main__"


class FunctionTask(Task[..., Any]):
    """The task of a function that is none by itself."""


class Functions:
    """The tasks that stand for what one executor is given. `pool`: the lane of functions that are no tasks."""

    def __init__(self, host: Host, pool: Lane | None) -> None:
        self._host, self._pool = host, pool
        self._made: dict[FunctionType, Task[..., Any]] = {}

    def task_for(self, fn: Any) -> Task[..., Any]:
        """The task by which workers know `fn`. Raises NotSerializable or ConfigError, which say why there is none."""
        if isinstance(fn, Chunk):
            return ChunkTask(self.task_for(fn.function))
        if isinstance(fn, Task):
            return self._own(fn)
        if not isinstance(fn, FunctionType) or _is_private(fn):
            raise _unfit(fn)
        return self._made.get(fn) or self._own_of(fn) or self._make(fn)

    def _own(self, task: Task[..., Any]) -> Task[..., Any]:
        known = self._host.tasks.get(task.name)
        if known is None or known.declaration is not task.declaration:
            raise ConfigError(
                f"cannot submit task '{task.name}': it is of another app\n  hint: use that app's executor"
            )
        if task.declaration.result_ttl == 0:
            raise ConfigError(
                f"cannot submit task '{task.name}': its result_ttl is 0, so that nobody would hear of its result\n"
                "  hint: enqueue it"
            )
        return task

    def _own_of(self, fn: FunctionType) -> Task[..., Any] | None:
        known = self._host.tasks.get(_name(fn))
        if known is None or isinstance(known, FunctionTask) or home(known.declaration.func) != home(fn):
            return None
        return self._own(known)

    def _make(self, fn: FunctionType) -> Task[..., Any]:
        module = module_name(fn)
        if module == MAIN:
            raise _refusal(fn, "it was typed in, or piped in: no worker can import it", "write it into a file")
        if module not in allowed(self._host):
            raise ConfigError(
                f"cannot submit {_name(fn)}: its module is not among the executor_modules of the app\n"
                f"  hint: TaskQ(executor_modules=[{module!r}]), or make it a task: @app.task"
            )
        source = sys.modules.get(fn.__module__, ModuleType(module))
        if getattr(source, fn.__name__, None) is not fn:
            raise _refusal(fn, f"it is not what {module} has under that name", "submit that, or another name")
        task = FunctionTask(self._host, declare(fn, pool=self._pool, retries=0))
        self._host.register_exceptions(*_exceptions(source))
        self._made[fn] = task
        return task


def allowed(host: Host) -> tuple[str, ...]:
    """The modules whose functions may be submitted, by the names that others import them by."""
    return tuple(main_module() if name == MAIN else name for name in host.executor_modules)


def enlist(host: Host, main: str) -> None:
    """Make tasks of the public functions of the executor_modules, unless they are tasks already: so a worker runs them.

    `main`: what "__main__" means, the module that has the app. Raises ConfigError, and what a module raises when it is
    imported.
    """
    host.executor_modules = tuple(main if name == MAIN else name for name in host.executor_modules)
    for name in host.executor_modules:
        module = _import(name)
        host.register_exceptions(*_exceptions(module))
        for fn in _functions(module):
            host.tasks.setdefault(_name(fn), FunctionTask(host, declare(fn, retries=0)))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(
            f"cannot import '{name}', one of the executor_modules of the app\n"
            "  looked in: the current directory, PYTHONPATH"
        ) from None


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """The public functions that are written in `module`, but for generators."""
    for name, fn in vars(module).items():
        own = isinstance(fn, FunctionType) and home(fn) == (module.__name__, name) and not name.startswith("_")
        if own and not inspect.isgeneratorfunction(fn) and not inspect.isasyncgenfunction(fn):
            yield fn


def _exceptions(module: ModuleType) -> list[type[Exception]]:
    """The exceptions that are defined in `module`: what its functions raise is raised by the future as it is."""
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return [kind for kind in kinds if kind.__module__ == module.__name__]


def _name(fn: FunctionType) -> str:
    return f"{module_name(fn)}.{fn.__qualname__}"


def _is_private(fn: FunctionType) -> bool:
    return "." in fn.__qualname__ or fn.__name__.startswith(("_", "<"))


def _unfit(fn: Any) -> NotSerializable:
    """Why a worker could not find `fn` by a name."""
    if isinstance(fn, FunctionType):
        return _unfit_function(fn)
    if isinstance(fn, partial):
        return _refusal(fn, "it is a partial", "submit the function, with all of its arguments")
    if isinstance(fn, MethodType):
        owner = type(fn.__self__).__name__
        hint = f"submit a function that gets or makes its {owner} by itself"
        return _refusal(fn, f"it is a method of an object of type {owner}, which is only here", hint)
    if isinstance(fn, BuiltinFunctionType):
        return _refusal(fn, "it is written in C", "call it in a function of your own")
    kind = "a class" if isinstance(fn, type) else f"of type {type(fn).__name__}"
    return _refusal(fn, f"it is {kind}, not a function", "submit a function of a module")


def _unfit_function(fn: FunctionType) -> NotSerializable:
    if fn.__name__ == "<lambda>":
        return _refusal(fn, "it is a lambda, which has no name to find it by", "def a function in a module")
    if "<locals>" in fn.__qualname__:
        outer = fn.__qualname__.split(".<locals>")[0]
        return _refusal(fn, f"it is made anew in each call of {outer}", "def it in its module, outside of functions")
    if "." in fn.__qualname__:
        return _refusal(fn, "it belongs to a class", "def it in its module, outside of classes")
    return _refusal(fn, "its name begins with _: it is private to its module", "give it a public name")


def _refusal(fn: Any, why: str, hint: str) -> NotSerializable:
    name = getattr(fn, "__qualname__", None)
    return NotSerializable(f"cannot submit {name or shown(fn)}: {why}\n  hint: {hint}")
