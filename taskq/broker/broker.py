"""The broker: one namespace on one Redis. It carries calls; what they mean is in `calls`, what they do in `scripts/`.

calls.enqueue(...) -> Call -> Broker.run    on a connection that is idle, for producers and operators
                           -> Link          on a connection of its own, for loops that wait
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis

from taskq.broker import calls, keys
from taskq.broker.call import Call
from taskq.broker.connection import ANSWER_TIMEOUT, READ_TIMEOUT, pool_for
from taskq.broker.failures import is_unknown_script, translate
from taskq.broker.misfit import is_misfit, misfit
from taskq.broker.reconnect import Reconnect
from taskq.broker.scripts import load
from taskq.broker.wire import Wire, wire
from taskq.errors import BrokerError, BrokerUnavailable, SchemaMismatch, TaskqError

T = TypeVar("T")
Now = Callable[[], float]
PATIENCE = 5.0
"""Seconds that a producer waits for its answer, whatever happens: a failover takes less, a web request has no more."""
LONGEST_PAUSE = 0.25
"""Seconds between two tries of a producer: it goes on that soon after Redis is back."""


class Broker:
    """`url`: redis://, rediss://, unix:// or sentinel://. `pool` makes the connections; it and `now` are for tests.

    `answered`: has this Redis ever answered this broker? Where it has not, nobody waits for it to come back.
    """

    answered = False
    patience = PATIENCE

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
            self.judge(self.run(self.schema))
        except BrokerError as error:
            self.judge(error)

    @property
    def schema(self) -> Call[str]:
        """The call whose answer, or error, `judge` takes."""
        return calls.schema(self.key("schema"))

    def judge(self, answer: str | BrokerError) -> None:
        """What `check` does, with the answer that somebody else has fetched."""
        if isinstance(answer, BrokerUnavailable):
            raise answer
        if isinstance(answer, str):
            self.demand(answer)
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

    def run(self, call: Call[T], patience: float | None = None) -> T:
        """Carry out `call` and return its value.

        What may be sent again is sent again while the trouble may pass (the connection broke, a primary was demoted),
        for at most `patience` seconds (None: this broker's). Where Redis never answered before it is tried once. Raises
        BrokerUnavailable, BrokerError, QueueFull.
        """
        patience = self.patience if patience is None else patience
        until = time.monotonic() + patience
        used = bool(self._idle)
        line = self._take(call)
        try:
            return self._settle(line, call, self._ask(line, call))
        except BrokerUnavailable as error:
            if not (call.again and self.answered):
                raise
            return self._insist(call, error, until, patience, at_once=used)

    def _insist(self, call: Call[T], error: BrokerUnavailable, until: float, patience: float, *, at_once: bool) -> T:
        """Send `call` again until there is an answer. `at_once`: the connection was old, and died maybe long ago."""
        backoff = Reconnect(LONGEST_PAUSE)
        pause = 0.0 if at_once else backoff.failed(random.random())
        while (left := until - time.monotonic() - pause) > 0:
            time.sleep(pause)
            line = self.wire(min(left, ANSWER_TIMEOUT))
            try:
                return self.value(call, self._ask(line, call))
            except BrokerUnavailable as again:
                error, pause = again, backoff.failed(random.random())
            finally:
                line.disconnect()  # it had less time than others
        raise BrokerUnavailable(f"{error}, and did not come back within {patience:g} s") from None

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
            return self.wire(ANSWER_TIMEOUT)
        if not call.again:
            line.disconnect()
        return line

    def _ask(self, line: Wire, call: Call[Any]) -> Any:
        """The reply to `call`. Where there is none the wire is closed: the next call must not read this one's reply."""
        try:
            line.connect()
            replies = line.converse([self.words(call)])
            if isinstance(replies[0], Exception):
                replies = self.complete(line, [call], replies)
        except BaseException as error:  # a TimeLimit in a job, too
            line.disconnect()
            if isinstance(error, (redis.RedisError, OSError)):
                raise self.failure(error) from None
            raise
        self.answered = True
        return replies[0]

    def failure(self, error: redis.RedisError | OSError) -> Exception:
        """`error` of a connection in our words."""
        if isinstance(error, redis.exceptions.BusyLoadingError):
            self.answered = True
        return translate(error, self.url)

    def wire(self, patience: float = READ_TIMEOUT) -> Wire:
        """A wire to keep, not connected yet. `patience`: seconds that connecting and each answer may take."""
        line = wire(self._pool.make_connection())
        line.limit(patience)
        return line

    def close(self) -> None:
        """Close the wires that nobody uses. The broker can be used again."""
        idle, self._idle = self._idle, []
        for line in idle:
            line.disconnect()
        self._pool.disconnect()  # what it asks sentinels by

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
            sources = [load(calls[index].name, time_as_argument=self._now is not None).source for index in unknown]
            loaded = line.converse([("SCRIPT", "LOAD", source) for source in sources])
            again = line.converse([self.words(calls[index]) for index in unknown])
            for index, load_reply, reply in zip(unknown, loaded, again, strict=True):
                replies[index] = load_reply if isinstance(load_reply, Exception) else reply
        for index, reply in enumerate(replies):
            if is_misfit(reply):
                replies[index] = misfit(line, self.prefix, calls[index]) or reply
        return replies
