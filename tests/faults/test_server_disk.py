"""A server whose disk is full: it takes no writes, or ends. Producers are told, workers try on, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from taskq.broker.embedded import Server
from taskq.errors import BrokerUnavailable
from tests.faults.server import DURABLE, disk_full, fragile, small_disk
from tests.support.scene import at_work
from tests.support.servers import ask, binaries, ends, kinds, server_binary_or_skip


@pytest.fixture(params=kinds())
def binary(request: pytest.FixtureRequest) -> str | None:
    return binaries().get(request.param)


def test_a_server_that_syncs_now_and_then_refuses_writes_until_there_is_room(binary: str | None) -> None:
    with fragile(binary, appendfsync="everysec") as server, at_work(server.url, patience=0) as scene:
        with disk_full(server):
            refusal = scene.producer.wait_for_a_refusal()
        assert isinstance(refusal, BrokerUnavailable)
        assert "MISCONF" in str(refusal)
        scene.settle()


def test_a_server_that_syncs_always_ends_and_has_lost_nothing_when_it_is_started_with_room(binary: str | None) -> None:
    with fragile(binary) as server, at_work(server.url, patience=0) as scene:
        with ends(server.pid), disk_full(server, spare=1000):
            assert isinstance(scene.producer.wait_for_a_refusal(), BrokerUnavailable)
        scene.settle()


def test_a_server_whose_snapshot_failed_refuses_writes_until_one_succeeds(binary: str | None) -> None:
    with fragile(binary, appendonly="no") as server, at_work(server.url, patience=0) as scene:
        ask(server.url, 'CONFIG SET save "3600 1"')  # else a server does not care whether it could be saved
        with disk_full(server):
            ask(server.url, "BGSAVE")
            refusal = scene.producer.wait_for_a_refusal()
        assert "MISCONF" in str(refusal)
        ask(server.url, "BGSAVE")
        scene.settle()


@pytest.fixture
def small(binary: str | None) -> Iterator[Server]:
    """A server on a disk of 16 MB."""
    with TemporaryDirectory(prefix="taskq-") as folder, small_disk(Path(folder)):
        server = Server(Path(folder), server_binary_or_skip(binary), **{**DURABLE, "appendfsync": "everysec"})
        try:
            server.start()
            yield server
        finally:
            server.kill()
            server.leave()
            server.wait()


def test_a_full_disk_is_told_to_producers_and_nothing_is_lost_when_there_is_room_again(small: Server) -> None:
    ballast = small.folder / "ballast"
    with at_work(small.url, patience=0) as scene:
        fill(ballast)
        refusal = scene.producer.wait_for_a_refusal()
        ballast.unlink()
        assert isinstance(refusal, BrokerUnavailable)
        assert "No space left on device" in str(refusal)
        scene.settle()


def fill(path: Path) -> None:
    """Write to `path` until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            return
