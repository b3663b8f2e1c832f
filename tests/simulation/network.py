"""The way to the server and back: where calls are lost, cut, delayed and repeated, and where doorbells ring.

    Line.ask -> send --latency--> arrive, carry out --latency--> the actor goes on with the values, or with Lost

The server is a real one and carries out the real scripts, at the simulated time. Only its blocking command is played:
a letter that begins with BLPOP stands in line for its doorbells, as a blocked client does, and gets the next token.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.link import Link, values
from taskq.errors import BrokerUnavailable
from tests.simulation.loop import Deed, Effect, Loop, Process, Then

START = 1_700_000_000.0
LATENCY = (0.0002, 0.004)
READ_TIMEOUT = 5.0
REFUSED = 0.0005
LATEST = 25.0
"""Seconds that a request may be on its way: long after its sender has given up."""
HALF_OPEN = 0.1
"""How often the server does not notice that a connection is gone."""
MIXED = 0.1
"""How often other calls come between those of one letter."""


class Lost(BrokerUnavailable):
    """No reply: nobody knows what was carried out."""


class Witness(Protocol):
    """Who sees what the server answers, and what goes wrong."""

    def before(self, call: Call[Any]) -> None: ...
    def carried(self, letter: Letter, call: Call[Any], value: Any) -> None: ...
    def harmed(self, owner: str) -> None: ...
    def gave_up(self, owner: str, claimed: Sequence[bytes]) -> None: ...


class Clock:
    """The server's, which may jump."""

    def __init__(self, loop: Loop):
        self._loop = loop
        self.skew = 0.0

    def now(self) -> float:
        return START + self._loop.now + self.skew


class Line:
    """A connection of a process, again and again. `owner`: an epoch, or who else it is."""

    def __init__(self, network: Network, process: Process, owner: str):
        self.network, self.process, self.owner = network, process, owner
        self.connection = 0
        self._letter: Letter | None = None
        process.mourners.append(self._drop)

    def ask(self, *calls: Call[Any]) -> Effect:
        """Wait for the values of `calls`. Raises Lost."""
        return lambda then: self.send(calls, then)

    def send(self, calls: Sequence[Call[Any]], then: Then) -> None:
        """Do not wait: `then` gets the values or an error, unless the line is closed before."""
        self._letter = Letter(self, calls, then)
        self.network.send(self._letter)

    def close(self) -> None:
        """Give up what is under way. It may still be carried out."""
        if self._letter:
            self._letter.give_up()
        self._drop()

    def _drop(self) -> None:
        self.network.hang_up(self)
        self.connection += 1
        self._letter = None


class Letter:
    """Some calls on their way. `carried` gets the values: nobody else may, when the network has other plans."""

    def __init__(self, line: Line, calls: Sequence[Call[Any]], then: Then):
        self.line, self.calls, self._then = line, calls, then
        self.connection = line.connection
        self.carried: Callable[[list[Any]], object] = partial(line.network.reply, self)
        self.delayed, self.sent = False, line.network.loop.now
        self.claimed: list[bytes] = []
        self._read = False

    @property
    def late(self) -> bool:
        """Has its sender given it up?"""
        return self.delayed or not self._current

    @property
    def _current(self) -> bool:
        return self.line.process.alive and self.line.connection == self.connection

    def answer(self, replies: list[Any] | None, error: Exception | None = None) -> None:
        """Something came back; a process that is stopped reads it later."""
        self.line.process.do(partial(self._hear, replies, error))

    def _hear(self, replies: list[Any] | None, error: Exception | None) -> None:
        if self._current and not self._read:
            self._read = True
            if error:
                self.give_up()
            self.line.network.loop.tell(self.line.owner, "hears", error or replies)
            self._then(replies, error=error)

    def give_up(self) -> None:
        """Its sender will not hear what it claimed."""
        self.line.network.witness.gave_up(self.line.owner, self.claimed)


