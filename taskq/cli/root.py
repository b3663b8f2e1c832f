"""`taskq`: the commands by name, and the way in and out of all of them."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from taskq import __version__
from taskq.cli.failures import fail
from taskq.cli.lazy import LazyGroup
from taskq.cli.options import connection_options
from taskq.cli.session import Session

SECTIONS = {
    "Run": {
        "worker": ("taskq.cli.worker:worker", "Run the jobs of an app until told to stop."),
        "bench": ("taskq.cli.bench.command:bench", "This machine and this Redis: jobs/s, latency, memory."),
    },
    "Look": {
        "status": ("taskq.cli.status:status", "Queues and workers on one screen; exit 1 when something is wrong."),
        "queues": ("taskq.cli.queues:queues", "List, show, pause, resume and purge queues."),
        "jobs": ("taskq.cli.jobs:jobs", "List, show, retry, cancel and delete jobs."),
        "workers": ("taskq.cli.workers:workers", "List worker processes."),
        "dead": ("taskq.cli.dead:dead", "List, show, retry and delete dead letters."),
    },
    "Do": {
        "call": ("taskq.cli.call:call", "Enqueue a job of a task, and wait for its result if asked to."),
    },
    "Operate": {
        "doctor": (
            "taskq.cli.doctor.command:doctor",
            "What is set up so that jobs can be lost, with the fix for each.",
        ),
        "advise": (
            "taskq.cli.advise.command:advise",
            "What each task is, where it should run, how many processes and threads.",
        ),
        "audit": ("taskq.cli.audit.command:audit", "Count every job in every place: is each in exactly one?"),
        "health": ("taskq.cli.health:health", "Answer a container's probe: is Redis there, and a worker?"),
    },
}


class Root(LazyGroup):
    """The outermost group: errors come out of it in our words, with our exit codes."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run and exit. `obj`: a Session of your own."""
        session = extra.pop("obj", None) or Session()
        settings = {**extra, "obj": session, "prog_name": "taskq", "standalone_mode": False}
        try:
            code = super().main(*args, **settings)
        except (Exception, KeyboardInterrupt) as error:
            code = fail(error, session.debug)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    "taskq",
    cls=Root,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@connection_options(root=True)
@click.version_option(__version__, message="%(prog)s %(version)s")
def root() -> None:
    """A task queue on Redis.

    A setting is taken from its flag, else from its TASKQ_* variable, else from [tool.taskq] in pyproject.toml.
    """


def main() -> None:
    """The entry point of the command `taskq`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    root()
