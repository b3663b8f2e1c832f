"""A real worker beside somebody who writes into its namespace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskq.broker.broker import Broker
from tests.process import jobs
from tests.support.census import ask
from tests.support.workers import Worker, worker

ROWS = {
    "ready": ("default:io", b"somebody's"),
    "levels": ("", b"somebody's"),
    "workers": ("", b"somebody's"),
}


@pytest.fixture
def quiet(redis_url: str) -> Iterator[Worker]:
    with worker(redis_url, "--procs", "1", "--threads", "2") as started:
        yield started


@pytest.mark.parametrize("row", ROWS)
def test_a_worker_names_the_key_that_it_cannot_use_and_goes_on_when_it_is_gone(
    broker: Broker, quiet: Worker, row: str
) -> None:
    rest, value = ROWS[row]
    key, aside = broker.key(row, rest), b"{taskq}-aside"
    there = ask(broker, "EXISTS", key)
    if there:
        ask(broker, "RENAME", key, aside)
    ask(broker, "SET", key, value)
    told = quiet.wait_for("redis")
    assert told["error"].startswith(f"cannot use the key {key.decode()!r}: it is a string, and taskq keeps a")
    assert ask(broker, "DEL", key) == 1
    if there:
        ask(broker, "RENAME", aside, key)
    assert jobs.add.enqueue(2, 3).result(20) == 5
    quiet.process.terminate()
    assert quiet.end() == 0
    assert "process died" not in quiet.log()
    assert "Traceback" not in quiet.log()
