"""What can be done to jobs: retry, cancel, delete. Each is one call for many jobs, and tells what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from taskq import exit_codes
from taskq.broker import calls
from taskq.broker.call import Call
from taskq.broker.records import Place
from taskq.cli.confirm import confirmed
from taskq.cli.output import note, plain
from taskq.cli.picture import count
from taskq.cli.search import Target, find
from taskq.cli.session import Session
from taskq.errors import JobNotFound

BATCH = 500
Jobs = Sequence[Target]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """`call` makes the request for a batch; it did its work on jobs that were in one of the states `on`."""

    name: str
    done: str
    call: Callable[[Jobs, float], Call[list[Place]]]
    on: frozenset[Place]
    batch: int = BATCH


def _pairs(jobs: Jobs) -> list[tuple[bytes, str]]:
    return [(job.id, job.route) for job in jobs]


def _cancel(jobs: Jobs, now: float) -> Call[list[Place]]:
    from taskq.declaration import RESULT_TTL
    from taskq.job import cancelled_record

    return calls.cancel(_pairs(jobs), cancelled_record(jobs[0].name, now), RESULT_TTL)


RETRY = Verb(
    name="retry",
    done="put in line",
    call=lambda jobs, _: calls.revive(_pairs(jobs)),
    on=frozenset({"dead", "delayed"}),
)
CANCEL = Verb(
    name="cancel",
    done="cancelled",
    call=_cancel,
    on=frozenset({"queued", "delayed", "parked"}),
    batch=1,  # the outcome names the job
)
DELETE = Verb(
    name="delete",
    done="deleted",
    call=lambda jobs, _: calls.delete(_pairs(jobs)),
    on=frozenset({"queued", "delayed", "parked", "dead", "done"}),
)


def act_on(
    session: Session,
    verb: Verb,
    names: Sequence[str],
    *,
    yes: bool,
    dry_run: bool = False,
    must_be: Place | None = None,
) -> int:
    """Do it to the jobs of these names, of those in state `must_be` where that is said; the answer is the exit code."""
    wanted = list(dict.fromkeys(names))
    targets = [target for name in wanted if (target := _target(session, name, must_be)) is not None]
    if not targets:
        return exit_codes.NOT_FOUND
    if not confirmed(session, f"{verb.name} {count(len(targets), 'job')}", yes=yes, dry_run=dry_run):
        return exit_codes.OK
    code = act(session, verb, targets)
    return code if len(targets) == len(wanted) else exit_codes.NOT_FOUND


def _target(session: Session, name: str, must_be: Place | None) -> Target | None:
    """The job of this name; None, and a line that says so, where there is none."""
    try:
        target, found = find(session, name)
    except JobNotFound:
        note(f"there is no job '{plain(name)}'")
        return None
    if must_be in (None, found.place):
        return target
    note(f"{plain(name)}: not {must_be}, it is {found.place}")
    return None


def act(session: Session, verb: Verb, targets: Jobs) -> int:
    """Do it, and say to how many; a job that is not in the right state is named. The answer is the exit code."""
    done = 0
    for batch in _batches(targets, verb.batch):
        places = session.ask(verb.call(batch, session.clock.now()))
        for target, place in zip(batch, places, strict=True):
            done += place in verb.on
            if place not in verb.on:
                note(f"{plain(target.name)}: not {verb.done}, it is {place}")
    note(f"{verb.done}: {count(done, 'job')}")
    return exit_codes.OK if done == len(targets) else exit_codes.FAILED


def _batches(targets: Jobs, size: int) -> Iterator[Jobs]:
    for start in range(0, len(targets), size):
        yield targets[start : start + size]
