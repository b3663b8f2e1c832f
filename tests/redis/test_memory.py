"""At maxmemory producers are stopped, never workers: a queue that is full drains."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.errors import QueueFull
from tests.support.bench import ROUTE, Bench
from tests.support.census import ask, one_place, take_census
from tests.support.clock import FakeClock
from tests.support.servers import binaries, server_or_skip


@pytest.fixture(params=sorted(binaries()) or ["system"], scope="module")
def small_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a server of its own, of each kind that is installed."""
    with server_or_skip(binaries().get(request.param)) as server:
        yield server.url


@pytest.fixture
def full(small_server: str, clock: FakeClock) -> Iterator[Bench]:
    """A bench with jobs in line, held, delayed, parked and dead; then memory runs out. It is handed back emptied."""
    broker = Broker(small_server, now=clock.now)
    ask(broker, "FLUSHALL")
    bench = Bench(broker, clock)
    bench.hold("held1 held2 held3 parked dead lost1 lost2")
    bench.park("parked")
    bench.bury("dead")
    bench.enqueue("a b c")
    bench.enqueue("later", delay=5)
    ask(broker, "CONFIG", "SET", "maxmemory", 1)
    yield bench
    ask(broker, "CONFIG", "SET", "maxmemory", 0)
    broker.close()


def test_enqueue_is_refused(full: Bench) -> None:
    with pytest.raises(QueueFull, match="maxmemory"):
        full.enqueue("x")
    with pytest.raises(QueueFull, match="maxmemory"):
        full.enqueue("x", delay=10)
    assert full.place("x") == "unknown"


def test_an_enqueue_that_is_sent_again_is_not_refused(full: Bench) -> None:
    """Its producer had no answer: to say now that nothing was stored would be wrong."""
    assert full.enqueue("a") == 0
    assert full.enqueue("a b held1 later") == 0


def test_workers_go_on_and_drain_the_queue(full: Bench) -> None:
    assert full.claim(io=1) == "a"
    assert full.commit("held1 a") == ""
    assert full.retry("held2", delay=5) == ""
    assert full.give_back("held3") == 1
    full.register("w2")
    full.beat(w2="")
    assert full.reap(started="lost1").given_back == 2
    assert full.unpark("parked", "w2") == "parked"
    full.clock.advance(5)
    full.promote()
    full.beat(w2="")
    left = full.claim("w2", io=20)
    assert set(left.split()) == {"b", "c", "held2", "held3", "later", "lost1", "lost2"}
    assert full.park("b", "w2") == ""
    assert full.bury("c", "w2") == ""
    full.clock.advance(600)
    full.promote()
    assert full.commit("held2 held3 later lost1 lost2 parked", "w2") == ""
    assert full.line() == full.held("w2") == ""
    assert one_place(take_census(full.broker)) == []


def test_operators_can_make_room(full: Bench) -> None:
    assert full.cancel("a later") == ["queued", "delayed"]
    assert full.delete("dead b") == ["dead", "queued"]
    assert full.run(calls.purge(ROUTE)) == (1, 0)


def test_who_waits_for_an_outcome_can_go_on_waiting(full: Bench) -> None:
    assert full.wait_for("a") == [None]
    full.claim(io=1)
    full.commit("a")
    assert full.told() == "a"


def test_a_queue_can_be_paused_and_resumed(full: Bench) -> None:
    assert full.run(calls.pause("default", "me"))
    assert full.run(calls.resume("default"))
