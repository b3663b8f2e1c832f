"""What every test may ask for."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from taskq.broker.embedded import Server
from tests.support.servers import ask, server_or_skip


def pytest_configure() -> None:
    """Let programs that tests start have the signals that a terminal's shell would give them, whoever started us.

    What is ignored here (as by `nohup`, or by a script's `&`) would be ignored in them too; what has a handler is not
    inherited. The handler does nothing, so these tests themselves go on ignoring it.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


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
