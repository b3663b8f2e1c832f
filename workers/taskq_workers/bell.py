"""What the supervisor waits for at Redis: a delayed job that became the first in line, or one that must run alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.keys import SOLO, bells
from taskq.broker.link import Link, values
from taskq.broker.reconnect import Reconnect
from taskq.clock import Clock
from taskq.errors import TaskqError
from taskq_workers.waiting import STANDSTILL

BLOCK = 2.0
PATIENCE = BLOCK + 3.0


class Bell:
    """Listens at `wake:timer`, and at the solo doorbells of `queues` while it is asked to."""

    def __init__(self, broker: Broker, queues: Sequence[str], clock: Clock):
        self._link, self._clock = Link(broker, STANDSTILL), clock
        self._timer = broker.key("wake", "timer")
        self._solo = bells(broker.prefix, tuple(queues), (SOLO,))
        self._again_at = 0.0
        self._reconnect = Reconnect()

    @property
    def waiting(self) -> bool:
        """Can `fileno` be selected on?"""
        return self._link.waiting

    def fileno(self) -> int:
        return self._link.fileno()

    def files(self) -> list[int]:
        """The number of its connection, if there is one."""
        return self._link.files()

    def due(self) -> float:
        """When `listen` has something to do (monotonic)."""
        return self._again_at

    def listen(self, solo: bool) -> None:
        """Listen anew if it is time: after an answer, an error, or when none came for too long."""
        now = self._clock.monotonic()
        if now < self._again_at:
            return
        self._link.close() if self._link.waiting else None
        self._again_at = now + PATIENCE
        try:
            self._link.send(calls.doorbell([self._timer, *(self._solo if solo else [])], BLOCK))
        except TaskqError:
            self._pause()

    def answer(self) -> str:
        """Which bell rang: "timer", "solo", or "" for none."""
        if not self._link.waiting:
            return ""  # it was hung up in the same round
        self._again_at = 0.0
        try:
            (key,) = values(self._link.receive())
        except TaskqError:
            self._pause()
            return ""
        self._reconnect.succeeded()
        if key is None:
            return ""
        return "timer" if key == self._timer else "solo"

    def _pause(self) -> None:
        self._again_at = self._clock.monotonic() + self._reconnect.failed(random.random())

    def hang_up(self) -> None:
        """Listen anew at once, maybe to other bells."""
        self._link.close()
        self._again_at = 0.0
