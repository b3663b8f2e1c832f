"""`taskq dead`: list, show, retry and delete dead letters: jobs that failed for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from taskq import exit_codes
from taskq.cli.confirm import confirmed
from taskq.cli.jobs import filters, print_job, print_list
from taskq.cli.lazy import Group
from taskq.cli.options import Name, connection_options, dry_run_flag, json_flag, with_session, yes_flag
from taskq.cli.output import note
from taskq.cli.picture import count
from taskq.cli.search import Target, listing
from taskq.cli.session import Session
from taskq.cli.verbs import DELETE, RETRY, Verb, act, act_on

F = TypeVar("F", bound=Callable[..., Any])


@click.group("dead", cls=Group)
def dead() -> None:
    """List, show, retry and delete dead letters: jobs that failed for good."""


@dead.command("list")
@filters
@json_flag
@connection_options()
@with_session
def list_dead(session: Session, as_json: bool, **only: Any) -> None:
    """Dead letters with their errors, the last that died first."""
    print_list(session, ("dead",), as_json, **only)


@dead.command("show")
@click.argument("job_id", metavar="ID")
@json_flag
@connection_options()
@with_session
def show_dead(session: Session, job_id: str, as_json: bool) -> None:
    """One dead letter: its arguments, attempts, error and traceback."""
    print_job(session, job_id, as_json, must_be="dead")


def _which(function: F) -> F:
    """IDs, or --all with --queue and --task."""
    for option in (
        dry_run_flag,
        yes_flag,
        click.option("--task", metavar="NAME", help="With --all: only those of this task."),
        click.option("--queue", type=Name(), help="With --all: only those of this queue."),
        click.option("--all", "every", is_flag=True, help="All dead letters."),
        click.argument("job_ids", metavar="[ID...]", nargs=-1),
    ):
        function = option(function)
    return function


@dead.command("retry")
@_which
@connection_options()
@with_session
def retry_dead(session: Session, **which: Any) -> int:
    """Put dead letters back in line with a clean slate."""
    return _act(session, RETRY, **which)


@dead.command("delete")
@_which
@connection_options()
@with_session
def delete_dead(session: Session, **which: Any) -> int:
    """Forget dead letters."""
    return _act(session, DELETE, **which)


def _act(
    session: Session, verb: Verb, *, job_ids: Sequence[str], every: bool, yes: bool, dry_run: bool, **only: Any
) -> int:
    if every == bool(job_ids) or (any(only.values()) and not every):
        raise click.UsageError(
            f"which dead letters?\n  hint: {verb.name} ID..., or --all, --all --queue Q, --all --task T"
        )
    if not every:
        asks = verb is DELETE
        return act_on(session, verb, job_ids, yes=yes or not asks, dry_run=dry_run, must_be="dead")
    targets = [Target(job.name, job.id, job.route) for job in listing(session, ("dead",), only["queue"], only["task"])]
    if not targets:
        note("no such dead letters")
        return exit_codes.OK
    may = confirmed(session, f"{verb.name} {count(len(targets), 'dead letter')}", yes=yes, dry_run=dry_run)
    return act(session, verb, targets) if may else exit_codes.OK
