"""`taskq call`: how its words become arguments, and what is said before anything is sent."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskq import TaskQ, exit_codes
from taskq.cli.call import parse
from tests.support.console import Console


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and an app `shop` that can be imported and reaches no Redis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    app, module = TaskQ("redis://localhost:1/0"), ModuleType("shop")

    @app.task(name="shop.add")
    def add(x: int, y: int) -> int:
        return x + y

    module.app = app
    monkeypatch.setitem(sys.modules, "shop", module)
    return tmp_path


@pytest.fixture
def console() -> Console:
    return Console()


# Words


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("2", 2),
        ("-1.5", -1.5),
        ("true", True),
        ("null", None),
        ("[1, {}]", [1, {}]),
        ('"2"', "2"),
        ("hello", "hello"),
        ("True", "True"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("[NaN]", "[NaN]"),
        ("007", "007"),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_word_is_json_where_it_is_json(word: str, value: Any) -> None:
    assert parse(word) == value


@given(st.text())
def test_any_text_can_be_a_word(word: str) -> None:
    parse(word)


# Refused before anything is sent


def test_arguments_that_do_not_fit_are_told_with_the_signature(console: Console) -> None:
    said = console("call", "shop.add", "4", "-A", "shop")
    assert (said.code, said.out) == (exit_codes.FAILED, "")
    assert said.err == (
        "error: task 'shop.add' got bad arguments\n"
        "  add(x: int, y: int)\n"
        "  called as add.enqueue(4)        missing: y\n"
        "  nothing was sent\n"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("shop.ad", "did you mean 'shop.add'?"),
        ("add", "did you mean 'shop.add'?"),
        ("xyzzy", "it has shop.add"),
    ],
)
def test_an_unknown_task_is_told_with_the_one_that_may_be_meant(console: Console, name: str, hint: str) -> None:
    said = console("-A", "shop", "call", name, "4")
    assert (said.code, said.out) == (exit_codes.NOT_FOUND, "")
    assert said.err == f"error: the app has no task '{name}'\n  hint: {hint}\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--kw", "y"], "--kw 'y' has no value\n  hint: --kw name=value"),
        (["--kw", "=y"], "--kw '=y' has no value\n"),
        (["--json-args", "[1", "-A", "shop"], "--json-args is not JSON: "),
        (["--json-args", "[NaN]"], "--json-args is not JSON: NaN is not JSON\n"),
        (["--json-args", "7"], "--json-args is neither a list nor an object\n"),
        (["--json-args", "[1]", "2"], "--json-args has all arguments\n  hint: leave out the others"),
        (["--json-args", "[1]", "--kw", "y=2"], "--json-args has all arguments\n"),
        (["-2", "3"], "an argument that begins with - looks like an option\n  hint: put -- before the arguments"),
        (["--priority", "10"], "--priority: "),
        (["--delay", "soon"], "--delay: duration 'soon' is not a duration\n"),
        (["--wait=soon"], "--wait: duration 'soon' is not a duration\n"),
        (["--queue", "a b"], "--queue: queue 'a b' cannot be used\n"),
        ([], "cannot call a task: no app was named\n  looked in: -A, TASKQ_APP, [tool.taskq] app\n  hint: pass -A"),
    ],
)
def test_a_mistake_is_an_error_of_usage(console: Console, words: list[str], error: str) -> None:
    said = console("call", "shop.add", *words)
    assert (said.code, said.out) == (exit_codes.USAGE, "")
    assert said.err.startswith(f"error: {error}")


# The app


def test_a_module_that_is_not_there_is_told_with_the_one_that_is(console: Console, here: Path) -> None:
    (here / "tasks.py").write_text("")
    said = console("call", "-A", "taskz", "tasks.add")
    assert (said.code, said.out) == (exit_codes.BAD_APP, "")
    assert said.err == (
        "error: cannot import 'taskz'\n"
        "  looked in: the current directory, PYTHONPATH\n"
        "  hint: did you mean 'tasks' (tasks.py is here)? pass -A tasks, or set [tool.taskq] app\n"
    )


@pytest.mark.parametrize("raised", ["1 / 0", "raise SystemExit(0)", "def f(:", "import nowhere_to_be_found"])
def test_a_module_that_raises_is_shown_with_its_own_traceback_only(console: Console, here: Path, raised: str) -> None:
    (here / "broken_app.py").write_text(f"import os\n{raised}\n")
    said = console("call", "-A", "broken_app", "tasks.add")
    assert (said.code, said.out) == (exit_codes.BAD_APP, "")
    assert said.err.startswith("error: cannot import 'broken_app': it raised\n\n")
    assert 'broken_app.py", line 2' in said.err
    assert "importlib" not in said.err
    assert "loader.py" not in said.err


def test_an_unreachable_redis_is_told_with_the_source_of_its_url(console: Console) -> None:
    own, flag = (
        console("call", "shop.add", "1", "2", "-A", "shop", *more)
        for more in ([], ["--url", "redis://:pw@localhost:2"])
    )
    assert (own.code, flag.code) == (exit_codes.UNREACHABLE, exit_codes.UNREACHABLE)
    assert own.err.startswith("error: cannot reach Redis at redis://localhost:1/0 (connection refused)\n  url from: ")
    assert flag.err.startswith(
        "error: cannot reach Redis at redis://:***@localhost:2 (connection refused)\n  url from: "
    )
