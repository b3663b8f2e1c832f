"""`taskq workers`: list."""

from __future__ import annotations

from typing import Any

import click

from taskq.broker import calls
from taskq.broker.records import WorkerRow
from taskq.cli.lazy import Group
from taskq.cli.options import connection_options, json_flag, with_session
from taskq.cli.output import Cell, note, say, table, to_json
from taskq.cli.session import Session
from taskq.errors import ConfigError
from taskq.served import weights_of
from taskq.units import brief

_HEADER = ("PROCESS", "HOST", "PID", "UP", "QUEUES", "SLOTS", "HOLDS", "LEASE", "APP", "VERSION")


@click.group("workers", cls=Group)
def workers() -> None:
    """List worker processes."""


@workers.command("list")
@json_flag
@connection_options()
@with_session
def list_workers(session: Session, as_json: bool) -> None:
    """Every worker process: where it runs, what it works on, how many jobs it holds, how long its lease is good."""
    found = session.ask(calls.holdings())
    rows = sorted(found, key=lambda row: row.epoch)
    if as_json:
        say(to_json([_data(row) for row in rows]))
    elif rows:
        say(table(_HEADER, [_cells(row, session.clock.now()) for row in rows], session.terminal_out()))
    else:
        note("no worker is alive")


def _cells(row: WorkerRow, now: float) -> list[Cell]:
    info, up = row.info, _started(row)
    return [
        row.epoch,
        info.get("host", "?"),
        info.get("pid", "?"),
        "?" if up is None else brief(max(0.0, now - up)),
        info.get("weights") or info.get("queues", "?"),
        info.get("slots", "?"),
        len(row.held),
        brief(row.lease_left) if row.lease_left > 0 else "run out",
        info.get("app", "?"),
        info.get("version", "?"),
    ]


def _data(row: WorkerRow) -> dict[str, Any]:
    info = row.info
    return {
        "process": row.epoch,
        "supervisor": info.get("supervisor"),
        "host": info.get("host"),
        "pid": int(info["pid"]) if info.get("pid", "").isdigit() else None,
        "started_at": _started(row),
        "queues": [name for name in info.get("queues", "").split(",") if name],
        "weights": _weights(info.get("weights", "")),
        "slots": info.get("slots"),
        "holds": len(row.held),
        "lease_seconds": row.lease_left,
        "app": info.get("app"),
        "version": info.get("version"),
    }


def _weights(text: str) -> dict[str, int]:
    words = [word for word in text.split(",") if word]
    try:
        return weights_of(words)
    except ConfigError:  # whoever wrote it
        return {}


def _started(row: WorkerRow) -> float | None:
    try:
        return float(row.info["started_at"])
    except (KeyError, ValueError):
        return None
