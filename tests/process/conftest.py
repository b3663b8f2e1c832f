"""A journal and an app for tests that run real workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from taskq.broker.broker import Broker
from tests.process import jobs
from tests.support.journal import Journal


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    with TemporaryDirectory(prefix="taskq-") as folder:  # a short path: it holds a socket
        journal = Journal(Path(folder))
        for name, value in journal.environ.items():
            monkeypatch.setenv(name, value)
        yield journal
        journal.close()


@pytest.fixture
def broker(redis_url: str, journal: Journal) -> Iterator[Broker]:
    """The broker that the tasks of `jobs` enqueue to in this process; the server is empty."""
    broker = Broker(redis_url)
    jobs.app.use(broker)
    yield broker
    jobs.app.close()
