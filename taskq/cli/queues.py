"""`taskq queues`: list, show, pause, resume, purge."""

from __future__ import annotations

import getpass
import os

import click

from taskq.broker import calls
from taskq.broker.keys import LANES, SOLO, route
from taskq.broker.records import QueueRow
from taskq.cli.confirm import confirmed
from taskq.cli.failures import NotFoundError
from taskq.cli.lazy import Group, did_you_mean
from taskq.cli.options import Name, connection_options, dry_run_flag, json_flag, with_session, yes_flag
from taskq.cli.output import Cell, note, plain, say, table, to_json
from taskq.cli.picture import WINDOW, QueueLine, count, pause_note, picture, queues_of, state_of
from taskq.cli.session import Session
from taskq.cli.status import queue_data
from taskq.units import brief

_HEADER = ("QUEUE", "READY", "DELAYED", "RUNNING", "PARKED", "DEAD", "STATE")


@click.group("queues", cls=Group)
def queues() -> None:
    """List, show, pause, resume and purge queues."""


@queues.command("list")
@json_flag
@connection_options()
@with_session
def list_queues(session: Session, as_json: bool) -> None:
    """Every queue that ever had a job, with how many it has now, by state."""
    lines = _lines(session)
    if as_json:
        say(to_json([queue_data(line) for line in lines]))
        return
    now = session.clock.now()
    rows: list[list[Cell]] = [
        [line.name, line.ready, line.delayed, line.running, line.parked, line.dead, state_of(line, now)]
        for line in lines
    ]
    if rows:
        say(table(_HEADER, rows, session.terminal_out()))
    else:
        note("no queue has had a job yet")


@queues.command("show")
@click.argument("queue")
@json_flag
@connection_options()
@with_session
def show_queue(session: Session, queue: str, as_json: bool) -> None:
    """One queue: its jobs by state, its rates, and who works on it."""
    line = next((line for line in _lines(session) if line.name == queue), None)
    if line is None:
        raise _unknown(session, queue)
    workers = [row.epoch for row in session.ask(calls.holdings()) if queue in queues_of(row) and row.lease_left > 0]
    if as_json:
        say(to_json({**queue_data(line), "workers": workers}))
        return
    say("\n".join(f" {name:9} {plain(value)}".rstrip() for name, value in _details(session, line, workers)))


def _details(session: Session, line: QueueLine, workers: list[str]) -> list[tuple[str, object]]:
    oldest, p50, p95 = ("-" if value is None else brief(value) for value in (line.oldest, line.p50, line.p95))
    return [
        ("queue", line.name),
        ("state", state_of(line, session.clock.now()) or "well"),
        *([("order", f"{line.order}: the newest job first")] if line.order == "lifo" else []),
        ("ready", f"{line.ready}{_bound(line)}   oldest {oldest}"),
        ("delayed", line.delayed),
        ("running", line.running),
        ("parked", line.parked),
        ("dead", f"{line.dead}   {line.died} of them in the last {WINDOW} min"),
        *([("dropped", f"{_late(line)} in the last {WINDOW} min")] if line.dropped else []),
        ("rates", f"in {line.came:.1f}/min   out {line.went:.1f}/min"),
        ("run time", f"p50 {p50}   p95 {p95}"),
        ("workers", "   ".join(workers) or "none"),
        ("next", f"taskq jobs list --queue {line.name}"),
    ]


def _bound(line: QueueLine) -> str:
    return "" if line.max_length is None else f" of {line.max_length} that may be"


def _late(line: QueueLine) -> str:
    return f"{count(line.dropped, 'outcome')} of workers that had been cut off or had stood still"


@queues.command("pause")
@click.argument("queue", type=Name())
@connection_options()
@with_session
def pause_queue(session: Session, queue: str) -> None:
    """Hand out no more jobs of a queue. What runs goes on, and jobs can be enqueued."""
    known = [row.name for row in session.ask(calls.overview(1))]
    paused = session.ask(calls.pause(queue, pause_note(_who(), session.clock.now())))
    note(f"queue {queue} is paused" if paused else f"queue {queue} was paused before")
    if queue not in known:
        note(f"  it has had no job yet{did_you_mean(queue, known)}")


@queues.command("resume")
@click.argument("queue", type=Name())
@connection_options()
@with_session
def resume_queue(session: Session, queue: str) -> None:
    """Hand out a queue's jobs again."""
    resumed = session.ask(calls.resume(queue))
    note(f"queue {queue} goes on" if resumed else f"queue {queue} was not paused")


@queues.command("purge")
@click.argument("queue")
@yes_flag
@dry_run_flag
@connection_options()
@with_session
def purge_queue(session: Session, queue: str, yes: bool, dry_run: bool) -> None:
    """Delete the jobs that wait in line. Those that run, are delayed, parked or dead stay."""
    row = next((row for row in session.ask(calls.overview(1)) if row.name == queue), None)
    if row is None:
        raise _unknown(session, queue)
    if not row.ready:
        note(f"no job waits in queue {queue}")
    elif confirmed(session, f"delete {count(row.ready, 'waiting job')} of queue {queue}", yes=yes, dry_run=dry_run):
        note(f"deleted {count(_purge(session, row), 'job')}")


def _purge(session: Session, queue: QueueRow) -> int:
    """Empty the lines of all lanes and priorities. What is enqueued meanwhile may stay: else there might be no end."""
    deleted = 0
    for lane in (*LANES, SOLO):
        for priority in range(10):
            gone, left, here = 0, 1, 0
            while left and here <= queue.ready:
                gone, left = session.ask(calls.purge(route(queue.name, lane, priority)))
                here += gone
            deleted += here
    return deleted


def _lines(session: Session) -> list[QueueLine]:
    rows = session.ask(calls.overview(WINDOW))
    workers = session.ask(calls.holdings())
    return picture(rows, workers, session.clock.now())


def _unknown(session: Session, queue: str) -> NotFoundError:
    known = [row.name for row in session.ask(calls.overview(1))]
    return NotFoundError(f"there is no queue '{queue}'{did_you_mean(queue, known)}")


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"
