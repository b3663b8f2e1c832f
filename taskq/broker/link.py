"""A link: one connection to Redis of its own, for a loop that waits on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.connection import READ_TIMEOUT
from taskq.errors import BrokerUnavailable


class Link:
    """One connection of its own: requests go out in one write, their replies come in order.

    It connects when it is first used and again after an error. `patience`: seconds that connecting and each answer may
    take. Not for several threads.
    """

    def __init__(self, broker: Broker, patience: float = READ_TIMEOUT):
        self._broker = broker
        self._wire = broker.wire(patience)
        self._sent: list[Call[Any]] = []

    @property
    def waiting(self) -> bool:
        """Is there a reply to come?"""
        return bool(self._sent)

    def fileno(self) -> int:
        """The socket to select on while `waiting`."""
        return self._wire.fileno()

    def files(self) -> list[int]:
        """The number of its socket; none while it is not connected."""
        return [self._wire.fileno()] if self._wire.connected else []

    def exchange(self, *calls: Call[Any]) -> list[Any]:
        """The values of `calls`, in order. An error is returned in the place of the value it belongs to.

        Raises BrokerUnavailable where the connection broke: then nobody knows which calls were carried out.
        """
        self.send(*calls)
        return self.receive()

    def send(self, *calls: Call[Any]) -> None:
        try:
            self._wire.connect()
            self._wire.send([self._broker.words(call) for call in calls])
        except BaseException as error:
            raise self._broken(error) from None
        self._sent = list(calls)

    def receive(self) -> list[Any]:
        """The values of what was sent; blocks until they are there, at most the read timeout."""
        calls = self._sent
        try:
            replies = self._broker.complete(self._wire, calls, [self._wire.read() for _ in calls])
        except BaseException as error:
            raise self._broken(error) from None
        self._sent = []
        self._broker.answered = True
        answers = [self._value(call, reply) for call, reply in zip(calls, replies, strict=True)]
        if any(isinstance(answer, BrokerUnavailable) for answer in answers):
            self.close()  # a primary that was demoted: the next call has to look for the new one
        return answers

    def _value(self, call: Call[Any], reply: Any) -> Any:
        try:
            return self._broker.value(call, reply)
        except Exception as error:
            return error

    def _broken(self, error: BaseException) -> BaseException:
        """What to raise: whatever it was, the rest of the replies must not be read as answers to the next calls."""
        self.close()
        return self._broker.failure(error) if isinstance(error, (redis.RedisError, OSError)) else error

    def close(self) -> None:
        """Drop the connection and what was sent on it."""
        self._sent = []
        self._wire.disconnect()


def values(results: Sequence[Any]) -> Sequence[Any]:
    """What `Link.exchange` answered, or the first error in it raised."""
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results
