"""Redis is away for a while: longer than the lease, and with jobs that run meanwhile.

TASKQ_OUTAGE=60 says how long (seconds); the default is short.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from taskq.broker.embedded import Server
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import BrokerUnavailable
from tests.faults.server import crash, fragile
from tests.process import jobs
from tests.support.scene import at_work
from tests.support.servers import binaries

OUTAGE = float(os.environ.get("TASKQ_OUTAGE", "1.5"))
RESUMED = 3.0
"""Seconds from the server's return to the first job."""

pytestmark = pytest.mark.timeout(120 + 2 * OUTAGE)


@pytest.fixture(params=sorted(binaries()) or ["none"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with fragile(binaries().get(request.param)) as server:
        yield server


def test_workers_resume_within_three_seconds_and_nothing_runs_twice(server: Server) -> None:
    lease = "1" if OUTAGE < 15 else "15"
    with at_work(server.url, "--procs", "2", "--threads", "8", "--lease", lease) as scene:
        during = jobs.anap.enqueue(OUTAGE / 2)
        beyond = jobs.anap.enqueue(OUTAGE + 1)
        scene.journal.wait_for("anap", 2)
        server.kill()
        time.sleep(OUTAGE)
        server.start()
        back, ran = SYSTEM_CLOCK.monotonic(), len(scene.journal.entries("nap"))
        first = scene.journal.wait_for("nap", ran + 1)
        print(f"redis was down for {OUTAGE:g} s; the first job ran {first.at - back:.2f} s after its return")
        assert first.at - back < RESUMED
        assert [during.result(20), beyond.result(20)] == [OUTAGE / 2, OUTAGE + 1]
        scene.settle()
        assert len(scene.journal.entries("anap")) == 2
        assert scene.repeated() == set()
        assert {type(error) for error in scene.producer.refused} == {BrokerUnavailable}


def test_what_was_refused_while_the_server_came_and_went_is_enqueued_again_and_runs_once(server: Server) -> None:
    with at_work(server.url) as scene:
        for _ in range(5):
            scene.journal.wait_for("nap", len(scene.journal.entries("nap")) + 20)
            crash(server, down=0.05)
        assert len(scene.producer.refused) >= 5
        scene.settle()
        assert scene.repeated() == set()
