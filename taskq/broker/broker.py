"""The broker: one namespace on one Redis. It carries calls; what they mean is in `calls`, what they do in `scripts/`.

calls.enqueue(...) -> Call -> Broker.run    on a connection that is idle, for producers and operators
                           -> Link          on a connection of its own, for loops that wait
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis

from taskq.broker import calls, keys
from taskq.broker.call import Call
from taskq.broker.connection import is_unknown_script, pool_for, translate
from taskq.broker.misfit import is_misfit, misfit
from taskq.broker.scripts import load
from taskq.broker.wire import Wire, wire
from taskq.errors import BrokerError, BrokerUnavailable, SchemaMismatch, TaskqError

T = TypeVar("T")
Now = Callable[[], float]


class Broker:
    """`url` as redis-py takes it. `pool` makes the connections; it and `now` (seconds) are for tests."""

    def __init__(
        self, url: str, namespace: str = "taskq", *, pool: redis.ConnectionPool | None = None, now: Now | None = None
    ):
        self.url = url
        self.namespace = namespace
        self.prefix = keys.prefix(namespace)
        self._pool = pool or pool_for(url)
        self._now = now
        self._idle: list[Wire] = []  # pop and append are atomic
        self.checked = False

    def key(self, name: str, rest: str | bytes = b"") -> bytes:
        """The full key of row `name` of the data model."""
        return keys.full_key(self.prefix, name, rest)

    def check(self) -> None:
        """Ask once whether the data is of this taskq's schema. Raises SchemaMismatch, BrokerUnavailable.

        Where asking is forbidden nothing is known, and nothing raised.
        """
        try:
            self.demand(self.run(calls.schema(self.key("schema"))))
        except BrokerUnavailable:
            raise
        except BrokerError:
            pass
        self.checked = True

    def demand(self, schema: str) -> None:
        """Raise SchemaMismatch unless `schema` is this taskq's."""
        if schema != str(keys.SCHEMA):
            shown, mine = ascii(schema[:20])[1:-1], keys.SCHEMA
            newer = schema.isdigit() and int(schema[:20]) > mine
            hint = "upgrade taskq here" if newer else "use the taskq that its workers have"
            raise SchemaMismatch(
                f"cannot work on namespace {self.namespace!r}: its data has schema {shown} and this taskq speaks {mine}"
                f"\n  hint: {hint}, or another namespace"
            )

    def run(self, call: Call[T]) -> T:
        """Carry out `call` and return its value.

        A connection that turns out to be dead is replaced and the call sent again, where it may be. Raises
        BrokerUnavailable, BrokerError, QueueFull.
        """
        try:
            line = self._take(call)
            try:
                reply = self._ask(line, call)
            except BaseException:
                # A TimeLimit in a job, too: the next to take this wire must not read the answer to `call`.
                line.disconnect()
                raise
        except (redis.RedisError, OSError) as error:
            raise translate(error, self.url) from None
        return self._settle(line, call, reply)

    def _settle(self, line: Wire, call: Call[T], reply: Any) -> T:
        """Keep the wire, and return what `reply` means."""
        try:
            value = self.value(call, reply)
        except BrokerUnavailable:  # a primary that was demoted: the next call has to look for the new one
            line.disconnect()
            raise
        except TaskqError:
            self._idle.append(line)
            raise
        self._idle.append(line)
        return value

    def _take(self, call: Call[Any]) -> Wire:
        """The wire that was used last, or a new one. It may have died since: not good enough to send once."""
        try:
            line = self._idle.pop()
        except IndexError:
            line = self.wire()
            line.connect()
        else:
            if not call.again:
                line.reconnect()
        return line

    def _ask(self, line: Wire, call: Call[Any]) -> Any:
        words = self.words(call)
        try:
            (reply,) = line.converse([words])
        except (redis.ConnectionError, OSError):
            if not call.again:
                raise
            line.reconnect()
            (reply,) = line.converse([words])
        return self.complete(line, [call], [reply])[0] if isinstance(reply, Exception) else reply

    def wire(self) -> Wire:
        """A wire to keep, not connected yet."""
        return wire(self._pool.make_connection())

    def close(self) -> None:
        """Close the wires that nobody uses. The broker can be used again."""
        idle, self._idle = self._idle, []
        for line in idle:
            line.disconnect()

    def words(self, call: Call[Any]) -> tuple[Any, ...]:
        """The command that `call` is sent as."""
        if not call.is_script:
            return (call.name, *call.args)
        script = load(call.name, time_as_argument=self._now is not None)
        words = ("EVALSHA", script.sha, 1, self.prefix, *call.args)
        return (*words, round(self._now() * 1000)) if self._now and script.timed else words

    def value(self, call: Call[T], reply: Any) -> T:
        """The value of `call`, or its error raised in our words."""
        if isinstance(reply, TaskqError):
            raise reply
        if isinstance(reply, Exception):
            raise translate(reply, self.url) from None
        try:
            return call.parse(reply)
        except Exception as error:  # whoever can write to Redis must not end a loop that reads from it
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            raise BrokerError(f"cannot read what Redis answered to {call.name} ({reason})") from error

    def complete(self, line: Wire, calls: Sequence[Call[Any]], replies: list[Any]) -> list[Any]:
        """`replies`, with those calls sent anew whose script the server did not know (it ran none of them).

        For an error that some key is of the wrong type stands the error that names it.
        """
        unknown = [index for index, reply in enumerate(replies) if is_unknown_script(reply)]
        if unknown:
            sources = {load(calls[index].name, time_as_argument=self._now is not None).source for index in unknown}
            line.converse([("SCRIPT", "LOAD", source) for source in sources])
            again = line.converse([self.words(calls[index]) for index in unknown])
            for index, reply in zip(unknown, again, strict=True):
                replies[index] = reply
        for index, reply in enumerate(replies):
            if is_misfit(reply):
                replies[index] = misfit(line, self.prefix, calls[index]) or reply
        return replies
