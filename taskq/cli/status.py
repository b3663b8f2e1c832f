"""`taskq status`: one screen, drawn once or again and again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from taskq import exit_codes
from taskq.broker import calls
from taskq.cli.options import BareFlags, Seconds, connection_options, json_flag, with_session
from taskq.cli.output import paint, plain, say, table, to_json
from taskq.cli.picture import WINDOW, Fleet, QueueLine, fleet, picture, state_of, troubles
from taskq.cli.session import Session
from taskq.errors import BrokerError, BrokerUnavailable
from taskq.units import brief

_HEADER = ("QUEUE", "READY", "OLDEST", "DELAYED", "RUNNING", "DEAD", "IN/min", "OUT/min", "p50", "p95", "STATE")
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


@click.command("status", cls=BareFlags)
@click.option(
    "--watch", type=Seconds(), metavar="[SECONDS]", help="Draw it again every 2 seconds, or as often as said."
)
@json_flag
@connection_options()
@with_session
def status(session: Session, watch: float | None, as_json: bool) -> int:
    """Queues and workers on one screen.

    \b
    Ends with 1 when something is wrong, which is one of these:
      - a job waits and no worker is alive, or none that works on its queue (paused queues are left out)
      - more jobs come than go, and the first in line has waited for over a minute
      - jobs are parked: no worker knows their task
      - jobs died within the last 10 minutes
      - a worker process whose lease ran out holds jobs

    Rates and run times (p50, p95) are those of the last 10 minutes.
    """
    if watch is None:
        return _draw(session, as_json)
    while True:
        if session.terminal_out() and not as_json:
            click.echo(_CLEAR, nl=False, color=True)
        try:
            _draw(session, as_json)
        except BrokerUnavailable as error:
            say(plain(str(error).split("\n", 1)[0]))
        session.sleep(max(0.1, watch))


def _draw(session: Session, as_json: bool) -> int:
    now = session.clock.now()
    workers = session.ask(calls.holdings())
    rows = session.ask(calls.overview(WINDOW))
    lines, alive = picture(rows, workers, now), fleet(workers)
    wrong, redis = troubles(lines, alive), _redis(session)
    if as_json:
        say(to_json(_data(lines, alive, wrong, redis)))
    else:
        say(_screen(session, lines, alive, wrong, redis))
    return exit_codes.FAILED if wrong else exit_codes.OK


def _redis(session: Session) -> dict[str, str]:
    """What INFO says; nothing where it is not allowed."""
    try:
        return session.ask(calls.info())
    except BrokerUnavailable:
        raise
    except BrokerError:
        return {}


def _screen(session: Session, lines: list[QueueLine], alive: Fleet, wrong: list[str], redis: dict[str, str]) -> str:
    now = session.clock.now()
    rows = [[*_cells(line), state_of(line, now)] for line in lines]
    parts = [f" redis {_summary(redis)}", table(_HEADER, rows, session.terminal_out(), headed=True)]
    if not lines:
        parts[1] = " no queue has had a job yet"
    died, ended = sum(line.died for line in lines), sum(line.ended for line in lines)
    share = f" . {died / ended:.1%} died in {WINDOW} min" if ended else ""
    slots = f" . {alive.slots:,} slots".replace(",", " ") if alive.processes else ""
    parts.append(f" workers {alive.workers} . processes {alive.processes}{slots} . running {alive.busy}{share}")
    parts += [f" {paint('!', sys.stdout, fg='yellow', bold=True)} {plain(text)}" for text in wrong]
    return "\n".join(parts)


def _cells(line: QueueLine) -> list[str | int]:
    oldest, p50, p95 = ("-" if value is None else brief(value) for value in (line.oldest, line.p50, line.p95))
    return [
        *(line.name, line.ready, oldest, line.delayed, line.running, line.dead),
        *(_rate(line.came), _rate(line.went), p50, p95),
    ]


def _rate(a_minute: float) -> str | int:
    return f"{a_minute:.1f}" if 0 < a_minute < 9.95 else round(a_minute)


def _summary(redis: dict[str, str]) -> str:
    if not redis:
        return "answers"
    most = redis.get("maxmemory_human", "0B")
    memory = redis.get("used_memory_human", "?") + ("" if most.startswith("0") else f"/{most}")
    up = brief(float(redis.get("uptime_in_seconds", 0)))
    return plain(
        f"{redis.get('redis_version', '?')}  up {up}  mem {memory}  clients {redis.get('connected_clients', '?')}"
    )


def _data(lines: list[QueueLine], alive: Fleet, wrong: list[str], redis: dict[str, str]) -> dict[str, Any]:
    workers = {"workers": alive.workers, "processes": alive.processes, "slots": alive.slots, "running": alive.busy}
    return {
        "ok": not wrong,
        "redis": {
            "version": redis.get("redis_version"),
            "used_memory": int(redis["used_memory"]) if "used_memory" in redis else None,
            "maxmemory": int(redis["maxmemory"]) if "maxmemory" in redis else None,
        },
        **workers,
        "queues": [queue_data(line) for line in lines],
        "problems": wrong,
    }


def queue_data(line: QueueLine) -> dict[str, Any]:
    """A queue as JSON has it: rates are per minute, durations are in seconds."""
    data = asdict(line)
    names = {"came": "in_per_minute", "went": "out_per_minute", "oldest": "oldest_seconds"}
    return {
        names.get(name, name): round(value, 6) if isinstance(value, float) else value for name, value in data.items()
    }
