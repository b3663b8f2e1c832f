"""Producers: threads that enqueue a mix of jobs, wait for some results, cancel some; all of it goes into journals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from random import Random

from taskq.errors import BrokerError, QueueFull
from taskq.ids import show
from taskq.job import Job
from tests.faults import hostile, jobs, journals

Enqueue = Callable[[str], Job[str]]
AGAIN = 0.2
"""Seconds until a producer repeats an enqueue of which it does not know what became."""

WAYS = [
    how for how, way in hostile.IN_THREADS.items() if not way.later and how not in ("surrogates", "close all files")
]
"""How a job may hurt its process: while it runs, with its journal left open, and returning what it is asked to."""


@dataclass(frozen=True, slots=True)
class Mix:
    """One kind of job: what its tokens begin with, how often it comes, and how it is enqueued.

    A `patient` producer repeats an enqueue under the same id until it is acknowledged; a `fickle` one cancels the job.
    """

    name: str
    weight: float
    enqueue: Enqueue
    patient: bool = False
    fickle: bool = False


def mix(chance: Random, long: float) -> tuple[Mix, ...]:
    """The mix of the storm; its long jobs take `long` seconds."""

    def named(token: str) -> Job[str]:
        return jobs.quick.options(job_id=f"named-{token}").enqueue(token)

    def later(token: str) -> Job[str]:
        return jobs.quick.options(delay=chance.uniform(0.0, 2.0)).enqueue(token)

    def much_later(token: str) -> Job[str]:
        return jobs.quick.options(delay=chance.uniform(1.0, 3.0)).enqueue(token)

    return (
        Mix("quick", 60, jobs.quick.enqueue),
        Mix("named", 10, named, patient=True),
        Mix("stumble", 6, lambda token: jobs.stumble.enqueue(token, chance.choice((1, 1, 2, 3, 4)))),
        Mix("later", 6, later),
        Mix("cancelled", 2, much_later, fickle=True),
        Mix("nap", 6, lambda token: jobs.nap.enqueue(token, chance.uniform(0.0, 0.05))),
        Mix("anap", 6, lambda token: jobs.anap.enqueue(token, chance.uniform(0.0, 0.1))),
        Mix("spin", 2, lambda token: jobs.spin.enqueue(token, 0.005)),
        Mix("mother", 2, lambda token: jobs.mother.enqueue(token, 2, chance.choice((0, 0, 0, 1)))),
        Mix("amother", 1, lambda token: jobs.amother.enqueue(token, 2, 0)),
        Mix("long", 0.2, lambda token: jobs.nap.enqueue(token, long)),
        Mix("hurt", 0.2, lambda token: hostile.harm.enqueue(token, chance.choice(WAYS))),
        Mix("hurt", 0.1, lambda token: hostile.aharm.enqueue(token, chance.choice(list(hostile.IN_LOOP)))),
    )


class Producer(threading.Thread):
    """Enqueues some `rate` jobs a second until it is stopped, in spite of everything. `enqueued`: handles by token."""

    def __init__(self, name: str, rate: float, seed: str, long: float):
        super().__init__(name=f"producer-{name}", daemon=True)
        self._label, self._pause = name, 1.0 / rate
        self._chance = Random(seed)
        self._mix = mix(self._chance, long)
        self._serial = count()
        self._over = threading.Event()
        self.enqueued: dict[str, Job[str]] = {}
        self.curious: SimpleQueue[tuple[str, Job[str]] | None] = SimpleQueue()

    def run(self) -> None:
        weights = [kind.weight for kind in self._mix]
        while not self._over.wait(self._chance.uniform(0.0, 2 * self._pause)):
            (kind,) = self._chance.choices(self._mix, weights)
            self._enqueue(kind)

    def stop(self) -> None:
        self._over.set()
        self.join(60)
        self.curious.put(None)

    def _enqueue(self, kind: Mix) -> None:
        token = f"{kind.name}-{self._label}-{next(self._serial)}"
        journals.note("intent", token)
        while True:
            try:
                job = kind.enqueue(token)
            except QueueFull:
                journals.note("refused", token)
                return
            except BrokerError:  # nobody knows whether it was stored
                if not kind.patient or self._over.wait(AGAIN):
                    return
            else:
                break
        journals.note("ack", token, show(job.raw))
        self.enqueued[token] = job
        if kind.fickle:
            self._cancel(token, job)
        elif self._chance.random() < 0.1:
            self.curious.put((token, job))

    def _cancel(self, token: str, job: Job[str]) -> None:
        journals.note("cancelling", token)
        try:
            if job.cancel():
                journals.note("cancelled", token)
        except BrokerError:
            return


class Waiter(threading.Thread):
    """Asks for results that a producer is curious about, one after another, and notes what it is told."""

    def __init__(self, producer: Producer):
        super().__init__(name=f"waiter-{producer.name}", daemon=True)
        self._curious = producer.curious

    def run(self) -> None:
        while (wish := self._curious.get()) is not None:
            self._ask(*wish)

    def _ask(self, token: str, job: Job[str]) -> None:
        try:
            journals.note("told", token, job.result(30))
        except Exception:  # the job's own, or there was no answer: what is told is checked, not that it is
            return
