"""Clients for tests under faults: one enqueues steadily, another waits for each of its jobs in turn."""

from __future__ import annotations

import queue
import threading
import time

from taskq.clock import SYSTEM_CLOCK
from taskq.errors import BrokerUnavailable, QueueFull
from taskq.job import Job
from taskq.tasks import Task
from tests.process import jobs


class Producer(threading.Thread):
    """Enqueues naps of `seconds` named `<name>-0`, `<name>-1`... with a pause of `every` seconds between them.

    Each is repeated under its name until it is acknowledged. `acknowledged` holds the jobs with their
    monotonic times, `refused` what was raised on the way; both in order. Each job is put into `on_its_way`, and None
    at the end.
    """

    def __init__(self, name: str = "job", seconds: float = 0.02, every: float = 0.005):
        super().__init__(name=name, daemon=True)
        self.acknowledged: list[tuple[Job[float], float]] = []
        self.refused: list[Exception] = []
        self.failure: Exception | None = None
        self._over, self._refusal = threading.Event(), threading.Condition()
        self.on_its_way: queue.SimpleQueue[Job[float] | None] = queue.SimpleQueue()
        self.seconds, self._every = seconds, every

    def run(self) -> None:
        try:
            self._go_on()
        except Exception as error:
            self.failure = error
        self.on_its_way.put(None)

    def _go_on(self) -> None:
        while not self._over.wait(self._every):
            job = self._insist(jobs.nap.options(job_id=f"{self.name}-{len(self.acknowledged)}"))
            if job is not None:
                self.acknowledged.append((job, SYSTEM_CLOCK.monotonic()))
                self.on_its_way.put(job)

    def _insist(self, nap: Task[[float], float]) -> Job[float] | None:
        while True:
            try:
                return nap.enqueue(self.seconds)
            except (BrokerUnavailable, QueueFull) as error:
                with self._refusal:
                    self.refused.append(error)
                    self._refusal.notify()
                if self._over.wait(0.02):
                    return None

    def wait_for_a_refusal(self, text: str = "", timeout: float = 20.0) -> Exception:
        """The first error of an enqueue that says `text`."""
        with self._refusal:
            found = self._refusal.wait_for(lambda: self._saying(text), timeout)
            assert found, f"no enqueue was refused with {text!r}, but with {self.refused}"
            return found

    def _saying(self, text: str) -> Exception | None:
        return next((error for error in self.refused if text in str(error)), None)

    def stop(self) -> list[Job[float]]:
        """End; the jobs that were acknowledged. Raises what the producer died of."""
        self._over.set()
        self.join(20)
        if self.failure is not None:
            raise self.failure
        return [job for job, _ in self.acknowledged]

    def __enter__(self) -> Producer:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.join(20)


class Waiter(threading.Thread):
    """Waits for the result of one job after the other, through all faults. `got` holds what came, by raw id."""

    def __init__(self, on_its_way: queue.SimpleQueue[Job[float] | None]):
        super().__init__(name="waiter", daemon=True)
        self.got: dict[bytes, float | Exception] = {}
        self._on_its_way = on_its_way

    def run(self) -> None:
        while (job := self._on_its_way.get()) is not None:
            while job.raw not in self.got:
                self._wait_for(job)

    def _wait_for(self, job: Job[float]) -> None:
        try:
            self.got[job.raw] = job.result()
        except BrokerUnavailable:  # the question was not even put
            time.sleep(0.02)
        except Exception as error:
            self.got[job.raw] = error

    def finish(self, timeout: float) -> dict[bytes, float | Exception]:
        """What became of all jobs, once the last has an outcome."""
        self.join(timeout)
        assert not self.is_alive(), "a client still waits for an outcome"
        return self.got
