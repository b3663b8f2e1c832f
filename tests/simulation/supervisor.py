"""A host, played: a supervisor as `taskq_workers.supervisor` has it, and its children.

courier  carries one call after another; after an error the same call again, after a pause
watch    heartbeats, promotion when something is due, and an end to children that stand still or were fenced
bell     a delayed job that became the first of its queue; one that must run alone, for which a child is started
ended    a child has died: what it held goes back, and those it had started count a loss
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from taskq.broker import calls
from taskq.broker.call import Call
from taskq.broker.keys import SOLO, bells
from taskq.broker.reconnect import Reconnect
from taskq.broker.records import Beat, Reaped
from taskq_workers.bell import BLOCK
from taskq_workers.obituaries import LOST, UNKNOWN
from taskq_workers.restarts import PAUSE
from tests.simulation.child import LEASE, QUEUES, Child
from tests.simulation.jobs import Journal
from tests.simulation.loop import FOREVER, Acts, Nap, Process
from tests.simulation.network import Line, Lost, Network

BEAT = LEASE / 5
GAP = 3 * BEAT
NOTICED = 0.0005
"""Seconds until a supervisor has seen that a child has ended."""


class Registry(Journal, Protocol):
    """Who writes down what children do, too."""

    def born(self, child: Child, host: Host) -> None: ...


class Host:
    """A machine: its supervisor, and the children of it. `crew`: the slots of each child it is to have."""

    def __init__(
        self,
        name: str,
        network: Network,
        journal: Registry,
        crew: list[dict[str, int]],
        knows: frozenset[str],
        rules: frozenset[str],
    ):
        self.name, self.loop, self.network = name, network.loop, network
        self.process = Process(self.loop, name)
        self.children: list[Child] = []
        self.reaping = 0
        """How many reaps are posted and not answered."""
        self._journal, self._crew, self._knows, self._rules = journal, crew, knows, rules
        self._births = 0
        self._line, self._bell = Line(network, self.process, name), Line(network, self.process, name)
        self._errands: deque[tuple[Call[Any], Callable[[Any], object]]] = deque()
        self._asked: set[str] = set()
        self._blamed: dict[str, bytes] = {}
        self._stopped_since: dict[str, float] = {}
        self._beat_at, self._promote_at = FOREVER, FOREVER
        self._leaving: set[str] = set()
        self._stopping = False
        self._courier_nap, self._watch_nap = Nap(self.process), Nap(self.process)
        for slots in crew:
            self._start(slots)
        for acts in (self._courier(), self._watch(), self._listen()):
            self.process.start(acts)

    def _start(self, slots: dict[str, int]) -> None:
        """Fork one more child, under an epoch that is never used again."""
        self._births += 1
        process = Process(self.loop, f"{self.name}-{self._births}")
        child = Child(process, self.network, self._journal, slots, self._knows, self._rules)
        self.children.append(child)
        self._journal.born(child, self)
        process.mourners.append(lambda: self.process.at(NOTICED, partial(self._ended, child, slots)))
        process.start(child.life())
        self.process.at(0.01, self._welcome)

    def _welcome(self) -> None:
        self._beat_at = min(self._beat_at, self.loop.now)
        self._promote_at = min(self._promote_at, self.loop.now)
        self._watch_nap.wake()

    # What becomes of it

    def processes(self) -> list[Process]:
        return [self.process, *(child.process for child in self.children)]

    def stop(self) -> None:
        for process in self.processes():
            process.stop()

    def go_on(self) -> None:
        for process in self.processes():
            process.go_on()

    def kill(self, vanished: bool = False) -> None:
        """The kernel ends children whose supervisor is gone. `vanished`: the whole machine."""
        for process in self.processes():
            process.kill(vanished)

    def retire(self, child: Child) -> None:
        """The child takes no more work, and a successor starts."""
        if child.ready and child.epoch not in self._leaving:
            self._leaving.add(child.epoch)
            child.process.do(child.close)
            if not child.solo:
                self._start(self._crew[0])

    def close(self) -> None:
        """As after a TERM: finish what runs, give back the rest."""
        self._stopping = True
        for child in self.children:
            child.process.do(child.close) if child.ready else child.process.kill()

    # The courier

    def _post(self, call: Call[Any], then: Callable[[Any], object]) -> None:
        self._errands.append((call, then))
        self._courier_nap.wake()

    def _ask(self, what: str, call: Call[Any], then: Callable[[Any], object]) -> None:
        """Post a call, unless the same is under way already."""
        if what in self._asked:
            return

        def answered(value: Any) -> None:
            self._asked.discard(what)
            then(value)

        self._asked.add(what)
        self._post(call, answered)

    def _courier(self) -> Acts:
        reconnect = Reconnect()
        while True:
            while not self._errands:
                yield self._courier_nap.until(FOREVER)
            call, then = self._errands[0]
            try:
                (value,) = yield self._line.ask(call)
            except Lost:
                self._line.close()
                yield self.process.sleep(reconnect.failed(self.loop.chance.random()))
            else:
                reconnect.succeeded()
                self._errands.popleft()
                then(value)

    # Heartbeats and timers

    def _watch(self) -> Acts:
        while True:
            yield self._watch_nap.until(min(self._beat_at, self._promote_at))
            if self.loop.now >= self._beat_at:
                self._beat()
            if self.loop.now >= self._promote_at:
                self._promote_at = FOREVER
                self._ask("promote", calls.promote(UNKNOWN), self._promoted)
            if self._stopping and not self.children and not self._errands:
                self.process.kill()

    def _beat(self) -> None:
        self._beat_at = self.loop.now + BEAT
        for child in list(self.children):
            self._inspect(child)
        started = {child.epoch: child.started() for child in self.children if child.ready}
        self._ask("heartbeat", calls.heartbeat(LEASE, GAP, started), self._beaten)

    def _inspect(self, child: Child) -> None:
        """Kill a child that stands still for longer than a lease."""
        if not child.process.stopped:
            self._stopped_since.pop(child.epoch, None)
        elif self.loop.now - self._stopped_since.setdefault(child.epoch, self.loop.now) > LEASE:
            self._kill(child)

    def _kill(self, child: Child) -> None:
        """None of its jobs is to blame."""
        self._blamed[child.epoch] = b""
        child.process.kill()

    def _beaten(self, beat: Beat) -> None:
        for child in [child for child in self.children if child.epoch in beat.lost]:
            self._kill(child)
        if beat.victim is not None:
            self._reap(beat.victim, None)
            self._beat_at = self.loop.now
            self._watch_nap.wake()
        self._promoted(beat.next_due)

    def _promoted(self, next_due: float | None) -> None:
        if next_due is not None and self.loop.now + next_due < self._promote_at:
            self._promote_at = self.loop.now + next_due
            self._watch_nap.wake()

    def _listen(self) -> Acts:
        reconnect = Reconnect()
        timer, solo = self.network.broker.key("wake", "timer"), bells(self.network.broker.prefix, QUEUES, (SOLO,))
        while True:
            room = sum(child.solo for child in self.children) < len(self._crew)
            try:
                (rang,) = yield self._bell.ask(calls.doorbell([timer, *(solo if room else [])], BLOCK))
            except Lost:
                self._bell.close()
                yield self.process.sleep(reconnect.failed(self.loop.chance.random()))
                continue
            reconnect.succeeded()
            if rang == timer:
                self._post(calls.promote(UNKNOWN), self._promoted)
            elif rang is not None and not self._stopping:
                self._start({SOLO: 1})

    # The dead

    def _ended(self, child: Child, slots: dict[str, int]) -> None:
        self.children.remove(child)
        started = self._blamed.pop(child.epoch, None)
        if child.ready:
            self._reap(child.epoch, child.started() if started is None else started)
        if child.epoch in self._leaving or self._stopping or child.solo:
            self._watch_nap.wake()
        else:
            self.process.at(0.02 if child.ready else PAUSE[0], partial(self._start, slots))

    def _reap(self, epoch: str, started: bytes | None) -> None:
        """Give back what a dead process held, in several calls where that is much."""
        self.reaping += 1

        def reaped(reply: Reaped) -> None:
            self.reaping -= 1
            if reply.left:
                self._reap(epoch, started)

        self._post(calls.reap(epoch, LOST, started), reaped)
