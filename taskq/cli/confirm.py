"""Asking before something is destroyed: with the number of jobs in the question."""

from __future__ import annotations

import click

from taskq import exit_codes
from taskq.cli.output import note
from taskq.cli.session import Session


def confirmed(session: Session, what: str, *, yes: bool, dry_run: bool) -> bool:
    """True where `what` ("delete 12 jobs") may be done, False in a dry run. A no ends the command with 1.

    Raises UsageError where nobody can be asked.
    """
    if dry_run:
        note(f"would {what}")
        return False
    if yes:
        return True
    if not session.terminal_in():
        raise click.UsageError(f"cannot {what} without asking, and there is no terminal\n  hint: add --yes")
    if not click.confirm(f"{what}?", err=True):
        note("nothing was done")
        raise click.exceptions.Exit(exit_codes.FAILED)
    return True
