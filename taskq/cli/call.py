"""`taskq call`: one job of a task."""

from __future__ import annotations

import json
import math
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from taskq import exit_codes
from taskq.cli.failures import NotFoundError
from taskq.cli.lazy import did_you_mean
from taskq.cli.options import BareFlags, Name, Patience, Seconds, connection_options, with_session
from taskq.cli.output import block, note, paint, result_text, say
from taskq.cli.session import Session

if TYPE_CHECKING:
    from taskq.app import TaskQ
    from taskq.codec import ErrorInfo
    from taskq.tasks import Task

FRAME_LINES = 12
"""Last lines of the worker's traceback that are shown."""


class _Call(BareFlags):
    """Knows why -2 is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if not re.fullmatch(r"-\d", error.option_name):
                raise
            raise click.UsageError(
                "an argument that begins with - looks like an option\n  hint: put -- before the arguments", ctx
            ) from None


@click.command("call", cls=_Call)
@click.argument("task")
@click.argument("args", nargs=-1)
@click.option("--kw", "keywords", metavar="K=V", multiple=True, help="A keyword argument; may be given several times.")
@click.option("--json-args", metavar="JSON", help="All arguments: a list, or an object of keyword arguments.")
@click.option("--delay", type=Seconds(), help="Not before this has passed: 10, 10s, 5m.")
@click.option("--queue", type=Name(), help="Instead of the task's own.")
@click.option("--priority", type=click.IntRange(0, 9), help="Higher runs sooner; 5 is the default.")
@click.option("--job-id", metavar="ID", help="Names the job: a name runs once, until its result expires.")
@click.option(
    "--wait", type=Patience(), metavar="[SECONDS]", help="Wait for the result and print it instead of the id."
)
@connection_options()
@with_session
def call(session: Session, task: str, wait: float | None, **settings: Any) -> int:
    """Enqueue a job of TASK, and print its id.

    ARGS are JSON where they can be read as JSON, and text elsewhere: 2, 1.5, true, null, '[1, 2]', hello, '"2"'. The
    app is imported, so the arguments are checked against the task's signature before anything is sent.

    With --wait the result is printed, as JSON where JSON can have it. A job that failed prints its error and ends with
    1, one that takes longer than SECONDS with 6.
    """
    args, kwargs = _arguments(settings.pop("args"), settings.pop("keywords"), settings.pop("json_args"))
    app = session.load_app("call a task")
    job = _task(app, task).options(**settings).enqueue(*args, **kwargs)
    if wait is None:
        say(block(job.id))
        return exit_codes.OK
    note(f"job {block(job.id)}")
    return _await(app, job.id, None if wait == math.inf else wait)


def _task(app: TaskQ, name: str) -> Task[..., Any]:
    if name not in app.tasks:
        known = sorted(app.tasks)
        hint = did_you_mean(name, known) or f"\n  hint: it has {', '.join(known[:5]) or 'none'}"
        raise NotFoundError(f"the app has no task '{name}'{hint}")
    return app.tasks[name]


def _await(app: TaskQ, job_id: str, patience: float | None) -> int:
    from taskq.codec import decode_record
    from taskq.ids import named_id

    (outcome,) = app.wait([(named_id(job_id), "")], patience)
    record = decode_record(outcome.result())
    if record.error is not None:
        return _failed(job_id, record.error)
    say(result_text(record.value))
    return exit_codes.OK


def _failed(job_id: str, error: ErrorInfo) -> int:
    from taskq.cli.jobview import error_line

    lines = error.traceback.rstrip().split("\n")[-FRAME_LINES:] if error.traceback else []
    text = "\n".join([f"job {job_id} failed: {error_line(error)}", *(f"  {line}" for line in lines)])
    note(f"{paint('error:', sys.stderr, fg='red', bold=True)} {block(text)}\n  hint: taskq jobs show {block(job_id)}")
    return exit_codes.FAILED


# Arguments


def _arguments(
    words: tuple[str, ...], keywords: tuple[str, ...], json_args: str | None
) -> tuple[list[Any], dict[str, Any]]:
    """What the task is called with."""
    if json_args is None:
        return [parse(word) for word in words], dict(_keyword(word) for word in keywords)
    if words or keywords:
        raise click.UsageError("--json-args has all arguments\n  hint: leave out the others")
    try:
        value = json.loads(json_args, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--json-args is not JSON: {error}\n  hint: --json-args '[2, 3]'") from None
    if isinstance(value, dict):
        return [], value
    if isinstance(value, list):
        return value, {}
    raise click.UsageError("--json-args is neither a list nor an object\n  hint: --json-args '[2, 3]'")


def _keyword(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--kw '{word}' has no value\n  hint: --kw name=value")
    return name, parse(value)


def parse(word: str) -> Any:
    """`word` as JSON where it is JSON, else as text."""
    try:
        return json.loads(word, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return word


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity are words of Python's reader, not JSON."""
    raise ValueError(f"{constant} is not JSON")
