"""A primary that dies under work, with a sentinel that has its replica take over: nobody is told, and work goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.wire import FastWire
from taskq.cli.probe import live_workers
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import BrokerUnavailable
from tests.process import jobs
from tests.support.sentinel import Service, service
from tests.support.workers import worker

WAIT = 30


@pytest.fixture
def sentinels() -> Iterator[Service]:
    with service() as made:
        yield made


def test_a_worker_and_a_producer_go_on_with_the_new_primary(sentinels: Service) -> None:
    broker = Broker(sentinels.url)
    jobs.app.use(broker)
    try:
        with worker(sentinels.url, "--procs", "1", "--threads", "4") as started:
            before = jobs.add.enqueue_many([(n, n) for n in range(50)])
            assert jobs.app.gather(before, WAIT) == [2 * n for n in range(50)]
            sentinels.fail_over()
            during = [jobs.add.enqueue(n, 1) for n in range(20)]  # none of them is an error
            assert jobs.app.gather(during, WAIT) == [n + 1 for n in range(20)]
            started.wait_for("redis", note="answers again", who="supervisor")
            assert live_workers(sentinels.url, "taskq") == 1
            started.signal(signal.SIGTERM)
            assert started.end() == 0
    finally:
        jobs.app.close()
    assert "role:master" in sentinels.ask(sentinels.ports[1], "INFO replication")


def test_connections_by_sentinels_are_as_fast_as_others(sentinels: Service) -> None:
    pytest.importorskip("hiredis")
    with closing(Broker(sentinels.url)) as broker:
        assert type(broker.wire()) is FastWire
        assert broker.run(calls.ping())


def test_without_a_primary_there_is_a_clear_error_in_time(sentinels: Service) -> None:
    with closing(Broker(sentinels.url)) as broker:
        broker.patience = 1.0
        assert broker.run(calls.ping())
        sentinels.replica.kill()
        sentinels.primary.kill()
        began = SYSTEM_CLOCK.monotonic()
        with pytest.raises(BrokerUnavailable, match=r"sentinel://:\*\*\*@127.0.0.1"):
            broker.run(calls.ping())
        assert SYSTEM_CLOCK.monotonic() - began < 4
