"""The supervisor's way to talk to Redis without waiting for answers: calls queue up, one is under way at a time.

Connecting does wait, at most `STANDSTILL` seconds for each answer that it takes.

All of a supervisor's calls may be sent twice, so after an error, or when no answer comes, the same call is simply sent
again, after a pause. One that Redis refuses goes behind the others: a reap that cannot be done must not keep heartbeats
from being sent.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.link import Link, values
from taskq.broker.reconnect import Reconnect
from taskq.clock import Clock
from taskq.errors import BrokerError, BrokerUnavailable, TaskqError
from taskq_workers.waiting import STANDSTILL

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Errand:
    call: Call[Any]
    then: Callable[[Any], object]


class Courier:
    """Carries calls one after another; `then` gets each value. One may take `patience` seconds.

    `troubled` is called with the error when trouble begins, and with None when it is over. `proven` once a call was
    carried out.
    """

    def __init__(self, broker: Broker, clock: Clock, patience: float, troubled: Callable[[TaskqError | None], object]):
        self._link, self._clock, self._patience, self._troubled = Link(broker, STANDSTILL), clock, patience, troubled
        self._errands: deque[_Errand] = deque()
        self._reconnect = Reconnect(min(Reconnect.LONGEST, patience))  # a short lease must not run out of a pause
        self._wake_at = 0.0
        self.proven = False

    def post(self, call: Call[T], then: Callable[[T], object] = lambda _: None) -> None:
        self._errands.append(_Errand(call, then))
        self.go()

    @property
    def busy(self) -> bool:
        """Is anything not carried out yet?"""
        return bool(self._errands)

    @property
    def waiting(self) -> bool:
        """Can `fileno` be selected on?"""
        return self._link.waiting

    def fileno(self) -> int:
        return self._link.fileno()

    def files(self) -> list[int]:
        """The number of its connection, if there is one."""
        return self._link.files()

    def go(self) -> None:
        """Send the next call, if none is under way and it is time; give up on one that takes too long."""
        now = self._clock.monotonic()
        if self._link.waiting:
            if now >= self._wake_at:
                self._stumble(BrokerUnavailable(f"Redis has not answered for {self._patience:.3g} s"))
            return
        if self._errands and now >= self._wake_at:
            try:
                self._link.send(self._errands[0].call)
                self._wake_at = now + self._patience
            except BrokerError as error:
                self._stumble(error)

    def read(self) -> None:
        """Take the reply that has arrived, and send the next call."""
        if not self._link.waiting:
            return  # it was given up in the same round
        try:
            (value,) = values(self._link.receive())
        except TaskqError as error:
            self._stumble(error)
            return
        if self._reconnect.failing:
            self._reconnect.succeeded()
            self._troubled(None)
        self._wake_at, self.proven = 0.0, True
        self._errands.popleft().then(value)
        self.go()

    def due(self) -> float | None:
        """When `go` has something to do though nothing happens (monotonic)."""
        return self._wake_at if self._errands else None

    def _stumble(self, error: TaskqError) -> None:
        if not self._reconnect.failing:
            self._troubled(error)
        if not isinstance(error, BrokerUnavailable):
            self._errands.rotate(-1)
        self._link.close()
        self._wake_at = self._clock.monotonic() + self._reconnect.failed(random.random())
