"""The server's clock is moved by an hour while jobs run: nobody is declared dead for it, and nothing runs twice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from taskq.broker.embedded import Server
from tests.faults.server import fragile
from tests.process import jobs
from tests.support.scene import at_work
from tests.support.server_clock import ServerClock
from tests.support.servers import ask, binaries, server_binary_or_skip
from tests.support.workers import worker

HOUR = 3600


@pytest.fixture(params=sorted(binaries()) or ["none"])
def clock(request: pytest.FixtureRequest, tmp_path: Path) -> ServerClock:
    return ServerClock(tmp_path, server_binary_or_skip(binaries().get(request.param)))


def time_of(server: Server) -> int:
    """What a script on the server is told, in seconds."""
    return int(ask(server.url, "EVAL \"return tonumber(redis.call('TIME')[1])\" 0").removeprefix(":"))


def test_scripts_see_the_clock_that_was_moved(clock: ServerClock) -> None:
    with fragile(clock.binary) as server:
        before = time_of(server)
        clock.jump(HOUR)
        assert HOUR <= time_of(server) - before < HOUR + 10
        clock.jump(-2 * HOUR)
        assert -HOUR <= time_of(server) - before < -HOUR + 10


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps_and_comes_back_kills_nobody(clock: ServerClock, jump: int) -> None:
    flags = ("--procs", "1", "--threads", "8", "--async", "4", "--lease", "1")
    with (
        fragile(clock.binary) as server,
        at_work(server.url, *flags) as scene,
        worker(server.url, *flags) as other,
    ):
        processes = {*scene.worker.children(), *other.children()}
        running = [jobs.anap.enqueue(1.5) for _ in range(8)]
        scene.journal.wait_for("anap", 8)
        clock.jump(jump)
        assert [job.result(20) for job in running] == [1.5] * 8
        entries = scene.journal.entries("anap")
        assert len(entries) == 8
        assert {entry.pid for entry in entries} == processes == {*scene.worker.children(), *other.children()}
        clock.jump(-jump)
        other.signal(signal.SIGTERM)
        assert other.end() == 0
        scene.settle()
