"""One fault of the server at a time, while a worker and a producer are at work: nothing is lost, nothing runs twice.

The server keeps what it acknowledged (`appendfsync always`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from taskq.broker.embedded import Server
from taskq.errors import QueueFull
from tests.faults.server import (
    FAULTS,
    crash,
    forget_scripts,
    fragile,
    freeze,
    hang,
    kill_client,
    kill_clients,
    pause,
    squeezed,
    unblock,
)
from tests.process import jobs
from tests.support.scene import at_work
from tests.support.servers import ask, binaries, kinds


@pytest.fixture(params=kinds())
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that may be hurt."""
    with fragile(binaries().get(request.param)) as server:
        yield server


@pytest.mark.parametrize("kind", sorted(binaries()) or ["none"])
@pytest.mark.parametrize("fault", FAULTS)
def test_after_each_fault_the_server_answers_again(kind: str, fault: str) -> None:
    with fragile(binaries().get(kind)) as server:
        ask(server.url, "SET color green")
        assert FAULTS[fault](server, random.Random(1)).what
        assert ask(server.url, "SET color red") == "+OK"


def test_the_server_is_killed_and_started(server: Server) -> None:
    with at_work(server.url) as scene:
        crash(server)
        scene.settle()
        assert not scene.producer.refused


def test_the_server_is_stopped_beyond_the_lease(server: Server) -> None:
    with at_work(server.url, "--procs", "1", "--threads", "8", "--lease", "1") as scene:
        freeze(server, 1.5)
        scene.settle()


def test_the_server_forgets_all_scripts(server: Server) -> None:
    with at_work(server.url) as scene:
        forget_scripts(server)
        scene.settle()
        assert not scene.producer.refused


def test_all_connections_are_closed(server: Server) -> None:
    with at_work(server.url) as scene:
        assert kill_clients(server) > 3
        scene.settle()


def test_connections_are_closed_one_by_one(server: Server) -> None:
    chance = random.Random(1)
    with at_work(server.url) as scene:
        for _ in range(30):
            kill_client(server, chance)
        scene.settle()


def test_blocked_connections_are_unblocked_with_an_error(server: Server) -> None:
    with at_work(server.url, every=0.03) as scene:
        assert unblock(server) > 0
        scene.settle()


@pytest.mark.parametrize("what", ["ALL", "WRITE"])
def test_clients_are_paused_beyond_the_lease(server: Server, what: str) -> None:
    with at_work(server.url, "--procs", "1", "--threads", "8", "--lease", "1") as scene:
        pause(server, 1.5, what)
        scene.settle()


def test_the_server_hangs_beyond_the_lease(server: Server) -> None:
    with at_work(server.url, "--procs", "1", "--threads", "8", "--lease", "1") as scene:
        hang(server, 1.5)
        scene.settle()


def test_memory_runs_out_and_workers_go_on_until_the_queue_is_empty(server: Server) -> None:
    with at_work(server.url) as scene:
        waiting = jobs.nap.enqueue_many([(0.05,)] * 200)
        with squeezed(server):
            assert isinstance(scene.producer.wait_for_a_refusal(), QueueFull)
            assert [job.result(20) for job in waiting] == [0.05] * 200
        scene.settle()