class Network:
    """`trouble`: how often a letter meets with a misfortune. `down` while the server is away.

    `jobs`: ids and routes of the last ones that anybody knows of.
    """

    def __init__(self, loop: Loop, broker: Broker, clock: Clock, witness: Witness):
        self.loop, self.clock, self.witness = loop, clock, witness
        self.broker, self.link = broker, Link(broker)
        self.jobs: deque[tuple[bytes, str]] = deque(maxlen=100)
        self.trouble = 0.0
        self.calls = 0
        self.down = False
        self._down_since, self._away = 0.0, 0.0
        self._waiting: deque[Letter] = deque()
        self._bells: Counter[bytes] = Counter()

    # The way

    def send(self, letter: Letter) -> None:
        chance = self.loop.chance
        if not self.down and chance.random() < self.trouble:
            misfortune = chance.choice([self._lose, self._lose_reply, self._repeat, self._delay, self._cut])
            self.loop.tell("the network will", misfortune.__name__.strip("_"), "of", letter.line.owner, *letter.calls)
            misfortune(letter)
        else:
            self._soon(partial(self._arrive, letter))

    def _soon(self, deed: Deed) -> None:
        self.loop.at(self.loop.chance.uniform(*LATENCY), deed)

    def reply(self, letter: Letter, replies: list[Any]) -> None:
        self._soon(partial(letter.answer, replies))

    def _lose(self, letter: Letter, _: object = None) -> None:
        """The sender sees that the connection is gone, or waits until its patience is at an end."""
        self.witness.harmed(letter.line.owner)
        delay = REFUSED if self.loop.chance.random() < 0.6 else READ_TIMEOUT
        self.loop.at(delay, partial(letter.answer, None, Lost("no reply")))

    def _lose_reply(self, letter: Letter) -> None:
        letter.carried = partial(self._lose, letter)
        self._soon(partial(self._arrive, letter))

    def _cut(self, letter: Letter) -> None:
        """Only the first calls arrive, if any."""
        letter.calls = letter.calls[: self.loop.chance.randrange(len(letter.calls))]
        self._lose_reply(letter) if letter.calls else self._lose(letter)

    def _delay(self, letter: Letter) -> None:
        """It is carried out when its sender has given up."""
        self._lose(letter)
        letter.delayed = True
        letter.carried = lambda _: self.witness.harmed(letter.line.owner)
        self.loop.at(self.loop.chance.uniform(0.0, LATEST), partial(self._arrive, letter))

    def _repeat(self, letter: Letter) -> None:
        """It is carried out twice where that may be, and the second answer is heard."""
        if not all(call.again for call in letter.calls):
            self._lose_reply(letter)
            return

        def again(_: object) -> None:
            letter.carried = partial(self.reply, letter)
            self._soon(partial(self._arrive, letter))

        self.witness.harmed(letter.line.owner)
        letter.carried = again
        self._soon(partial(self._arrive, letter))

    # The server

    def _arrive(self, letter: Letter) -> None:
        if self.down:
            self._lose(letter)
        elif letter.calls[0].name == "BLPOP":
            self._block(letter)
        elif len(letter.calls) > 1 and self.loop.chance.random() < MIXED:
            self._one_by_one(letter, [])
        else:
            letter.carried(self._carry(letter, letter.calls))

    def _one_by_one(self, letter: Letter, replies: list[Any]) -> None:
        """Others come in between."""
        if self.down:
            self._lose(letter)
        elif len(replies) < len(letter.calls):
            replies += self._carry(letter, [letter.calls[len(replies)]])
            self._soon(partial(self._one_by_one, letter, replies))
        else:
            letter.carried(replies)

    def _carry(self, letter: Letter, calls: Sequence[Call[Any]]) -> list[Any]:
        for call in calls:
            self.witness.before(call)
        bells = [Call("EXISTS", tuple(self._bells), int)] if self._bells else []
        replies = list(values(self.link.exchange(*calls, *bells)))
        ringing = replies.pop() if bells else 0
        self.calls += len(calls)
        for call, value in zip(calls, replies, strict=True):
            self.loop.tell(letter.line.owner, call, "=", value)
            self.witness.carried(letter, call, value)
        if ringing:
            self._hand_out()
        return replies

    def raw(self, *words: Any) -> Any:
        """The reply to one command that is no part of the protocol."""
        (reply,) = values(self.link.exchange(Call(words[0], words[1:], lambda reply: reply)))
        return reply

    # Doorbells

    def _block(self, letter: Letter) -> None:
        """Take a token that is there, or wait for one."""
        *keys, block = letter.calls[0].args
        if self.raw("EXISTS", *keys):
            for key in keys:
                token = self.raw("LPOP", key)
                if token is not None:
                    self._unblock(letter, [key, token])
                    return
        self._waiting.append(letter)
        self._bells.update(keys)
        self.loop.at(float(block), partial(self._time_out, letter))

    def _time_out(self, letter: Letter) -> None:
        if self._leave(letter):
            self._unblock(letter, None)

    def _leave(self, letter: Letter) -> bool:
        if letter not in self._waiting:
            return False
        self._waiting.remove(letter)
        self._bells -= Counter(letter.calls[0].args[:-1])
        return True

    def _hand_out(self) -> None:
        """Who has waited longest for a doorbell that rings gets its token."""
        for key in list(self._bells):
            while letter := next((letter for letter in self._waiting if key in letter.calls[0].args), None):
                token = self.raw("LPOP", key)
                if token is None:
                    break
                self._leave(letter)
                self._unblock(letter, [key, token])

    def _unblock(self, letter: Letter, reply: Any) -> None:
        """The first call is answered; then the others are carried out."""
        self.loop.at(0.0, partial(self._go_on, letter, letter.calls[0].parse(reply)))

    def _go_on(self, letter: Letter, value: Any) -> None:
        self.loop.tell(letter.line.owner, letter.calls[0], "=", value)
        if self.down:
            self._lose(letter)
        else:
            letter.carried([value, *(self._carry(letter, letter.calls[1:]) if letter.calls[1:] else [])])

    def hang_up(self, line: Line) -> None:
        """A connection was closed. If the server notices, nobody waits there any more."""
        noticed = not line.process.vanished and (self.trouble == 0.0 or self.loop.chance.random() >= HALF_OPEN)
        for letter in self._waiting if noticed else ():
            if letter.line is line and letter.connection == line.connection:
                self._soon(partial(self._leave, letter))

    # The server's life

    def go_down(self) -> None:
        """All connections break."""
        self.down, self._down_since = True, self.loop.now
        blocked, self._waiting, self._bells = self._waiting, deque(), Counter()
        for letter in blocked:
            self._lose(letter)

    def come_back(self) -> None:
        if self.down:
            self.down = False
            self._away += self.loop.now - self._down_since

    @property
    def uptime(self) -> float:
        """Seconds that the server has been there."""
        return self.loop.now - self._away - (self.loop.now - self._down_since if self.down else 0.0)

    def close(self) -> None:
        self.link.close()
