"""One play: turmoil for some steps, then calm until every job has its outcome."""

from __future__ import annotations

from dataclasses import dataclass

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.keys import member_id, member_route
from tests.simulation.chaos import Chaos
from tests.simulation.child import QUEUES
from tests.simulation.jobs import KINDS
from tests.simulation.judge import Broken, Judge, leftovers
from tests.simulation.loop import Loop
from tests.simulation.network import Clock, Network
from tests.simulation.others import Client, Operator, Producer
from tests.simulation.supervisor import Host
from tests.support.census import ask

RULES = frozenset({"adopt", "claim once"})
"""What an actor may leave out, for a mutant."""
WAITING = RULES | {"wait"}
"""With jobs that wait for others."""
CREW = [{"io": 2, "async": 4}, {"io": 1, "async": 130}]
"""The slots of a host's children. The second holds more than a reaper takes back in one call."""
GLANCE, CENSUS, REST = 100, 4000, 500
"""Steps between glances, censuses, and looks whether it is over."""
PATIENCE = 600.0
"""Simulated seconds within which all must have ended when the faults are over."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was seen of a play."""

    steps: int
    calls: int
    seconds: float
    jobs: int
    outcomes: int
    runs: int
    again: int

    def __str__(self) -> str:
        return (
            f"{self.steps} steps, {self.calls} calls, {self.seconds:.0f} simulated seconds, "
            f"{self.jobs} jobs, {self.runs} runs ({self.again} again)"
        )


class Play:
    """`broker` takes its time from `clock`; its server is emptied first."""

    def __init__(self, broker: Broker, loop: Loop, clock: Clock, rules: frozenset[str] = RULES):
        self.loop, self.rules = loop, rules
        self.judge = Judge(loop)
        self.network = self.judge.network = Network(loop, broker, clock, self.judge)
        self.hosts: list[Host] = []
        self._founded = 0
        ask(broker, "FLUSHALL")
        for _ in range(2):
            self.hosts.append(self._found())
        self.producers = [
            Producer(f"p{n}", self.network, self.network.jobs, self.judge.acknowledged, pause=0.5) for n in range(2)
        ]
        self.clients = [Client(f"client{n}", self.network, self.network.jobs, pause=1.0) for n in range(2)]
        self.operator = Operator("operator", self.network, self.network.jobs, pause=2.0)
        self.judge.clients = self.clients
        self.chaos = Chaos(self.network, self.judge, self.hosts, self._found, pause=6.0)

    def _found(self) -> Host:
        """Every other host knows the task that is new."""
        self._founded += 1
        unknown = {"unheard of"} if self._founded % 2 else {"unheard of", "new"}
        return Host(f"h{self._founded}", self.network, self.judge, CREW, frozenset(KINDS.keys() - unknown), self.rules)

    def run(self, steps: int) -> Summary:
        """Raises Broken with the story of how it came to that."""
        try:
            self._turmoil(steps)
            self._calm()
        except Exception as error:
            story = f"{self.loop.told()}\n\nseed {self.loop.seed}, step {self.loop.steps}: {error}"
            raise Broken(story) from error
        finally:
            self.network.close()
        judge, loop = self.judge, self.loop
        return Summary(
            loop.steps, self.network.calls, loop.now, len(judge.lives), judge.outcomes, judge.runs, judge.again
        )

    def _turmoil(self, steps: int) -> None:
        glance, census = GLANCE, CENSUS
        while self.loop.steps < steps:
            self.loop.turn()
            if self.loop.steps >= glance:
                glance = self.loop.steps + GLANCE
                self.judge.look()
            if self.loop.steps >= census:
                census = self.loop.steps + CENSUS
                self.judge.count()

    def _calm(self) -> None:
        """Nobody makes anything new, nothing goes wrong, and there are hosts for every task."""
        self.loop.tell("calm")
        for somebody in (*self.producers, *self.clients, self.operator):
            somebody.open = False
        self.chaos.end()
        self.hosts += [self._found(), self._found()]
        self.judge.all_harmed()
        until, look = self.loop.now + PATIENCE, self.loop.steps
        while not self._over(look):
            look = self.loop.steps + REST if self.loop.steps >= look else look
            if self.loop.now > until:
                self.judge.complain()
            self.loop.turn()
        self.judge.close_the_books()
        self._clear_away_the_dead()
        self.judge.check(not (left := leftovers(self.network)), "something is left", left)

    def _over(self, look: int) -> bool:
        if self.loop.steps < look:
            return False
        self.judge.look()
        return self.judge.at_rest

    def _clear_away_the_dead(self) -> None:
        broker = self.network.broker
        for queue in QUEUES:
            while dead := broker.run(calls.browse("dead", queue, 0, 500)):
                broker.run(calls.delete([(member_id(row.member), member_route(row.member)) for row in dead]))
