"""How a command fails: "error: ..." on stderr and an exit code. A traceback only with --debug."""

from __future__ import annotations

import sys
import traceback

import click
from click.core import ParameterSource

from taskq import exit_codes
from taskq.cli.output import block, note, paint
from taskq.errors import TaskqError

_CODES = {
    "BrokerUnavailable": exit_codes.UNREACHABLE,
    "AppNotFound": exit_codes.BAD_APP,
    "ConfigError": exit_codes.USAGE,
    "NotFoundError": exit_codes.NOT_FOUND,
    "JobNotFound": exit_codes.NOT_FOUND,
    "ResultTimeout": exit_codes.TIMED_OUT,
}
"""By the name of the class or of a base: the classes themselves are not imported only to be compared with."""
INTERRUPTED = 130


class NotFoundError(TaskqError):
    """No queue, task or dead letter has this name."""


def fail(error: BaseException, debug: bool) -> int:
    """Say what went wrong; the answer is the exit code."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    if debug:
        note(block("".join(traceback.format_exception(error)).rstrip()))
    note(f"{paint('error:', sys.stderr, fg='red', bold=True)} {block(_text(error))}")
    if isinstance(error, click.ClickException):
        return error.exit_code
    return next((_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CODES), exit_codes.FAILED)


def _text(error: BaseException) -> str:
    if isinstance(error, TaskqError):
        return str(error)
    if isinstance(error, click.UsageError):
        return _usage(error)
    if isinstance(error, click.ClickException):
        return error.format_message()
    return f"{type(error).__name__}: {error}\n  this is a fault of taskq; --debug shows where"


def _usage(error: click.UsageError) -> str:
    text = error.format_message()
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        text = f"{_where(error)}: {error.message}"
    text = _uncapitalized(text).rstrip(".")
    path = error.ctx.command_path if error.ctx else "taskq"
    return text if "hint:" in text else f"{text}\n  hint: {path} --help"


def _uncapitalized(text: str) -> str:
    """ "No such option" -> "no such option", and TASKQ_PROCS as it is."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _where(error: click.BadParameter) -> str:
    """What to change: the flag, the environment's variable, or the line in pyproject.toml."""
    if error.param is None or error.ctx is None:
        return error.param_hint if isinstance(error.param_hint, str) else "the command line"
    source = error.ctx.get_parameter_source(error.param.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return str(error.param.envvar)
    flag = max(error.param.opts, key=len)
    if source is ParameterSource.DEFAULT_MAP:
        return f"[tool.taskq] {flag.lstrip('-').replace('-', '_')} in pyproject.toml"
    return flag if isinstance(error.param, click.Option) else error.param.human_readable_name
