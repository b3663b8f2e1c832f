"""Redis is away for a while: longer than the lease, and with jobs that run meanwhile.

TASKQ_OUTAGE=60 says how long (seconds); the default is short.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from taskq.broker.embedded import Server
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import BrokerUnavailable
from tests.faults.server import crash, fragile
from tests.process import jobs
from tests.support.scene import at_work
from tests.support.servers import binaries, kinds
from tests.support.workers import worker

OUTAGE = float(os.environ.get("TASKQ_OUTAGE", "2.5"))
RESUMED = 3.0
"""Seconds from the server's return to the first job."""

pytestmark = pytest.mark.timeout(120 + 2 * OUTAGE)


@pytest.fixture(params=kinds())
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with fragile(binaries().get(request.param)) as server:
        yield server


def test_two_hosts_resume_within_three_seconds_and_neither_takes_the_other_for_dead(server: Server) -> None:
    flags = ("--procs", "1", "--threads", "8", "--async", "4", "--lease", "2" if OUTAGE < 15 else "15")
    with at_work(server.url, *flags, patience=0) as scene, worker(server.url, *flags) as other:
        lengths = [OUTAGE / 2, OUTAGE + 1] * 4
        running = [jobs.anap.enqueue(seconds) for seconds in lengths]
        scene.journal.wait_for("anap", 8)
        server.kill()
        time.sleep(OUTAGE)
        server.start()
        back, ran = SYSTEM_CLOCK.monotonic(), len(scene.journal.entries("nap"))
        first = scene.journal.wait_for("nap", ran + 1)
        print(f"redis was down for {OUTAGE:g} s; the first job ran {first.at - back:.2f} s after its return")
        assert first.at - back < RESUMED
        assert [job.result(20) for job in running] == lengths
        assert len(scene.journal.entries("anap")) == 8
        other.signal(signal.SIGTERM)
        assert other.end() == 0
        scene.settle()
        assert {type(error) for error in scene.producer.refused} == {BrokerUnavailable}


def test_what_was_refused_while_the_server_came_and_went_is_enqueued_again_and_runs_once(server: Server) -> None:
    with at_work(server.url, patience=0) as scene:
        for _ in range(3):
            scene.journal.wait_for("nap", len(scene.journal.entries("nap")) + 20)
            crash(server, down=0.05)
        assert scene.producer.refused
        scene.settle()
        assert scene.repeated() == set()
