"""A torn append-only file: a script whose end is missing has not happened, at the first start and at the second.

A server that finds a script torn ignores it, but may leave its half in the file, for the next start to carry out among
whatever was written since. So `embedded.Server.start` has the file written anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from taskq.broker.broker import Broker
from taskq.broker.embedded import Server
from tests.faults.server import fragile
from tests.support import aof
from tests.support.bench import Bench
from tests.support.census import Census, one_place, take_census
from tests.support.clock import FakeClock
from tests.support.servers import binaries, kinds

Act = Callable[[Bench], object]
SCRIPTS: dict[str, tuple[Act, Act]] = {
    "enqueue": (lambda bench: bench.enqueue("c"), lambda bench: bench.enqueue("c d")),
    "claim": (lambda bench: bench.claim(io=1), lambda bench: bench.claim("w2", io=1)),
    "commit": (lambda bench: bench.commit("held"), lambda bench: bench.reap("w1")),
    "reap": (lambda bench: bench.reap("w1", started="held"), lambda bench: bench.reap("w1", started="held")),
}
"""What is torn, and what is written when the server is back."""


def last_script(server: Server) -> list[aof.Command]:
    """The commands of the last script that wrote more than once, from MULTI to EXEC."""
    return [unit for unit in aof.units(aof.live(server.folder)) if len(unit) > 1][-1]


def settled(census: Census) -> dict[str, object]:
    """Where all jobs are."""
    assert one_place(census) == []
    return {row: census[row] for row in ("ready", "held", "jobs", "losses")}


def cut_within(at: int, act: Act, then: Act, binary: str | None) -> int:
    """Tear command `at` of what `act` writes, and start the server twice; how many commands it had."""
    with fragile(binary) as server:
        clock = FakeClock()
        broker = Broker(server.url, now=clock.now)
        bench = Bench(broker, clock)
        bench.register("w2")
        bench.hold("held")
        bench.enqueue("a b")
        before = settled(take_census(broker))
        act(bench)
        server.kill()
        script = last_script(server)
        os.truncate(aof.live(server.folder), script[at].start + 1)
        server.start()
        assert settled(take_census(broker)) == before
        then(bench)
        written = settled(take_census(broker))
        server.kill()
        server.start()
        assert settled(take_census(broker)) == written
        broker.close()
        return len(script)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("binary", kinds())
def test_a_script_torn_at_any_of_its_commands_has_not_happened_however_often_the_server_starts(
    binary: str, script: str
) -> None:
    at, length = 1, 2
    while at < length:
        length = cut_within(at, *SCRIPTS[script], binaries().get(binary))
        at += 1
    assert length > 3
