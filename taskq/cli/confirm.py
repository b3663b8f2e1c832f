"""Asking before something is destroyed: with the number of jobs in the question."""

from __future__ import annotations

import click

from taskq.cli.output import note
from taskq.cli.session import Session


def confirmed(session: Session, what: str, *, yes: bool, dry_run: bool) -> bool:
    """May `what` ("delete 12 jobs") be done? False for a dry run and for a no. Refuses where nobody can be asked."""
    if dry_run:
        note(f"would {what}")
        return False
    if yes:
        return True
    if not session.terminal_in():
        raise click.UsageError(f"cannot {what} without asking, and there is no terminal\n  hint: add --yes")
    if click.confirm(f"{what}?", err=True):
        return True
    note("nothing was done")
    return False
