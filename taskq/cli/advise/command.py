"""The command `taskq advise`."""

from __future__ import annotations

import click

from taskq.broker import calls, keys
from taskq.cli.advise.plan import plan
from taskq.cli.advise.rows import rows_of
from taskq.cli.advise.view import data, screen
from taskq.cli.cores import cores
from taskq.cli.options import connection_options, json_flag, with_session
from taskq.cli.output import note, say, to_json
from taskq.cli.picture import fleet
from taskq.cli.session import Session


@click.command("advise")
@json_flag
@connection_options()
@with_session
def advise(session: Session, as_json: bool) -> None:
    """What each task is, the lane it should be in, and --procs and --threads for this host.

    \b
    waits                         for a socket, a file, a clock: threads or coroutines wait side by side
    computes in Python            and holds the GIL: the cpu lane, one at a time in each process
    computes in C without the GIL threads beside it run: right in either lane
    mixed                         some of each
    blocks the event loop         a coroutine that does not await: a plain def, in a lane of threads
    quick                         under a millisecond: no lane is better than another

    TAKES is what jobs of the task took; WAITS, PYTHON and C are what one would take with nothing beside it. GIL DELAY
    is how much later other threads of its process come to run because of it.

    Workers measure their jobs all the time, and report every 10 s. What was measured counts half after 30 min of
    newer reports. Jobs in line are not counted: where a queue falls behind, more is needed than is said here.
    """
    _, namespace = session.target()
    stored = session.ask(calls.profiles(keys.full_key(keys.prefix(namespace), "profiles")))
    rows = rows_of(stored, session.clock.now())
    holdings = session.ask(calls.holdings())
    workers = fleet(holdings).workers
    made = plan(rows, cores(), workers)
    if as_json:
        say(to_json(data(rows, made, cores(), workers)))
    elif rows:
        say(screen(rows, made, cores(), workers, session.terminal_out()))
    else:
        note("nothing has been measured yet: workers report every 10 s what their jobs take")
