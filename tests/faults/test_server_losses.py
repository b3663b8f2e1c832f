"""A server that loses what it acknowledged: only that is missing or runs again, and the tests list it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from taskq.broker.embedded import Server
from taskq.clock import SYSTEM_CLOCK
from taskq.ids import named_id
from tests.faults.server import crash, fragile, tear
from tests.support import aof
from tests.support.scene import at_work
from tests.support.servers import binaries, kinds


@pytest.fixture(params=kinds())
def binary(request: pytest.FixtureRequest) -> str | None:
    return binaries().get(request.param)


@pytest.fixture
def server(binary: str | None) -> Iterator[Server]:
    with fragile(binary) as server:
        yield server


@pytest.mark.parametrize("where", aof.PLACES)
def test_of_a_torn_tail_only_what_stood_in_it_is_missing_or_runs_again(server: Server, where: aof.Where) -> None:
    with at_work(server.url) as scene:
        torn = tear(server, where, random.Random(1), most=100)
        crash(server)
        acknowledged = scene.settle(missing=torn.enqueued, undone=torn.touched)
        lost = [job.id for job in acknowledged if job.status() == "unknown"]
        print(f"lost with the torn tail: {lost}; run again: {sorted(scene.repeated())}")


def test_with_everysec_a_killed_server_has_lost_at_most_its_last_seconds(binary: str | None) -> None:
    """What the server has written the kernel has. It writes before it answers, but 2 s late while a sync lasts."""
    with fragile(binary, appendfsync="everysec") as server, at_work(server.url) as scene:
        scene.journal.wait_for("nap", 200)
        since = SYSTEM_CLOCK.monotonic() - 2
        server.kill()
        recent = {job.raw for job, at in scene.producer.acknowledged if at > since}
        ran = {
            named_id(entry.job) for entry in scene.journal.entries("nap") if entry.at > since - scene.producer.seconds
        }
        server.start()
        acknowledged = scene.settle(missing=recent, undone=ran)
        print(f"lost with the last seconds: {[job.id for job in acknowledged if job.status() == 'unknown']}")
