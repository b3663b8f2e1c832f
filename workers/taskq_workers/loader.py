"""Finding the app that a worker runs: "module:attr", "module", "file.py", "module:factory()"."""

from __future__ import annotations

import concurrent.futures
import contextlib
import difflib
import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import taskq
from taskq.app import TaskQ, default_app
from taskq.errors import ConfigError


class AppNotFound(ConfigError):
    """The app cannot be imported."""


def load_app(reference: str) -> TaskQ:
    """The app that `reference` names, also from the current directory. Raises AppNotFound, and what it raises."""
    module_name, _, attribute = reference.partition(":")
    module = _module(module_name)
    app = _attribute(module, attribute) if attribute else _only_app(module)
    if not isinstance(app, TaskQ):
        raise AppNotFound(
            f"'{reference}' is a {type(app).__name__}, not a TaskQ\n  hint: name the app: -A {module_name}:app"
        )
    return app


def module_of(reference: str) -> str:
    """The name of the module that `reference` begins with."""
    name = reference.partition(":")[0]
    return Path(name).stem if name.endswith(".py") else name


def import_failure(reference: str, error: BaseException) -> str:
    """What to say where the app's module raised: its traceback, from its own first line on."""
    return f"cannot import '{reference}': it raised\n\n{own_traceback(error)}"


def own_traceback(error: BaseException) -> str:
    """The traceback of what the app's code raised, from its own first line on."""
    machinery = ("<frozen importlib", importlib.__file__, contextlib.__file__, concurrent.futures._base.__file__)
    ours = (*machinery, str(Path(__file__).parent), str(Path(taskq.__file__).parent))
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(ours):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if name.endswith(".py"):
        return _file(name, here)
    if not name or name.startswith("."):
        raise AppNotFound(_cannot_import(name))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise AppNotFound(_cannot_import(error.name)) from None


def _file(name: str, here: str) -> ModuleType:
    path = Path(name).resolve()
    if not path.is_file():
        raise AppNotFound(f"cannot find the file {name!r}\n  looked in: {here}")
    sys.path.insert(0, str(path.parent))
    module = importlib.import_module(path.stem)
    other = getattr(module, "__file__", None)
    if other is None or Path(other).resolve() != path:
        raise AppNotFound(
            f"cannot import {name!r}: there is another module '{path.stem}' ({other or 'built in'})\n"
            "  hint: rename the file"
        )
    return module


def _cannot_import(name: str) -> str:
    files = [path.stem for path in Path.cwd().glob("*.py")]
    close = difflib.get_close_matches(name, files, n=1)
    meant = f"did you mean '{close[0]}' ({close[0]}.py is here)? pass -A {close[0]}" if close else "pass -A module:app"
    return (
        f"cannot import '{name}'\n  looked in: the current directory, PYTHONPATH\n"
        f"  hint: {meant}, or set [tool.taskq] app"
    )


def _attribute(module: ModuleType, attribute: str) -> Any:
    name, is_factory = attribute.removesuffix("()"), attribute.endswith("()")
    try:
        value = getattr(module, name)
    except AttributeError:
        close = difflib.get_close_matches(name, vars(module), n=1)
        hint = f"did you mean '{module.__name__}:{close[0]}'?" if close else f"pass -A {module.__name__}:NAME"
        raise AppNotFound(f"module '{module.__name__}' has no '{name}'\n  hint: {hint}") from None
    return value() if is_factory else value


def _only_app(module: ModuleType) -> TaskQ:
    """The one app in `module`, or the default app where the module uses the bare `@task`."""
    apps = {id(value): value for value in vars(module).values() if isinstance(value, TaskQ)}
    if not apps and default_app().tasks:
        return default_app()
    if len(apps) != 1:
        found = "no app" if not apps else f"{len(apps)} apps"
        raise AppNotFound(f"module '{module.__name__}' has {found}\n  hint: name one: -A {module.__name__}:app")
    return next(iter(apps.values()))
