"""A job as it is shown: as a row, as JSON, and in full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from taskq import ids
from taskq.broker.keys import member_id, member_route, route_lane, route_parts, route_queue
from taskq.broker.records import Located
from taskq.cli.output import block, brief_text, jsonable, plain, shown, table
from taskq.codec import HARD_LIMIT, Attempt, Envelope, ErrorInfo, Record, decode_history, decode_job, decode_record
from taskq.errors import MalformedJob
from taskq.units import brief

HEADER = ("ID", "STATE", "QUEUE", "WHEN", "JOB", "ERROR")
FRAME_LINES = 12
"""Last lines of a traceback that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """What is known of a job. `time`: when it is due, given up (parked) or died. `problem`: why it is unreadable.

    `behind`: how many jobs are before it, where it waits for the `concurrency` of its task.
    """

    id: bytes
    state: str
    route: str
    envelope: Envelope | None = None
    problem: str = ""
    record: Record | None = None
    time: float | None = None
    worker: str | None = None
    behind: int | None = None

    @property
    def task(self) -> str | None:
        return self.envelope.task if self.envelope else self.record.task if self.record and self.record.task else None

    @property
    def name(self) -> str:
        """What to type for this job: the user's own id where it is fit for that."""
        key = self.envelope.key if self.envelope else None
        return key if key and key.isprintable() and " " not in key and len(key) <= 40 else ids.show(self.id)

    @property
    def error(self) -> ErrorInfo | None:
        return self.record.error if self.record else None


def view(
    member: bytes,
    state: str,
    body: bytes | None,
    *,
    record: bytes | None = None,
    time: float | None = None,
    worker: str | None = None,
) -> JobView:
    """The job of a member, its body and its record."""
    envelope, problem = None, ""
    try:
        envelope = decode_job(body, HARD_LIMIT) if body else None
    except MalformedJob as error:
        problem = str(error)
    return JobView(
        id=member_id(member),
        state=state,
        route=member_route(member),
        envelope=envelope,
        problem=problem,
        record=_record(record),
        time=time,
        worker=worker,
    )


def located_view(job_id: bytes, route: str, found: Located, behind: int | None = None) -> JobView:
    """The job that was found; one that is done has neither body nor route any more."""
    if found.place == "done":
        record = _record(found.record)
        return JobView(id=job_id, state=record.state if record else "done", route="", record=record)
    known = view(
        job_id + route.encode(), found.place, found.body, record=found.record, time=found.due, worker=found.worker
    )
    return replace(known, behind=behind)


# As a row


def row(job: JobView, now: float, terminal: bool) -> list[str]:
    most = 60 if terminal else 1000
    queue = route_queue(job.route) if job.route else "-"
    return [
        job.name,
        job.state,
        queue,
        _when(job, now),
        brief_text(call_text(job), most),
        brief_text(_error(job), most),
    ]


def _when(job: JobView, now: float) -> str:
    if job.state in ("delayed", "parked") and job.time is not None:
        return f"in {brief(job.time - now)}" if job.time > now else "now"
    since = job.time or (job.envelope.enqueued_at if job.envelope else None)
    return "-" if since is None else f"{brief(max(0.0, now - since))} ago"


def call_text(job: JobView) -> str:
    """The job as a call: "tasks.add(2, y=3)"."""
    if job.envelope is None:
        return f"{job.task or '?'}(?)"
    arguments = [shown(arg) for arg in job.envelope.args]
    arguments += [f"{name}={shown(arg)}" for name, arg in job.envelope.kwargs.items()]
    return f"{job.envelope.task}({', '.join(arguments)})"


def _error(job: JobView) -> str:
    return error_line(job.error) if job.error else job.problem.split("\n", 1)[0] or "-"


def error_line(error: ErrorInfo) -> str:
    """ "ValueError: bad image"."""
    name = error.type.rsplit(".", 1)[-1]
    return f"{name}: {error.text}" if error.text else name


# As JSON


def data(job: JobView) -> dict[str, Any]:
    envelope, (queue, lane, priority) = job.envelope, _parts(job.route)
    return {
        "id": ids.show(job.id),
        "key": envelope.key if envelope else None,
        "state": job.state,
        "queue": queue,
        "lane": lane,
        "priority": priority,
        "task": job.task,
        "args": jsonable(envelope.args) if envelope else None,
        "kwargs": jsonable(envelope.kwargs) if envelope else None,
        "enqueued_at": envelope.enqueued_at if envelope else job.record.enqueued_at if job.record else None,
        "due_at": job.time if job.state in ("delayed", "parked") else None,
        "died_at": job.time if job.state == "dead" else None,
        "worker": job.worker or (job.record.worker if job.record else None) or None,
        "error": _error_data(job.error),
        "problem": job.problem or None,
    }


