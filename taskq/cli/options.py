"""Flags that several commands share, and the types of their values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import click
from click.core import ParameterSource

from taskq.broker.keys import check_name
from taskq.cli.session import Session
from taskq.config import Sourced
from taskq.errors import ConfigError
from taskq.units import seconds, size

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # not generic in older versions of click

F = TypeVar("F", bound=Callable[..., Any])
json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_flag = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
dry_run_flag = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")

_CONNECTION = (
    ("app", ("-A", "--app"), "MODULE:ATTR", "The app: module:attr, module, file.py or module:factory()."),
    (
        "url",
        ("--url",),
        "URL",
        "Redis: redis://, rediss://, unix://, sentinel:// or embedded://.  [env var: TASKQ_URL, REDIS_URL]",
    ),
    ("namespace", ("--namespace",), "NAME", "What the app calls its namespace.  [default: taskq]"),
)
_ENVIRONMENT = {"app": "TASKQ_APP", "namespace": "TASKQ_NAMESPACE"}
"""The variables that the root reads. TASKQ_URL and REDIS_URL are read by `config.redis_url`, as for apps."""


def with_session(function: F) -> F:
    """Give the Session as the first argument."""
    return cast("F", click.make_pass_decorator(Session, ensure=True)(function))


def connection_options(root: bool = False) -> Callable[[F], F]:
    """-A, --url, --namespace and --debug, which are understood before and after the subcommand: the last one counts."""

    def decorate(function: F) -> F:
        function = click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_debug,
            help="Show tracebacks of errors.",
        )(function)
        for name, flags, metavar, text in reversed(_CONNECTION):
            function = click.option(
                *flags,
                name,
                metavar=metavar,
                help=text,
                expose_value=False,
                callback=_remember,
                envvar=_ENVIRONMENT.get(name) if root else None,
                show_envvar=True,
            )(function)
        return function

    return decorate


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    name = param.name or ""
    if value is None:
        return
    if name == "namespace":
        value = _checked(check_name, value, "namespace")
    flagged = ctx.get_parameter_source(name) is not ParameterSource.ENVIRONMENT
    source = param.opts[0] if flagged else str(param.envvar)
    ctx.ensure_object(Session).given[name] = Sourced(value, source)


def _debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).debug = True


def _checked(check: Callable[..., Any], *args: Any) -> Any:
    """What `check` answers; its ConfigError as an error of usage."""
    try:
        return check(*args)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


class Seconds(ParamType):
    """A duration in seconds: "30", "30s", "10m"."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _checked(seconds, value)


class Size(ParamType):
    """A number of bytes: "512M", "2G", "1073741824"."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _checked(size, value)


class Patience(Seconds):
    """A duration, or "inf"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return math.inf if value in ("inf", math.inf) else super().convert(value, param, ctx)


class Name(ParamType):
    """A name that can be part of a key."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return _checked(check_name, value, "queue")


class Served(ParamType):
    """Queues with commas between them, or a list of them, each with its weight maybe: `mail=6`."""

    name = "a,b"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, (list, tuple)):
            self.fail(f"{value!r} is not a list of names", param, ctx)
        return tuple(map(_served, words))


def _served(word: Any) -> str:
    name, *weight = [part.strip() for part in word.split("=", 1)] if isinstance(word, str) else [word]
    return "=".join([_checked(check_name, name, "queue"), *weight])


class Count(ParamType):
    """A whole number, or "auto" where `auto` says what that is."""

    name = "n"

    def __init__(self, auto: Callable[[], int] | None = None):
        self._auto = auto

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "auto" and self._auto is not None:
            return self._auto()
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,9}", value.strip()):
            return int(value)
        return self.fail(f"{value!r} is not a whole number{' or auto' if self._auto else ''}", param, ctx)


class BareFlags(click.Command):
    """A command with flags whose duration may be left out: `--wait` is `--wait=inf`."""

    bare: ClassVar[dict[str, str]] = {"--wait": "inf", "--watch": "2"}
    _LIMIT = re.compile(r"\d+(\.\d+)?(ms|s|m|h|d)?")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        told = []
        for at, word in enumerate(args):
            if word == "--":
                told += args[at:]
                break
            following = args[at + 1] if at + 1 < len(args) else ""
            told.append(
                f"{word}={self.bare[word]}" if word in self.bare and not self._LIMIT.fullmatch(following) else word
            )
        return super().parse_args(ctx, told)
