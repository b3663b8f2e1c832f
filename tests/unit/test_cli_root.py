"""The way in and out: help, mistyped words, and what an error looks like."""

from __future__ import annotations

import importlib

import click
import pytest

from taskq import __version__, errors, exit_codes
from taskq.cli.failures import INTERRUPTED, NotFoundError, fail
from taskq.cli.root import SECTIONS, root
from taskq_workers.loader import AppNotFound
from tests.support.console import Console

COMMANDS = {name: place for section in SECTIONS.values() for name, place in section.items()}


@pytest.fixture
def console() -> Console:
    return Console()


# Help


def test_help_lists_every_command_under_its_heading(console: Console) -> None:
    said = console("--help")
    assert said.code == exit_codes.OK
    assert [line[:-1] for line in said.out.splitlines() if line[:-1] in SECTIONS] == ["Run", "Look", "Do", "Operate"]
    assert all(f"  {name} " in said.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_where_the_list_says(name: str) -> None:
    module, _, attribute = COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name


def _leaves(group: click.Group, ctx: click.Context, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = []
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        paths += _leaves(command, ctx, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return paths


@pytest.mark.parametrize("path", _leaves(root, click.Context(root)), ids=" ".join)
def test_every_command_explains_itself_and_takes_the_connection_flags(console: Console, path: tuple[str, ...]) -> None:
    said = console(*path, "--help")
    assert said.code == exit_codes.OK
    assert all(flag in said.out for flag in ("-A, --app", "--url", "--namespace", "--debug"))
    reads = path[-1] in ("list", "show", "status", "health", "bench", "doctor", "audit", "advise")
    assert ("--json " in said.out) == reads


def test_the_version_is_printed(console: Console) -> None:
    assert console("--version").out == f"taskq {__version__}\n"


@pytest.mark.parametrize("path", [(), ("queues",), ("jobs",), ("dead",), ("workers",)])
def test_a_group_without_a_command_prints_its_help_and_is_not_content(console: Console, path: tuple[str, ...]) -> None:
    said = console(*path)
    assert (said.code, said.out) == (exit_codes.USAGE, "")
    assert said.err.startswith(f"Usage: {' '.join(['taskq', *path])} ")


# Mistyped words


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("workr", "there is no command 'taskq workr'\n  hint: did you mean 'taskq worker'?"),
        ("jobs lst", "there is no command 'taskq jobs lst'\n  hint: did you mean 'taskq jobs list'?"),
        ("xyzzy", "there is no command 'taskq xyzzy'\n  hint: taskq --help"),
        ("status x", "got unexpected extra argument (x)\n  hint: taskq status --help"),
        ("jobs show", "missing argument 'ID'\n  hint: taskq jobs show --help"),
        ("jobs list --limit many", "--limit: 'many' is not a valid integer range\n  hint: taskq jobs list --help"),
        ("jobs list --queue a:b", "--queue: queue 'a:b' cannot be used\n  hint: 1 to 100 of the characters"),
        ("--namespace {x} status", "--namespace: namespace '{x}' cannot be used\n  hint: 1 to 100 of the characters"),
    ],
)
def test_a_mistake_is_an_error_of_usage_that_says_what_to_type(console: Console, typed: str, error: str) -> None:
    said = console(*typed.split())
    assert (said.code, said.out) == (exit_codes.USAGE, "")
    assert said.err.startswith(f"error: {error}")


def test_a_bad_value_in_the_environment_is_told_with_the_variable(console: Console) -> None:
    said = console("status", env={"TASKQ_NAMESPACE": "a b"})
    assert said.code == exit_codes.USAGE
    assert said.err.startswith("error: TASKQ_NAMESPACE: namespace 'a b' cannot be used\n")


# Errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BrokerUnavailable("x"), 3),
        (errors.ConfigError("x"), 2),
        (AppNotFound("x"), 4),
        (errors.JobNotFound("x"), 5),
        (NotFoundError("x"), 5),
        (errors.ResultTimeout("x"), 6),
        (errors.BrokerError("x"), 1),
        (errors.QueueFull("x"), 1),
        (errors.BadArguments("x"), 1),
        (errors.MalformedJob("x"), 1),
        (click.UsageError("x"), 2),
        (click.ClickException("x"), 1),
        (ZeroDivisionError("x"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_has_its_exit_code_and_one_form(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail(error, debug=False) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err


def test_a_traceback_is_shown_to_who_asks_for_it(console: Console) -> None:
    plain, debug = (console(*flags, "--url", "redis://localhost:1", "status") for flags in ((), ("--debug",)))
    after = console("status", "--url", "redis://localhost:1", "--debug")
    assert (plain.code, debug.code, after.code) == (3, 3, 3)
    assert "Traceback" not in plain.err
    assert "Traceback (most recent call last)" in debug.err
    assert debug.err == after.err
    assert debug.err.endswith(plain.err)


def test_a_fault_of_ours_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    fail(KeyError("x"), debug=False)
    assert capsys.readouterr().err == "error: KeyError: 'x'\n  this is a fault of taskq; --debug shows where\n"


def test_an_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(KeyboardInterrupt(), debug=True) == INTERRUPTED == 130
    assert capsys.readouterr() == ("", "")


def test_what_an_error_quotes_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    fail(errors.ConfigError("bad \x1b[2J name\n  hint: none"), debug=False)
    assert capsys.readouterr().err == "error: bad \\x1b[2J name\n  hint: none\n"


def test_an_unreachable_redis_is_told_with_the_source_of_its_url_and_without_its_password(console: Console) -> None:
    said = console("status", "--url", "redis://:secret@localhost:1/0")
    assert (said.code, said.out) == (exit_codes.UNREACHABLE, "")
    assert said.err == (
        "error: cannot reach Redis at redis://:***@localhost:1/0 (connection refused)\n"
        "  url from: the program or --url\n"
        "  hint: start one (apt install redis-server), or use   embedded://   which brings its own\n"
    )


def test_the_url_of_the_environment_is_told_as_such(console: Console) -> None:
    said = console("queues", "list", env={"TASKQ_URL": "redis://localhost:1"})
    assert "\n  url from: TASKQ_URL\n" in said.err
