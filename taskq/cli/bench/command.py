"""`taskq bench`: what this machine and this Redis do, in less than a minute.

own_room (a namespace)  ->  measure  ->  Figures  ->  verdict  ->  screen or JSON
"""

from __future__ import annotations

from typing import Any

import click

from taskq.cli.bench import view
from taskq.cli.bench.lab import MOST_JOBS, Order, measure
from taskq.cli.bench.room import own_room
from taskq.cli.bench.verdict import load_of, verdict
from taskq.cli.options import connection_options, json_flag, with_session
from taskq.cli.output import note, say, to_json
from taskq.cli.session import Session
from taskq.cli.worker import project_defaults, worker
from taskq.config import mask

SHORT = 0.5
"""Seconds of a drain below which shares of CPU say little."""
_OF_THE_WORKER = [param for param in worker.params if param.name in ("procs", "threads")]


class _Bench(click.Command):
    """Takes the worker's defaults from [tool.taskq], as the worker does."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        return super().make_context(info_name, args, parent, default_map=project_defaults(), **extra)


@click.command("bench", cls=_Bench, params=[*_OF_THE_WORKER])
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, MOST_JOBS),
    help="Jobs of the drain.  [default: as many as take some seconds]",
)
@json_flag
@connection_options()
@with_session
def bench(session: Session, procs: int, threads: int, jobs: int | None, as_json: bool) -> None:
    """This machine and this Redis: jobs per second, latency, memory, and what limits it.

    It puts load on the Redis that --url names, or that is set: for some ten seconds, a minute at most, its core may be
    busy, and up to 50 MB of its memory are taken. It works in a namespace of its own, and removes what it wrote at the
    end, also after Ctrl-C. No app is needed, and --namespace does not matter.

    A worker of --procs processes runs jobs that do nothing, so what is measured is taskq: work of your own comes on
    top. No line is logged for each job (--log-level warning).

    With --json: seconds, bytes, jobs per second, and null for what this machine or this Redis does not tell.
    """
    note(f"bench of {mask(session.target()[0].value)}: puts load on it, for a minute at most; Ctrl-C ends it")
    with own_room(session) as namespace:
        figures = measure(session, namespace, Order(procs=procs, threads=threads, jobs=jobs))
    if figures.drain.seconds < SHORT:
        note(f"the drain took only {figures.drain.seconds:.2f}s: what limits it needs more --jobs to be told")
    judged = verdict(load_of(figures))
    if as_json:
        say(to_json(view.data(figures, judged)))
    else:
        say(view.screen(figures, judged, session.terminal_out()))
