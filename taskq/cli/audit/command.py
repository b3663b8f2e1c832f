"""The command `taskq audit`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click

from taskq import exit_codes, ids
from taskq.broker import keys
from taskq.cli.audit import fabric
from taskq.cli.audit.closely import Glass
from taskq.cli.audit.findings import Finding, detail
from taskq.cli.audit.jury import Guilty, Jury, mend
from taskq.cli.audit.survey import survey
from taskq.cli.audit.suspects import suspects
from taskq.cli.audit.view import Report, data, report, screen
from taskq.cli.confirm import confirmed
from taskq.cli.options import connection_options, dry_run_flag, json_flag, with_session, yes_flag
from taskq.cli.output import note, say, to_json
from taskq.cli.picture import count
from taskq.cli.session import Session
from taskq.codec import ErrorInfo, Record, encode_record

_OFTEN = 0.2
"""Seconds between two lines of progress."""
_LOST_RECORD = "it is a dead letter whose record was lost"


@click.command("audit")
@click.option("--repair", is_flag=True, help="Put right what was found. Asks first.")
@yes_flag
@dry_run_flag
@json_flag
@connection_options()
@with_session
def audit(session: Session, repair: bool, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Count every job in every place, and say whether each is in exactly one.

    It is safe on a live system: it reads in small pages, and what looks wrong while jobs move is looked at again, all
    at one instant, twice, before it is called a finding.

    Ends with 0 when all is well or was repaired, 1 when something is wrong.
    """
    if (yes or dry_run) and not repair:
        raise click.UsageError("--yes and --dry-run are for --repair")
    progress = Progress(session, shown=session.terminal_out() and not as_json)
    inquest = _inquire(session, progress)
    progress.clear()
    found = inquest.report
    if not as_json:
        say(screen(found, session.terminal_out(), advise=not repair))
    repaired = None
    if repair and found.findings:
        what = f"repair {count(len(found.findings), 'finding')}"
        if confirmed(session, what, yes=yes, dry_run=dry_run):
            repaired = _repair(session, inquest)
            note(f"repaired: {repaired} of {len(found.findings)}")
    if as_json:
        say(to_json(data(found, repaired)))
    return exit_codes.OK if (repaired or 0) == len(found.findings) else exit_codes.FAILED


@dataclass(frozen=True, slots=True)
class Inquest:
    """A report, and what is needed to repair what it found."""

    report: Report
    glass: Glass
    guilty: list[Guilty]
    fabric: list[Finding]


def _inquire(session: Session, progress: Progress) -> Inquest:
    ask = session.ask
    prefix = keys.prefix(session.target()[1])
    found = survey(ask, prefix, progress)
    orphans = fabric.orphans(ask, found)
    glass = Glass(ask, prefix, [finding.subject for finding in orphans])
    verdicts = Jury(glass, found.routes, progress).judge(suspects(found))
    about_keys = [
        *orphans,
        *fabric.unlisted(ask, prefix, found),
        *fabric.doubled_bells(ask, prefix, found),
        *fabric.silent(ask, found, session.sleep),
    ]
    about_jobs = [
        Finding(kind, ids.show(one.case.job), detail(one.sight))
        for one in verdicts.guilty
        for kind in sorted(one.kinds)
    ]
    return Inquest(report(found, [*about_jobs, *about_keys], verdicts.unsettled), glass, verdicts.guilty, about_keys)


def _repair(session: Session, inquest: Inquest) -> int:
    """The answer is how many findings were dealt with. Each is looked at again by the script that mends it."""
    mended = mend(inquest.glass, inquest.guilty, _unused(session), _record())
    fabric.repair(session.ask, inquest.fabric)
    return len(inquest.fabric) + sum(len(one.kinds) for one in mended)


def _unused(session: Session) -> Iterator[bytes]:
    """Ids that no job has."""
    while True:
        yield ids.new_id(session.clock.now())


def _record() -> bytes:
    error = ErrorInfo(type="taskq.errors.JobFailed", text=_LOST_RECORD, args=(_LOST_RECORD,))
    return encode_record(
        Record(state="dead", error=error, task="", enqueued_at=0.0, started_at=0.0, seconds=0.0, attempt=0, worker="")
    )


class Progress:
    """A line on stderr that says how far it is, written over now and then."""

    def __init__(self, session: Session, *, shown: bool):
        self._clock, self._shown, self._last = session.clock, shown, 0.0

    def __call__(self, what: str, number: int) -> None:
        now = self._clock.monotonic()
        if self._shown and now - self._last >= _OFTEN:
            self._last = now
            click.echo(f"\r\x1b[K reading {what}: {number:,}".replace(",", " "), nl=False, err=True, color=True)

    def clear(self) -> None:
        if self._shown and self._last:
            click.echo("\r\x1b[K", nl=False, err=True, color=True)
            sys.stderr.flush()
