"""Running jobs in the process of the test: no supervisor, no lanes; the same scripts, runner and group commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from taskq import ids
from taskq.app import TaskQ
from taskq.broker import calls, keys
from taskq.broker.link import Link, values
from taskq.broker.records import Claimed
from taskq.clock import SYSTEM_CLOCK, Clock
from taskq.codec import Envelope, encode_job
from taskq.tasks import Task
from taskq_workers.commits import commits
from taskq_workers.outcomes import Settled
from taskq_workers.runner import Runner

LEASE = 86_400.0
_LANES = dict.fromkeys(keys.LANES, 100)
_births = count()


def claimed(
    task: Task[..., Any] | str, *args: Any, key: str | None = None, history: bytes | None = None, **kwargs: Any
) -> Claimed:
    """A job as a claim answers it, enqueued a second after the epoch began."""
    name = task if isinstance(task, str) else task.name
    queue, lane = ("default", "io") if isinstance(task, str) else (task.declaration.queue, task.declaration.pool)
    route = keys.route(queue, lane)
    envelope = Envelope(task=name, args=args, kwargs=kwargs, enqueued_at=1.0, key=key, route=route)
    job_id = ids.new_id(1.0) if key is None else ids.named_id(key)
    return Claimed(job_id + route.encode(), encode_job(envelope), history)


class Inline:
    """A worker of `app` that works when it is told to."""

    def __init__(self, app: TaskQ, queues: Sequence[str] = ("default",), clock: Clock = SYSTEM_CLOCK):
        self._app, self._queues = app, queues
        self._epoch, self._sequence = f"inline-{next(_births)}", 0
        self._runner = Runner(
            app.tasks, self._epoch, size_limit=app.size_limit, clock=clock, chance=lambda: 0.5, types=app.types
        )
        assert app.broker.run(calls.register(self._epoch, LEASE, {}))

    def claim(self) -> list[Claimed]:
        """Take what is in line, and hold it."""
        claim = self._app.broker.run(calls.claim(self._epoch, self._sequence, _LANES, self._queues))
        assert claim.lease == "ok"
        self._sequence += len(claim.jobs)
        return list(claim.jobs)

    def finish(self, jobs: Sequence[Claimed]) -> None:
        """Run these jobs to an outcome, and write it."""
        settled = [self._run(job) for job in jobs]
        while settled:
            requests, batch = commits(self._epoch, settled)
            assert [self._app.broker.run(request) for request in requests] == [()] * len(requests)
            del settled[: len(batch)]

    def work(self) -> int:
        """Run everything that is in line; the answer is how many jobs there were."""
        done = 0
        while jobs := self.claim():
            self.finish(jobs)
            done += len(jobs)
        return done

    @contextmanager
    def serving(self) -> Iterator[None]:
        """During the block a thread of its own does the work as it comes."""
        over = threading.Event()
        thread = threading.Thread(target=self._serve, args=(over,), name="inline-worker")
        thread.start()
        try:
            yield
        finally:
            over.set()
            self._app.broker.run(calls.poke(self._epoch))
            thread.join(20)

    def _serve(self, over: threading.Event) -> None:
        broker = self._app.broker
        link, bells = Link(broker), keys.bells(broker.prefix, tuple(self._queues), keys.LANES)
        while not over.is_set():
            self.work()
            values(link.exchange(calls.doorbell([self._poke, *bells], 2.0)))
        link.close()

    @property
    def _poke(self) -> bytes:
        return self._app.broker.key("poke", self._epoch)

    def _run(self, job: Claimed) -> Settled:
        run = self._runner.open(job)
        is_async = run.declaration is not None and run.declaration.pool == "async"
        return self._runner.settle(run, asyncio.run(self._runner.acall(run)) if is_async else self._runner.call(run))
