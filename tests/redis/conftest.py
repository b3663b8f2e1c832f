"""A broker on each kind of server, empty, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskq.broker.broker import Broker
from tests.support.bench import Bench
from tests.support.census import one_place, take_census
from tests.support.clock import FakeClock
from tests.support.fake import fake_broker
from tests.support.gate import Gate


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["fakeredis", "redis"])
def broker(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Broker]:
    """A broker that takes its time from `clock`. Skipped for "redis" where no server can be had."""
    if request.param == "fakeredis":
        broker = fake_broker(clock.now)
    else:
        broker = Broker(request.getfixturevalue("redis_url"), now=clock.now)
    yield broker
    broker.close()


@pytest.fixture
def bench(broker: Broker, clock: FakeClock) -> Iterator[Bench]:
    """The broker with short words. When the test is over, each job must still be in exactly one place."""
    yield Bench(broker, clock)
    assert one_place(take_census(broker)) == []


@pytest.fixture
def gate(redis_url: str) -> Iterator[Gate]:
    """A way to the server that the test shuts and opens."""
    gate = Gate(redis_url)
    yield gate
    gate.close()
