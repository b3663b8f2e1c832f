"""Finding jobs: one by its id, many by state, queue and task. Pages are asked for as they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from taskq import ids
from taskq.broker import calls, keys
from taskq.broker.keys import member_id, member_route
from taskq.broker.records import Located, Place, QueueRow
from taskq.cli.jobview import JobView, view
from taskq.cli.session import Session
from taskq.codec import HARD_LIMIT, decode_job
from taskq.errors import JobNotFound, MalformedJob
from taskq.executor.chunks import SUFFIX

STATES: tuple[Place, ...] = ("running", "queued", "delayed", "parked", "dead")
PAGE = 100
_NOWHERE = "default:io"
"""Stands for the route of a job that has none any more; it is not looked at."""


@dataclass(frozen=True, slots=True)
class Target:
    """A job to do something to. `name` is what the user called it."""

    name: str
    id: bytes
    route: str


def find(session: Session, name: str) -> tuple[Target, Located]:
    """The job with this id (26 characters, or the user's own), wherever it is. Raises JobNotFound."""
    job_id = ids.named_id(name)
    found = session.ask(calls.locate(job_id, ""))
    if found.body is None and found.record is None:
        raise JobNotFound(
            f"there is no job '{name}'\n"
            "  it was never enqueued here, was deleted, or its result expired\n  hint: taskq jobs list"
        )
    if found.body is None:
        return Target(name, job_id, _NOWHERE), replace(found, place="done")
    route = _route(session, job_id, found.body)
    return Target(name, job_id, route), session.ask(calls.locate(job_id, route))


def waits_behind(session: Session, target: Target, found: Located) -> int | None:
    """How many jobs are before one that waits for its task's `concurrency`; None where it does not."""
    if found.place != "delayed" or not found.body:
        return None
    try:
        task = decode_job(found.body, HARD_LIMIT).task.removesuffix(SUFFIX)
    except MalformedJob:
        return None
    if not task.isprintable():  # no task can have such a name, nor a limit; half a character could not even be a key
        return None
    key = keys.full_key(keys.prefix(session.target()[1]), "limited", task)
    return session.ask(calls.rank(key, target.id + keys.raw(target.route)))


def listing(session: Session, states: Sequence[Place], queue: str | None, task: str | None) -> Iterator[JobView]:
    """Jobs in these states, of one queue and task if that is said: the next to run first, of the dead the last."""
    rows = [row for row in session.ask(calls.overview(1)) if queue in (None, row.name)]
    for state in states:
        found = _running(session, queue) if state == "running" else _waiting(session, state, rows)
        yield from (job for job in found if task in (None, job.task))


def _waiting(session: Session, state: Place, rows: Sequence[QueueRow]) -> Iterator[JobView]:
    for row in rows:
        total, seen = getattr(row, "ready" if state == "queued" else state), set()
        for skip in range(0, total, PAGE):
            for found in session.ask(calls.browse(state, row.name, skip, PAGE)):
                if found.member not in seen:  # pages overlap where cancelled jobs stand in line
                    seen.add(found.member)
                    yield view(found.member, state, found.body, record=found.record, time=found.time)


def _running(session: Session, queue: str | None) -> Iterator[JobView]:
    for row in session.ask(calls.holdings()):
        for member in row.held:
            if queue in (None, member_route(member).split(":", 1)[0]):
                body = session.ask(calls.locate(member_id(member), "")).body
                if body is not None:
                    yield view(member, "running", body, worker=row.epoch)


def _route(session: Session, job_id: bytes, body: bytes) -> str:
    """Where a job belongs: its body says so; one that cannot be read is looked for everywhere."""
    try:
        route = decode_job(body, HARD_LIMIT).route
    except MalformedJob:
        route = ""
    if route:
        return route
    jobs = listing(session, STATES, None, None)
    return next((job.route for job in jobs if job.id == job_id), _NOWHERE)
