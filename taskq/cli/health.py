"""`taskq health`: for the probes of containers, so it starts fast and imports neither redis nor an app."""

from __future__ import annotations

import click

from taskq import exit_codes
from taskq.cli.options import connection_options, json_flag, with_session
from taskq.cli.output import say, to_json
from taskq.cli.probe import live_workers
from taskq.cli.session import Session
from taskq.config import mask
from taskq.errors import BrokerUnavailable


@click.command("health")
@click.option("--redis-only", is_flag=True, help="Do not ask for a living worker.")
@json_flag
@connection_options()
@with_session
def health(session: Session, redis_only: bool, as_json: bool) -> int:
    """Answer a container's probe: is Redis there, and a worker?

    Ends with 0 when all is well, 1 when Redis answers but no worker process is alive, 3 when Redis cannot be reached
    within 2 seconds. It needs no app: only --url and --namespace, or what they are set to.
    """
    url = mask(session.redis().value)
    try:
        workers = live_workers(session.redis().value, session.namespace())
    except BrokerUnavailable:
        if as_json:
            say(to_json({"ok": False, "redis": False, "url": url, "workers": None}))
        raise
    well = redis_only or workers > 0
    alive = f"{workers or 'no'} worker process{'es are' if workers > 1 else ' is'} alive"
    if as_json:
        say(to_json({"ok": well, "redis": True, "url": url, "workers": workers}))
    else:
        say(f"{'ok' if well else 'not ok'}: Redis answers, {alive}")
    return exit_codes.OK if well else exit_codes.FAILED
