"""Who enqueues, who waits for outcomes, and who interferes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from taskq.broker import calls
from taskq.broker.broker import LONGEST_PAUSE, PATIENCE
from taskq.broker.call import Call
from taskq.broker.keys import SOLO, route_queue
from taskq.broker.reconnect import Reconnect
from taskq.broker.records import Full
from taskq.ids import named_id
from taskq.results import ASK_AGAIN_AFTER, BLOCK
from tests.simulation.child import QUEUES
from tests.simulation.jobs import REAL_TTL, Plan, draw_delay
from tests.simulation.loop import FOREVER, Acts, Nap, Process
from tests.simulation.network import LATEST, Line, Lost, Network

ROUTES = ("default:io", "default:io", "default:io:9", "default:async", "mail:io", "mail:async:1")
TERMS = {"mail": "lifo 12"}
NAMES = 40
CROWD, CROWDED = 150, "default:async"
"""More jobs than a reaper takes back in one call, and where one process may hold them all."""
CANCELLED = b"cancelled"
Jobs = deque[tuple[bytes, str]]
"""Ids and routes of the last jobs that anybody knows of."""


def run(line: Line, call: Call[Any]) -> Acts:
    """As `Broker.run`: sent again after an error, for a while. Raises Lost."""
    loop, backoff = line.process.loop, Reconnect(LONGEST_PAUSE)
    until = loop.now + PATIENCE
    while True:
        try:
            (value,) = yield line.ask(call)
        except Lost:
            line.close()
            pause = backoff.failed(loop.chance.random())
            if loop.now + pause >= until:
                raise
            yield line.process.sleep(pause)
        else:
            return value


class Producer:
    """Enqueues one job every `pause` seconds or so; now and then a crowd, or a name that was used before."""

    def __init__(
        self, name: str, network: Network, jobs: Jobs, heard: Callable[[Iterable[bytes]], object], pause: float
    ):
        self.process = Process(network.loop, name)
        self.open = True
        self._line, self._jobs, self._heard, self._pause = Line(network, self.process, name), jobs, heard, pause
        self._serial = 0
        self.process.start(self._acts())

    def _acts(self) -> Acts:
        chance = self.process.loop.chance
        while True:
            yield self.process.sleep(chance.expovariate(1 / self._pause))
            if not self.open:
                return
            named = chance.random() < 0.2
            route, ids = self._draw(named)
            self._jobs.extend((job, route) for job in ids[:3])
            pairs = [(job, Plan.draw(chance).body()) for job in ids]
            try:
                terms = TERMS.get(route_queue(route), "")
                stored = yield from run(self._line, calls.enqueue(route, pairs, delay=draw_delay(chance), terms=terms))
            except Lost:
                continue
            self._heard(ids[: stored.dealt] if isinstance(stored, Full) else ids)

    def _draw(self, named: bool) -> tuple[str, list[bytes]]:
        """A name has one route: an operator knows a job by both."""
        chance = self.process.loop.chance
        if named:
            number = chance.randrange(NAMES)
            return ROUTES[number % len(ROUTES)], [named_id(f"name {number}")]
        many = CROWD if chance.random() < 0.005 else chance.choice([1, 1, 1, 2, 5])
        self._serial += many
        route = CROWDED if many == CROWD else chance.choice(ROUTES)
        ids = [f"{self.process.name} {self._serial - n:08}".encode().ljust(16, b".")[:16] for n in range(many)]
        return route, ids


class Client:
    """Waits for outcomes as `taskq.results.Mailbox` does: one who asks, and one who listens."""

    def __init__(self, name: str, network: Network, jobs: Jobs, pause: float):
        self.name, self.process, self.open = name, Process(network.loop, name), True
        self.waiting: dict[bytes, float] = {}
        """Since when for which jobs."""
        self._asking, self._line = Line(network, self.process, name), Line(network, self.process, name)
        self._jobs, self._pause, self._nap = jobs, pause, Nap(self.process)
        self._client = name.encode().ljust(8, b".")
        self._reply = network.broker.key("reply", self._client)
        self.process.start(self._ask())
        self.process.start(self._listen())

    def _ask(self) -> Acts:
        loop = self.process.loop
        while True:
            yield self.process.sleep(loop.chance.expovariate(1 / self._pause))
            if not self.open:
                return
            ids = [job for job, _ in list(self._jobs)[-3:]]
            self.waiting.update(dict.fromkeys(ids, loop.now))
            try:
                answers = yield from run(self._asking, calls.await_outcome(self._client, ids))
            except Lost:
                for job in ids:
                    self.waiting.pop(job, None)
            else:
                self._absorb(ids, answers)
                self._nap.wake()

    def _absorb(self, ids: Sequence[bytes], answers: Sequence[bytes | None]) -> None:
        for job, answer in zip(ids, answers, strict=True):
            if answer is not None:
                self.waiting.pop(job, None)

    def _listen(self) -> Acts:
        reconnect, asked = Reconnect(), self.process.loop.now
        while True:
            while not self.waiting:
                yield self._nap.until(FOREVER)
            try:
                if self.process.loop.now - asked > ASK_AGAIN_AFTER:
                    yield from self._fetch(list(self.waiting))
                    asked = self.process.loop.now
                first, more = yield self._line.ask(calls.told(self._reply, BLOCK), calls.told_more(self._reply))
                yield from self._fetch([*first, *more])
                reconnect.succeeded()
            except Lost:
                self._line.close()
                yield self.process.sleep(reconnect.failed(self.process.loop.chance.random()))
                asked = -FOREVER

    def _fetch(self, ids: list[bytes]) -> Acts:
        if ids:
            (answers,) = yield self._line.ask(calls.await_outcome(self._client, ids))
            self._absorb(ids, answers)


class Operator:
    """Cancels, deletes, revives, purges, pauses and resumes."""

    def __init__(self, name: str, network: Network, jobs: Jobs, pause: float):
        self.process, self.open = Process(network.loop, name), True
        self._line, self._jobs, self._pause = Line(network, self.process, name), jobs, pause
        self.process.start(self._acts())

    def _acts(self) -> Acts:
        chance = self.process.loop.chance
        while True:
            yield self.process.sleep(chance.expovariate(1 / self._pause))
            if not self.open:
                yield from self._leave()
                return
            try:
                yield from run(self._line, self._draw())
            except Lost:
                continue

    def _leave(self) -> Acts:
        """Open every queue, and once more when no pause can be on its way."""
        for _ in range(2):
            for queue in QUEUES:
                yield self._line.ask(calls.resume(queue))
            yield self.process.sleep(LATEST)

    def _draw(self) -> Call[Any]:
        chance = self.process.loop.chance
        job, route = chance.choice(self._jobs) if self._jobs else (b"nobody".ljust(16), ROUTES[0])
        queue = chance.choice(QUEUES)
        choices: dict[Call[Any], float] = {
            calls.cancel([(job, route)], CANCELLED, REAL_TTL): 3,
            calls.delete([(job, route)]): 2,
            calls.revive([(job, route)]): 3,
            calls.pause(queue, "somebody"): 0.3,
            calls.resume(queue): 1.5,
            calls.purge(chance.choice([*ROUTES, f"{queue}:{SOLO}"])): 0.1,
        }
        return chance.choices(list(choices), list(choices.values()))[0]
