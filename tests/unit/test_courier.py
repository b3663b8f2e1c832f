"""The supervisor's way to talk to Redis, where nobody answers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.wire import Wire
from taskq.errors import BrokerUnavailable, TaskqError
from taskq_workers.bell import Bell
from taskq_workers.courier import Courier
from tests.support.clock import FakeClock


class Silence(Wire):
    """A connection to somebody who takes every word and answers none."""

    def __init__(self) -> None:
        super().__init__(None)
        self.sent: list[Any] = []
        self._quiet, self._other = os.pipe()

    def fileno(self) -> int:
        return self._quiet

    def connect(self) -> None: ...

    def disconnect(self) -> None: ...

    def send(self, commands: Sequence[Any]) -> None:
        self.sent += commands

    def end(self) -> None:
        os.close(self._quiet)
        os.close(self._other)


@pytest.fixture
def silence() -> Iterator[Silence]:
    silence = Silence()
    yield silence
    silence.end()


def test_the_supervisors_connections_stand_still_for_two_seconds_at_most(
    silence: Silence, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, patience = Broker("redis://localhost"), list[float]()

    def wire(seconds: float) -> Silence:
        patience.append(seconds)
        return silence

    monkeypatch.setattr(broker, "wire", wire)
    Courier(broker, FakeClock(), 5.0, lambda _: None)
    Bell(broker, ["default"], FakeClock())
    assert patience == [2.0, 2.0]


def test_a_call_that_nobody_answers_is_trouble_and_is_sent_again(
    silence: Silence, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, clock, troubles = Broker("redis://localhost"), FakeClock(), list[TaskqError | None]()
    monkeypatch.setattr(broker, "wire", lambda _: silence)
    courier = Courier(broker, clock, 5.0, troubles.append)
    courier.post(calls.ping())
    clock.advance(4.9)
    courier.go()
    assert (courier.waiting, troubles) == (True, [])
    clock.advance(0.1)
    courier.go()
    assert not courier.waiting
    assert [str(trouble) for trouble in troubles] == ["Redis has not answered for 5 s"]
    assert isinstance(troubles[0], BrokerUnavailable)
    clock.advance((courier.due() or 0) - clock.monotonic())
    courier.go()
    assert (courier.waiting, silence.sent) == (True, [("PING",), ("PING",)])


def test_pauses_are_no_longer_than_a_call_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a short lease: it must not run out while a supervisor waits before it tries again."""
    broker, clock = Broker("redis://localhost"), FakeClock()
    courier = Courier(broker, clock, 0.4, lambda _: None)
    monkeypatch.setattr(courier, "_link", Refusing())
    courier.post(calls.ping())
    pauses = []
    for _ in range(12):
        pauses.append((courier.due() or 0.0) - clock.monotonic())
        clock.advance(pauses[-1])
        courier.go()
    assert 0.2 <= pauses[-1] <= 0.4


class Refusing:
    """A link to nowhere."""

    waiting = False

    def send(self, *_: Any) -> None:
        raise BrokerUnavailable("refused")

    def close(self) -> None: ...
