"""The producer of the soak: threads and an asyncio loop that enqueue all kinds of jobs until SIGTERM.

    TASKQ_URL=... python -m tests.soak.load --rate 200 --seed 1

At the end it prints a JSON object: how many jobs of each kind it enqueued, and what went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any

from taskq.broker import calls
from taskq.errors import JobCancelled, JobFailed
from taskq.job import Job
from tests.soak import tasks
from tests.soak.tasks import app

THREADS = 3
COROUTINES = 4
WAIT = 60.0
NAMES = 200
"""Named jobs take turns with so many names, so that some are still known when they are enqueued again."""
PARKED = 60
"""How many parked jobs stand aside before the oldest is cancelled."""


class Load:
    """What all producers share. `parked`: jobs that no worker will ever take away."""

    def __init__(self, rate: float, seed: int):
        self.pause = (THREADS + COROUTINES) / rate
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.troubles: list[str] = []
        self.parked: deque[Job[Any]] = deque()
        self.over = threading.Event()

    def run(self) -> None:
        """Until `over` is set."""
        threads = [threading.Thread(target=self._guarded, args=(self._produce, number)) for number in range(THREADS)]
        threads.append(threading.Thread(target=self._guarded, args=(self._produce_async, THREADS)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while self.parked:
            cancel(self.parked.popleft())

    def _guarded(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(self.seed * 100 + number)
        except Exception:
            self.troubles.append(traceback.format_exc())
            self.over.set()

    def _produce(self, seed: int) -> None:
        chance = random.Random(seed)
        kinds, weights = zip(*KINDS.items(), strict=True)
        while not self.over.wait(chance.expovariate(1 / self.pause)):
            (kind,) = chance.choices(kinds, weights)
            self.counts[kind.__name__] += kind(self, chance)

    def _produce_async(self, seed: int) -> None:
        asyncio.run(self._coroutines(seed))

    async def _coroutines(self, seed: int) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(COROUTINES):
                group.create_task(self._aproduce(random.Random(seed * 100 + number)))

    async def _aproduce(self, chance: random.Random) -> None:
        while not self.over.is_set():
            await asyncio.sleep(chance.expovariate(1 / self.pause))
            kind = chance.choice(ASYNC_KINDS)
            self.counts[kind.__name__] += await kind(chance)


def forget(job: Job[Any]) -> None:
    """Delete a job that is dead or was cancelled: its outcome would stay for ever, or for an hour."""
    app.broker.run(calls.delete([(job.raw, f"{job.queue}:io")]))


def cancel(job: Job[Any]) -> None:
    """Cancel a job that is delayed or parked, and forget it."""
    if job.cancel():
        try:
            job.result(WAIT)
        except JobCancelled:
            forget(job)
            return
    raise AssertionError(f"{job} was not cancelled")


# Each does something once; the answer is how many jobs that was.


def quick_and_waited_for(load: Load, chance: random.Random) -> int:
    number = chance.randrange(1 << 40)
    assert tasks.quick.enqueue(number).result(WAIT) == number
    return 1


def quick_and_forgotten(load: Load, chance: random.Random) -> int:
    tasks.quick.enqueue(1)
    return 1


def many_and_gathered(load: Load, chance: random.Random) -> int:
    jobs = tasks.quick.enqueue_many([(number,) for number in range(20)])
    assert app.gather(jobs, WAIT) == list(range(20))
    return 20


def large(load: Load, chance: random.Random) -> int:
    value = chance.randbytes(chance.randrange(50_000))
    assert tasks.echo.enqueue(value).result(WAIT) == value
    return 1


def delayed(load: Load, chance: random.Random) -> int:
    tasks.quick.options(delay=chance.uniform(0.1, 3.0)).enqueue(2)
    return 1


def urgent(load: Load, chance: random.Random) -> int:
    tasks.quick.options(priority=chance.randrange(10)).enqueue(3)
    return 1


def named(load: Load, chance: random.Random) -> int:
    tasks.quick.options(job_id=f"name-{chance.randrange(NAMES)}").enqueue(4)
    return 1


def limited(load: Load, chance: random.Random) -> int:
    tasks.limited.enqueue(5)
    return 1


def cpu(load: Load, chance: random.Random) -> int:
    tasks.count.enqueue(20_000)
    return 1


def coroutine(load: Load, chance: random.Random) -> int:
    tasks.anap.enqueue(chance.uniform(0.0, 0.2))
    return 1


def failing_and_retried(load: Load, chance: random.Random) -> int:
    task = chance.choice([tasks.third_time_lucky, tasks.ask_again])
    task.enqueue()
    return 1


def dead_and_deleted(load: Load, chance: random.Random) -> int:
    job = chance.choices([tasks.hopeless, tasks.too_slow], [9, 1])[0].enqueue()
    try:
        job.result(WAIT)
    except (JobFailed, tasks.Refused, TimeoutError):
        forget(job)
    return 1


def cancelled(load: Load, chance: random.Random) -> int:
    job = tasks.quick.options(delay=60).enqueue(6)
    cancel(job)
    return 1


def parked(load: Load, chance: random.Random) -> int:
    load.parked.append(tasks.unknown_to_workers.enqueue())
    if len(load.parked) > PARKED:
        cancel(load.parked.popleft())
    return 1


KINDS: dict[Callable[[Load, random.Random], int], float] = {
    quick_and_waited_for: 20,
    quick_and_forgotten: 20,
    many_and_gathered: 1,
    large: 3,
    delayed: 6,
    urgent: 5,
    named: 10,
    limited: 10,
    cpu: 5,
    coroutine: 8,
    failing_and_retried: 5,
    dead_and_deleted: 3,
    cancelled: 3,
    parked: 3,
}


async def awaited(chance: random.Random) -> int:
    number = chance.randrange(1 << 40)
    job = await tasks.quick.aenqueue(number)
    assert await job.aresult(WAIT) == number
    return 1


async def nap_awaited(chance: random.Random) -> int:
    job = await tasks.anap.aenqueue(0.01)
    assert await job.aresult(WAIT) == 0.01
    return 1


async def sent_and_forgotten(chance: random.Random) -> int:
    await tasks.quick.aenqueue(7)
    return 1


async def gathered(chance: random.Random) -> int:
    jobs = [await tasks.quick.aenqueue(number) for number in range(5)]
    assert await app.agather(jobs, WAIT) == list(range(5))
    return 5


ASYNC_KINDS: list[Callable[[random.Random], Coroutine[Any, Any, int]]] = [
    awaited,
    nap_awaited,
    sent_and_forgotten,
    gathered,
]


def main() -> int:
    """Produce until SIGTERM; 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="things to do a second, about as many jobs")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    load = Load(asked.rate, asked.seed)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: load.over.set())
    load.run()
    app.close()
    print(json.dumps({"jobs": load.counts, "troubles": load.troubles}))
    return 1 if load.troubles else 0


if __name__ == "__main__":
    assert os.environ.get(tasks.PRODUCES), "its tasks are those of a producer"
    raise SystemExit(main())