def full_data(job: JobView, found: Located) -> dict[str, Any]:
    """`data`, and what only one job's own page has."""
    count, attempts = _history(found)
    record = job.record
    return {
        **data(job),
        "result": jsonable(record.value) if record and record.state == "done" else None,
        "started_at": record.started_at if record else None,
        "seconds": record.seconds if record else None,
        "losses": found.losses,
        "waits_behind": job.behind,
        "failed_attempts": count,
        "attempts": [
            {"started_at": a.started_at, "seconds": a.seconds, "worker": a.worker, "error": a.error} for a in attempts
        ],
    }


def _error_data(error: ErrorInfo | None) -> dict[str, str] | None:
    return {"type": error.type, "text": error.text, "traceback": error.traceback} if error else None


def _parts(route: str) -> tuple[str | None, str | None, int | None]:
    if not route:
        return None, None, None
    return route_parts(route)


# In full


def page(job: JobView, found: Located, now: float) -> str:
    """Everything about a job, for people, with what to type next."""
    lines = [f" {name:9} {plain(text)}" for name, text in _facts(job, found, now)]
    count, attempts = _history(found)
    if attempts:
        lines.append(f" failed    {count} {'time' if count == 1 else 'times'}, at last:")
        lines += [f" {line}" for line in _attempts(count, attempts).splitlines()]
    if job.error and job.error.traceback:
        lines.append(" traceback")
        lines += [f"   {block(line)}" for line in job.error.traceback.rstrip().split("\n")[-FRAME_LINES:]]
    return "\n".join([*lines, *(f" next      {text}" for text in _next(job))])


def _facts(job: JobView, found: Located, now: float) -> Iterator[tuple[str, str]]:
    key = job.envelope.key if job.envelope else None
    yield "job", f"{ids.show(job.id)}   {shown(key)}" if key else ids.show(job.id)
    yield "state", _state(job, now)
    if job.envelope or job.task:
        yield "task", brief_text(call_text(job), 2000) if job.envelope else str(job.task)
    if job.route:
        yield "queue", f"{route_queue(job.route)}   lane {route_lane(job.route)}   priority {_parts(job.route)[2]}"
    if job.problem:
        yield "problem", job.problem
    enqueued_at = data(job)["enqueued_at"]
    if enqueued_at is not None:
        yield "enqueued", moment(enqueued_at, now)
    if found.losses:
        yield "losses", f"its process died {found.losses} {'time' if found.losses == 1 else 'times'} while it ran"
    yield from _outcome(job, now)


def _outcome(job: JobView, now: float) -> Iterator[tuple[str, str]]:
    record = job.record
    if record is None:
        return
    if record.worker:
        took = f"took {brief(record.seconds)}   attempt {record.attempt}   on {record.worker}"
        yield "started", f"{moment(record.started_at, now)}   {took}"
    if record.error:
        yield "error", brief_text(error_line(record.error), 2000)
    elif record.state == "done":
        yield "result", brief_text(shown(record.value), 2000)


def _state(job: JobView, now: float) -> str:
    if job.state == "running":
        return f"running on {job.worker}" if job.worker else "running"
    if job.behind is not None:
        return f"delayed: waits for the concurrency limit of its task, {job.behind} before it"
    if job.time is not None and job.state in ("delayed", "parked"):
        return f"{job.state}: {'due' if job.state == 'delayed' else 'given up'} {_when(job, now)}"
    return job.state


def _attempts(count: int, attempts: tuple[Attempt, ...]) -> str:
    first = count - len(attempts) + 1
    rows = [
        [str(number), moment(a.started_at), brief(a.seconds), a.worker, brief_text(a.error, 200)]
        for number, a in enumerate(attempts, first)
    ]
    return table(("#", "STARTED", "TOOK", "WORKER", "ERROR"), rows, terminal=True)


def _history(found: Located) -> tuple[int, tuple[Attempt, ...]]:
    try:
        return decode_history(found.history)
    except MalformedJob:
        return 0, ()


def _next(job: JobView) -> list[str]:
    name = job.name
    return {
        "dead": [f"taskq dead retry {name}", f"taskq dead delete {name}"],
        "delayed": [f"taskq jobs retry {name}     (runs it now)", f"taskq jobs cancel {name}"],
        "queued": [f"taskq queues show {route_queue(job.route)}", f"taskq jobs cancel {name}"],
        "running": ["taskq workers list"],
        "parked": ["taskq workers list     (does a worker's app have this task?)", f"taskq jobs cancel {name}"],
    }.get(job.state, [])


def moment(at: float, now: float | None = None) -> str:
    """ "2026-01-31 17:20:01Z   4m05 ago"."""
    try:
        text = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "?"
    return text if now is None else f"{text}   {brief(max(0.0, now - at))} ago"


def _record(data: bytes | None) -> Record | None:
    try:
        return decode_record(data) if data else None
    except MalformedJob:
        return None
