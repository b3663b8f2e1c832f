"""The only clock that counts is the server's, and that may jump: nobody is declared dead for it, nothing runs twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from taskq import results
from taskq.broker.embedded import Server
from taskq.clock import SYSTEM_CLOCK
from tests.faults.server import fragile
from tests.process import jobs
from tests.support.moved_clock import MovedClock
from tests.support.scene import Scene, at_work
from tests.support.servers import ask, binaries, kinds, server_binary_or_skip
from tests.support.workers import worker

HOUR = 3600
FLAGS = ("--procs", "1", "--threads", "8", "--async", "4", "--lease", "5")
LONG, BEAT = 2.5, 1.2
"""Seconds: shorter than a lease; longer than the time between two heartbeats, a fifth of a lease."""


@pytest.fixture
def clock(tmp_path: Path) -> MovedClock:
    """The server's clock."""
    return MovedClock(tmp_path / "server")


@pytest.fixture(params=kinds())
def server(request: pytest.FixtureRequest, clock: MovedClock) -> Iterator[Server]:
    with fragile(clock.wrap(server_binary_or_skip(binaries().get(request.param)))) as server:
        yield server


def time_of(server: Server) -> int:
    """What a script on the server is told, in seconds."""
    return int(ask(server.url, "EVAL \"return tonumber(redis.call('TIME')[1])\" 0").removeprefix(":"))


@contextmanager
def two_workers(server: Server, one: dict[str, str], other: dict[str, str]) -> Iterator[Scene]:
    """Two hosts whose long jobs meanwhile run once, and which both live on."""
    with at_work(server.url, *FLAGS, environ=one) as scene, worker(server.url, *FLAGS, **other) as second:
        processes = {*scene.worker.children(), *second.children()}
        running = [jobs.anap.enqueue(LONG) for _ in range(8)]
        scene.journal.wait_for("anap", 8)
        yield scene
        assert [job.result(20) for job in running] == [LONG] * 8
        entries = scene.journal.entries("anap")
        assert len(entries) == 8
        assert {entry.pid for entry in entries} == processes == {*scene.worker.children(), *second.children()}
        second.signal(signal.SIGTERM)
        assert second.end() == 0
        scene.settle()


def test_scripts_see_the_clock_that_was_moved(server: Server, clock: MovedClock) -> None:
    before = time_of(server)
    clock.jump(HOUR)
    assert HOUR <= time_of(server) - before < HOUR + 10
    clock.jump(-2 * HOUR)
    assert -HOUR <= time_of(server) - before < -HOUR + 10


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps_and_comes_back_kills_nobody(
    server: Server, clock: MovedClock, jump: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "ASK_AGAIN_AFTER", 1.0)  # a reply on its way at the jump has expired
    with two_workers(server, {}, {}):
        clock.jump(jump)
        assert jobs.nap.enqueue(BEAT).result(20) == BEAT
        clock.jump(-jump)


def test_the_clocks_of_workers_do_not_matter(server: Server, tmp_path: Path) -> None:
    """One is an hour ahead of the server, one an hour behind."""
    ahead, behind = MovedClock(tmp_path / "one", HOUR), MovedClock(tmp_path / "other", -HOUR)
    with two_workers(server, ahead.environ, behind.environ):
        delayed: list[Any] = [jobs.lateness.options(delay=0.5).enqueue(SYSTEM_CLOCK.monotonic()) for _ in range(8)]
        assert all(0.5 <= job.result(20) < 1.5 for job in delayed)
