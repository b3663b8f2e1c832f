"""A journal and an app for tests that run real workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskq.broker.broker import Broker
from tests.process import jobs


@pytest.fixture
def journal_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "journal"
    monkeypatch.setenv("TASKQ_TEST_JOURNAL", str(path))
    return path


@pytest.fixture
def broker(redis_url: str, journal_path: Path) -> Iterator[Broker]:
    """The broker that the tasks of `jobs` enqueue to in this process; the server is empty."""
    broker = Broker(redis_url)
    jobs.app.use(broker)
    yield broker
    jobs.app.close()
