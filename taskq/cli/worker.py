"""`taskq worker`. Its flags are the fields of `WorkerSettings`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import click

from taskq import log
from taskq.cli.cores import cores
from taskq.cli.options import Count, ParamType, Seconds, Served, Size, connection_options, with_session
from taskq.cli.session import Session
from taskq.config import WorkerSettings, project_settings
from taskq.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])
_FLAGS = {"coroutines": "async"}
"""Where the flag is not called like the field."""
_LOG = {"log_format": ("auto", log.FORMATS), "log_level": ("info", log.LEVELS)}
_SHARED = ("app", "url", "namespace")
_TYPES: dict[type, ParamType] = {int: Count(), float: Seconds(), tuple: Served()}


def _flag(setting: Field[Any]) -> str:
    return _FLAGS.get(setting.name, setting.name)


def _option(setting: Field[Any]) -> Callable[[F], F]:
    flag, default = _flag(setting), setting.default
    told: dict[str, Any] = {"type": _TYPES.get(type(default)), "default": default, "show_default": True}
    if setting.name == "max_rss":
        told |= {"type": Size()}
    elif setting.name == "procs":
        told |= {"type": Count(auto=cores), "default": "auto"}
    elif setting.name == "threads":
        told |= {"type": Count(auto=lambda: WorkerSettings().threads)}
    elif isinstance(default, tuple):
        told |= {"default": ",".join(default)}
    elif isinstance(default, float):
        told |= {"default": f"{default:g}"}
    elif isinstance(default, bool):
        told = {"default": default}
    return click.option(
        f"--{flag}/--no-{flag}" if isinstance(default, bool) else f"--{flag.replace('_', '-')}",
        setting.name,
        envvar=f"TASKQ_{flag.upper()}",
        show_envvar=True,
        help=setting.metadata["help"],
        callback=_judge,
        **told,
    )


def _judge(_: click.Context, param: click.Parameter, value: Any) -> Any:
    """Let WorkerSettings judge each value alone, so that a bad one is told with where it came from."""
    try:
        WorkerSettings(**{param.name or "": value})
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None
    return value


def _setting_flags(function: F) -> F:
    for name, (default, choices) in reversed(_LOG.items()):
        function = click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=click.Choice(choices),
            default=default,
            show_default=True,
            envvar=f"TASKQ_{name.upper()}",
            show_envvar=True,
            help={"log_format": "auto: console on a terminal, JSON elsewhere.", "log_level": "Least to log."}[name],
        )(function)
    for setting in reversed(fields(WorkerSettings)):
        function = _option(setting)(function)
    return function


class _Worker(click.Command):
    """Takes its defaults from [tool.taskq]."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        return super().make_context(info_name, args, parent, default_map=project_defaults(), **extra)


def project_defaults() -> dict[str, Any]:
    """The settings in [tool.taskq] by the names of our fields. Raises UsageError for one that there is not."""
    names = {_flag(setting): setting.name for setting in fields(WorkerSettings)} | {name: name for name in _LOG}
    told = {name.replace("-", "_"): value for name, value in project_settings().items()}
    for name in told:
        if name not in names and name not in _SHARED:
            close = get_close_matches(name, [*names, *_SHARED], n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join([*_SHARED, *names])}"
            raise click.UsageError(f"there is no setting '{name}' for [tool.taskq] in pyproject.toml\n  hint: {hint}")
    return {names[name]: value for name, value in told.items() if name in names}


@click.command("worker", cls=_Worker)
@_setting_flags
@connection_options()
@with_session
def worker(session: Session, log_format: str, log_level: str, **settings: Any) -> int:
    """Run the jobs of an app until told to stop.

    Ctrl-C or SIGTERM: running jobs are finished within --grace, the rest is given back; a second one gives back all and
    goes. SIGQUIT: the stacks of all threads. Ends with 0, or 3 when Redis cannot be reached, 4 when the app cannot be
    imported, 75 when the grace ran out.
    """
    namespace = session.given.get("namespace")
    if namespace is not None and namespace.source == "--namespace":
        raise click.UsageError(
            "--namespace is not for a worker: its namespace is that of its app\n  hint: TaskQ(namespace=...)"
        )
    if settings["max_rss"] and not Path("/proc/self/statm").exists():
        raise click.UsageError(
            "--max-rss cannot be held: there is no /proc here that says how large a process is\n  hint: --max-jobs"
        )
    app = session.app("start a worker")
    from taskq_workers.worker import Order, run_worker

    url = session.given.get("url")
    order = Order(
        app=app,
        url=url.value if url else None,
        settings=WorkerSettings(**settings),
        log_format=log_format,
        log_level=log_level,
    )
    return run_worker(order)
