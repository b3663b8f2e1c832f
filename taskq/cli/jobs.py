"""`taskq jobs`: list, show, retry, cancel, delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

import click

from taskq.broker.records import Place
from taskq.cli import jobview
from taskq.cli.failures import NotFoundError
from taskq.cli.lazy import Group
from taskq.cli.options import Name, connection_options, dry_run_flag, json_flag, with_session, yes_flag
from taskq.cli.output import note, say, table, to_json
from taskq.cli.search import STATES, find, listing, waits_behind
from taskq.cli.session import Session
from taskq.cli.verbs import CANCEL, DELETE, RETRY, act_on

F = TypeVar("F", bound=Callable[..., Any])


def filters(function: F) -> F:
    """--queue, --task and --limit."""
    for option in (
        click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Most to show."),
        click.option("--task", metavar="NAME", help="Only jobs of this task."),
        click.option("--queue", type=Name(), help="Only jobs of this queue."),
    ):
        function = option(function)
    return function


@click.group("jobs", cls=Group)
def jobs() -> None:
    """List, show, retry, cancel and delete jobs."""


@jobs.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@filters
@json_flag
@connection_options()
@with_session
def list_jobs(session: Session, state: Place | None, as_json: bool, **only: Any) -> None:
    """Jobs that have no outcome yet, and dead letters."""
    print_list(session, (state,) if state else STATES, as_json, **only)


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@json_flag
@connection_options()
@with_session
def show_job(session: Session, job_id: str, as_json: bool) -> None:
    """One job: its state, arguments, attempts, error, and what to type next."""
    print_job(session, job_id, as_json)


@jobs.command("retry")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@connection_options()
@with_session
def retry_jobs(session: Session, job_ids: Sequence[str]) -> int:
    """Put dead jobs back in line with a clean slate, and delayed ones now."""
    return act_on(session, RETRY, job_ids, yes=True)


@jobs.command("cancel")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@yes_flag
@dry_run_flag
@connection_options()
@with_session
def cancel_jobs(session: Session, job_ids: Sequence[str], yes: bool, dry_run: bool) -> int:
    """End jobs that have not started: who waits for their result is told so."""
    return act_on(session, CANCEL, job_ids, yes=yes, dry_run=dry_run)


@jobs.command("delete")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@yes_flag
@dry_run_flag
@connection_options()
@with_session
def delete_jobs(session: Session, job_ids: Sequence[str], yes: bool, dry_run: bool) -> int:
    """Forget jobs and their outcomes, unless they are running."""
    return act_on(session, DELETE, job_ids, yes=yes, dry_run=dry_run)


def print_list(
    session: Session, states: Sequence[Place], as_json: bool, *, queue: str | None, task: str | None, limit: int
) -> None:
    """Up to `limit` jobs; a note says where there are more."""
    found = list(islice(listing(session, states, queue, task), limit + 1))
    if as_json:
        say(to_json([jobview.data(job) for job in found[:limit]]))
    elif found:
        now, terminal = session.clock.now(), session.terminal_out()
        say(table(jobview.HEADER, [jobview.row(job, now, terminal) for job in found[:limit]], terminal))
    else:
        note("no such jobs" if queue or task or len(states) == 1 else "no jobs")
    if len(found) > limit:
        note(f"there are more: --limit {limit * 10}")


def print_job(session: Session, name: str, as_json: bool, must_be: Place | None = None) -> None:
    """One job in full. Raises JobNotFound, or NotFoundError where it is not in the state that it must be in."""
    target, found = find(session, name)
    job = jobview.located_view(target.id, target.route, found, waits_behind(session, target, found))
    if must_be is not None and found.place != must_be:
        raise NotFoundError(f"there is no {must_be} job '{name}': it is {job.state}\n  hint: taskq jobs show {name}")
    if as_json:
        say(to_json(jobview.full_data(job, found)))
    else:
        say(jobview.page(job, found, session.clock.now()))
