"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskq.broker.embedded import Server
from tests.support.servers import ask, server_or_skip


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """The real server of this test run. Tests that hurt a server start one of their own."""
    with server_or_skip() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """URL of the real server, emptied."""
    assert ask(redis_server.url, "FLUSHALL") == "+OK"
    return redis_server.url
