"""What simulated jobs do, and the lanes that run them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from taskq.broker.keys import member_id
from taskq.broker.records import Claimed
from taskq.codec import ErrorInfo
from taskq.lifecycle import Bury, Delay, Failed, Outcome, Park, Policy, Succeeded, Unknown, decide
from taskq.retry import Backoff
from taskq_workers.outcomes import Settled
from tests.simulation.loop import Process

POLICY = Policy(retries=2, backoff=Backoff(base=1.0))
PATIENCE = 45.0
"""Seconds that a job stays parked. `lifecycle.PATIENCE` is ten minutes."""
TTL = 60.0
"""Simulated seconds that an outcome is kept."""
REAL_TTL = 86_400.0
"""What the server is told, whose own clock tells it when records expire: the judge removes them in time."""
OOPS = ErrorInfo(type="Oops", text="")
KINDS = {"works": 82, "flaky": 5, "fails": 3, "stores nothing": 5, "new": 4, "unheard of": 0.5, "kills": 0.5}
"""With how often each is enqueued of a hundred. Only some hosts know the task of "new"."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job does when it runs; it travels as the job's body."""

    kind: str
    seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Plan:
        (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
        long = chance.random() < 0.01
        return cls(kind, round(chance.uniform(10, 40) if long else chance.choice([0.001, 0.05, 0.5, 2.0]), 3))

    @classmethod
    def of(cls, body: bytes) -> Plan:
        kind, seconds = body.decode().split("|")
        return cls(kind, float(seconds))

    def body(self) -> bytes:
        return f"{self.kind}|{self.seconds}".encode()

    @property
    def ttl(self) -> float:
        return 0.0 if self.kind == "stores nothing" else REAL_TTL

    def outcome(self, attempt: int, record: bytes) -> Outcome:
        if self.kind == "fails" or (self.kind == "flaky" and attempt == 1):
            return Failed(OOPS)
        return Succeeded(record)


@dataclass(slots=True)
class Run:
    """One job in a slot."""

    job: Claimed
    lane: str
    plan: Plan
    attempt: int
    number: int

    def settle(self, outcome: Outcome, chance: Random) -> Settled:
        """What is to be written of it, as the runner has it. The record says which run it is of."""
        step = decide(POLICY, self.attempt, outcome, chance.random())
        step = Park(PATIENCE) if isinstance(step, Park) else step
        history = b"%d run %d" % (self.attempt, self.number) if isinstance(step, (Delay, Bury)) else b""
        record = b"run %d" % self.number
        return Settled(
            self.job.member, self.lane, self.plan.kind, step, self.plan.seconds, self.plan.ttl, record, history
        )


def attempts(history: bytes | None) -> int:
    """How often a job was tried, from what a retry wrote of it."""
    return int(history.split()[0]) if history else 0


class Journal(Protocol):
    """Who writes down what jobs do."""

    def began(self, epoch: str, member: bytes) -> int: ...


class Lane:
    """Slots that run jobs, one after another. `knows`: which tasks its process has; `end` gets what a job came to."""

    def __init__(
        self,
        name: str,
        slots: int,
        process: Process,
        journal: Journal,
        knows: Callable[[bytes], bool],
        end: Callable[[Settled], object],
    ):
        self.slots = slots
        self._name, self._process, self._journal, self._knows, self._end = name, process, journal, knows, end
        self._inbox: deque[Claimed] = deque()
        self.running: dict[int, Run] = {}

    def start(self, jobs: Sequence[Claimed]) -> None:
        self._inbox.extend(jobs)
        while self._inbox and len(self.running) < self.slots:
            self._open(self._inbox.popleft())

    def withdraw(self) -> list[Claimed]:
        """The jobs that no slot has started; the lane forgets them."""
        jobs, self._inbox = list(self._inbox), deque()
        return jobs

    def started(self) -> list[bytes]:
        """The ids of what is running."""
        return [member_id(run.job.member) for run in self.running.values()]

    def _open(self, job: Claimed) -> None:
        plan, attempt = Plan.of(job.body), attempts(job.history) + 1
        if not self._knows(job.body):
            unknown = Run(job, self._name, plan, attempt, 0).settle(Unknown(), self._process.loop.chance)
            self._process.at(0.0, lambda: self._end(unknown))
            return
        run = Run(job, self._name, plan, attempt, self._journal.began(self._process.name, job.member))
        self.running[run.number] = run
        self._process.at(plan.seconds, lambda: self._close(run))

    def _close(self, run: Run) -> None:
        if run.plan.kind == "kills":
            self._process.kill()
            return
        del self.running[run.number]
        self._end(run.settle(run.plan.outcome(run.attempt, b"run %d" % run.number), self._process.loop.chance))
        self.start(())


def draw_delay(chance: Random) -> float | None:
    """Of an enqueue: most jobs have none."""
    return chance.choice([0.0, 0.5, 5.0, 30.0]) if chance.random() < 0.08 else None
