"""How long a producer waits: as long as a failover takes, never longer, and not for a Redis that was never there."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from taskq import TaskQ
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.errors import BrokerUnavailable, QueueFull, TimeLimit
from taskq.outbox import Outbox
from taskq_workers.limits import raise_in
from tests.support.bench import ROUTE, body, job_id
from tests.support.gate import Gate, reset, say, silence
from tests.support.servers import ask, server_or_skip

ENQUEUE = calls.enqueue(ROUTE, [(job_id("a"), body("a"))])
PATIENCE = 0.8
Ask = Callable[[Call[Any]], Any]


@pytest.fixture
def broker(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """One with less patience than others."""
    for module in ("taskq.broker.broker", "taskq.outbox"):
        monkeypatch.setattr(f"{module}.ANSWER_TIMEOUT", PATIENCE / 2.5)
    with closing(Broker(gate.url)) as broker:
        broker.patience = PATIENCE
        yield broker


@pytest.fixture(params=["thread", "coroutine"])
def producer(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Ask]:
    """Who asks, from a thread or from a coroutine."""
    if request.param == "thread":
        yield broker.run
        return
    with closing(Outbox(broker)) as outbox:
        yield lambda call: asyncio.run(outbox.run(call))


def seconds_until_given_up(ask: Callable[[], object], why: str) -> float:
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=why):
        ask()
    return time.monotonic() - began


FAULTS: dict[str, tuple[Any, str]] = {
    "reset": (reset, "cannot reach Redis"),
    "silence": (silence, "cannot reach Redis"),
    "demoted": (say(b"-READONLY You can't write against a read only replica.\r\n"), "cannot use Redis .*read only"),
    "no Redis": (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "what answers there is no Redis"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_wait_is_bounded(producer: Ask, gate: Gate, fault: str) -> None:
    assert producer(calls.ping())
    treatment, why = FAULTS[fault]
    with gate.shut(treatment):
        assert PATIENCE / 2 < seconds_until_given_up(lambda: producer(ENQUEUE), why) < PATIENCE * 2


def test_the_wait_for_a_port_that_refuses_is_bounded(producer: Ask, gate: Gate) -> None:
    assert producer(calls.ping())
    with gate.refusing():
        why = r"refused\)"
        assert PATIENCE / 2 < seconds_until_given_up(lambda: producer(ENQUEUE), why) < PATIENCE * 2


def test_who_comes_late_into_the_trouble_waits_no_longer(broker: Broker, gate: Gate) -> None:
    async def enqueue_later(outbox: Outbox, after: float) -> float:
        await asyncio.sleep(after)
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            await outbox.run(ENQUEUE)
        return time.monotonic() - began

    async def enqueue_many(outbox: Outbox) -> list[float]:
        return await asyncio.gather(*[enqueue_later(outbox, PATIENCE * number / 5) for number in range(10)])

    assert broker.run(calls.ping())
    with closing(Outbox(broker)) as outbox, gate.shut(silence):
        waits = asyncio.run(enqueue_many(outbox))
    assert max(waits) < PATIENCE * 1.6


def test_a_redis_that_was_never_there_is_not_waited_for(producer: Ask, gate: Gate) -> None:
    with gate.refusing():
        assert seconds_until_given_up(lambda: producer(ENQUEUE), "refused") < PATIENCE / 2
    with gate.shut(reset):
        assert seconds_until_given_up(lambda: producer(ENQUEUE), "cannot reach Redis") < PATIENCE / 2
    assert producer(ENQUEUE) == 1


def test_a_redis_that_starts_is_waited_for(broker: Broker, gate: Gate) -> None:
    with gate.shut(say(b"-LOADING Redis is loading the dataset in memory\r\n")):
        assert seconds_until_given_up(lambda: broker.run(ENQUEUE), "loading") > PATIENCE / 2


def test_a_call_that_may_not_be_sent_twice_is_not(broker: Broker, gate: Gate) -> None:
    assert broker.run(calls.ping())
    with gate.refusing():
        assert seconds_until_given_up(lambda: broker.run(calls.claim("w", 0, {}, [])), "refused") < PATIENCE / 2


def test_a_time_limit_ends_the_wait(broker: Broker, gate: Gate) -> None:
    caught: list[BaseException] = []

    def enqueue() -> None:
        try:
            broker.run(ENQUEUE)
        except BaseException as error:
            caught.append(error)

    broker.patience = 30.0
    assert broker.run(calls.ping())
    with gate.refusing():
        job = threading.Thread(target=enqueue)
        job.start()
        raise_in(job.ident or 0)
        job.join(5)
    assert [type(error) for error in caught] == [TimeLimit]
    assert broker.run(ENQUEUE) in (0, 1)


def test_a_redis_without_memory_is_an_error_at_once() -> None:
    with server_or_skip() as server, closing(TaskQ(server.url)) as app:
        app.task(name="tasks.noop")(lambda: None).enqueue()
        ask(server.url, "CONFIG SET maxmemory 1")
        began = time.monotonic()
        with pytest.raises(QueueFull, match=r"maxmemory\n  hint: let workers drain the queues, or raise maxmemory"):
            app.tasks["tasks.noop"].enqueue()
        with pytest.raises(QueueFull):
            asyncio.run(app.tasks["tasks.noop"].aenqueue())
        assert time.monotonic() - began < 2


def test_an_answer_waits_for_nobody_who_has_gone(gate: Gate, broker: Broker) -> None:
    """A coroutine that was cancelled is not sent for again."""

    async def give_up(outbox: Outbox) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outbox.run(ENQUEUE), 0.1)

    broker.patience = 30.0
    with closing(Outbox(broker)) as outbox:
        assert asyncio.run(outbox.run(calls.ping()))
        with gate.refusing():
            asyncio.run(give_up(outbox))
        assert asyncio.run(outbox.run(calls.ping()))


def test_an_error_nobody_thought_of_reaches_all_coroutines_and_the_thread_goes_on(broker: Broker) -> None:
    async def ask_for_nothing(outbox: Outbox) -> list[Any]:
        odd: Any = Call("ECHO", (object(),), bytes)
        return await asyncio.gather(outbox.run(odd), outbox.run(odd), return_exceptions=True)

    with closing(Outbox(broker)) as outbox:
        errors = asyncio.run(ask_for_nothing(outbox))
        assert len(errors) == 2
        assert all(isinstance(error, Exception) for error in errors)
        assert asyncio.run(outbox.run(calls.ping()))
