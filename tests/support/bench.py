"""A broker on a bench: short words for what is done to it and what is seen of it.

Jobs have names here ("a", "b17") instead of ids, several are named in one string ("a b c"), and the queue, route and
epoch that most tests use need not be said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

from taskq.broker import calls, keys
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.records import Beat, Claim, Pick, Place, Reaped
from tests.support.census import ask
from tests.support.clock import FakeClock

T = TypeVar("T")
ROUTE = "default:io"
LEASE, GAP = 15.0, 9.0


def job_id(name: str) -> bytes:
    return name.encode().ljust(keys.ID_BYTES, b"-")


def name_of(member: bytes) -> str:
    return keys.member_id(member).rstrip(b"-").decode()


def names(members: Iterable[bytes]) -> str:
    return " ".join(map(name_of, members))


def member(name: str, route: str = ROUTE) -> bytes:
    return job_id(name) + route.encode()


def members(jobs: str, route: str = ROUTE) -> list[bytes]:
    return [member(name, route) for name in jobs.split()]


def ids(jobs: str) -> list[bytes]:
    return [job_id(name) for name in jobs.split()]


def body(name: str) -> bytes:
    return b"body of " + name.encode()


class Bench:
    """`broker` takes its time from `clock`. The worker process "w1" is registered."""

    def __init__(self, broker: Broker, clock: FakeClock):
        self.broker = broker
        self.clock = clock
        self._claimed: Counter[str] = Counter()
        self.register("w1")

    def run(self, call: Call[T]) -> T:
        return self.broker.run(call)

    def ask(self, command: str, key: bytes, *arguments: Any) -> Any:
        """The reply to one raw command."""
        return ask(self.broker, command, key, *arguments)

    # What is done

    def enqueue(self, jobs: str, route: str = ROUTE, **options: Any) -> int:
        return self.run(calls.enqueue(route, [(job_id(name), body(name)) for name in jobs.split()], **options))

    def register(self, *epochs: str) -> None:
        for epoch in epochs:
            assert self.run(calls.register(epoch, LEASE, {"host": "h"}))

    def claim_all(self, epoch: str = "w1", queues: tuple[str, ...] = ("default",), **wants: int) -> Claim:
        """A claim as the broker answers it; `wants` by lane, default ten of io."""
        return self._took(epoch, self.run(calls.claim(epoch, self._claimed[epoch], wants or {"io": 10}, queues)))

    def _took(self, epoch: str, claim: Claim) -> Claim:
        self._claimed[epoch] += len(claim.jobs)
        return claim

    def claim(self, epoch: str = "w1", queues: tuple[str, ...] = ("default",), **wants: int) -> str:
        """The names of what was claimed."""
        return names(job.member for job in self.claim_all(epoch, queues, **wants).jobs)

    def hold(self, jobs: str, epoch: str = "w1", route: str = ROUTE) -> None:
        """New jobs, held by `epoch`."""
        self.enqueue(jobs, route)
        queue, lane = keys.route_queue(route), keys.route_lane(route)
        assert self.claim(epoch, (queue,), **{lane: len(jobs.split())}) == jobs

    def pick_all(self, jobs: str, waiter: str = "w", epoch: str = "w1", queues: tuple[str, ...] = ("default",)) -> Pick:
        """What the broker answers when `waiter`, which `epoch` holds, waits for `jobs`."""
        awaited = [(job_id(name), ROUTE) for name in jobs.split()]
        return self.run(calls.pick(epoch, member(waiter), f"task.{waiter}", queues, awaited))

    def pick(self, jobs: str, waiter: str = "w", epoch: str = "w1", queues: tuple[str, ...] = ("default",)) -> str:
        """The name of what was claimed, or those of a cycle joined by arrows."""
        pick = self.pick_all(jobs, waiter, epoch, queues)
        if pick.cycle:
            return " > ".join(f"{name_of(job)} ({task})" for job, task in pick.cycle)
        return names(job.member for job in pick.claim.jobs)

    def _dropped(self, call: Call[tuple[bytes, ...]]) -> str:
        return names(self.run(call))

    def commit(self, jobs: str, epoch: str = "w1", ttl: float = 60, record: bytes = b"ok", route: str = ROUTE) -> str:
        """Names of the jobs whose outcome was dropped."""
        return self._dropped(calls.commit(epoch, [(m, ttl, "b3", record) for m in members(jobs, route)]))

    def retry(self, jobs: str, epoch: str = "w1", delay: float = 10, history: bytes = b"1") -> str:
        return self._dropped(calls.retry(epoch, [(m, delay, history) for m in members(jobs)]))

    def bury(self, jobs: str, epoch: str = "w1", record: bytes = b"failed", history: bytes = b"1") -> str:
        return self._dropped(calls.bury(epoch, [(m, record, history) for m in members(jobs)]))

    def park(self, jobs: str, epoch: str = "w1", patience: float = 600) -> str:
        return self._dropped(calls.park(epoch, patience, members(jobs)))

    def unpark_all(self, jobs: str, epoch: str = "w1") -> Claim:
        """What the broker answers to who knows the tasks of parked jobs."""
        return self._took(epoch, self.run(calls.unpark(epoch, self._claimed[epoch], members(jobs))))

    def unpark(self, jobs: str, epoch: str = "w1") -> str:
        """The names of what was claimed."""
        return names(job.member for job in self.unpark_all(jobs, epoch).jobs)

    def give_back(self, jobs: str, epoch: str = "w1") -> int:
        return self.run(calls.give_back(epoch, members(jobs)))

    def promote(self) -> float | None:
        return self.run(calls.promote(b"nobody knew the task"))

    def beat(self, **started: str) -> Beat:
        """A heartbeat of the supervisor whose epochs are `started`, with the names of what they have started."""
        return self.run(calls.heartbeat(LEASE, GAP, {epoch: b"".join(ids(jobs)) for epoch, jobs in started.items()}))

    def reap(self, epoch: str = "w1", started: str | None = None, *, certain: bool = False) -> Reaped:
        """By the supervisor that knows what was `started`; by another, when the lease has run out."""
        if started is None:
            self.ask("ZADD", self.broker.key("workers"), "XX", 0, keys.raw(epoch))
        running = None if started is None else b"".join(ids(started))
        return self.run(calls.reap(epoch, b"lost", running, certain=certain))

    def cancel(self, jobs: str, route: str = ROUTE, ttl: float = 60) -> list[Place]:
        return self.run(calls.cancel([(job_id(name), route) for name in jobs.split()], b"cancelled", ttl))

    def delete(self, jobs: str, route: str = ROUTE) -> list[Place]:
        return self.run(calls.delete([(job_id(name), route) for name in jobs.split()]))

    def revive(self, jobs: str, route: str = ROUTE) -> list[Place]:
        return self.run(calls.revive([(job_id(name), route) for name in jobs.split()]))

    def wait_for(self, jobs: str, client: bytes = b"client-1") -> Sequence[bytes | None]:
        return self.run(calls.await_outcome(client, ids(jobs)))

    # What is seen

    def place(self, name: str, route: str = ROUTE) -> Place:
        return self.run(calls.locate(job_id(name), route)).place

    def line(self, route: str = ROUTE) -> str:
        return names(self.ask("LRANGE", self.broker.key("ready", route), 0, -1))

    def held(self, epoch: str = "w1") -> str:
        return names(self.ask("ZRANGE", self.broker.key("held", epoch), 0, -1))

    def aside(self, row: str, queue: str = "default") -> dict[str, float]:
        """What is delayed, parked or dead, with its time in seconds."""
        flat = self.ask("ZRANGE", self.broker.key(row, queue), 0, -1, "WITHSCORES")
        return {name_of(m): float(time) / 1000 for m, time in zip(flat[::2], flat[1::2], strict=True)}

    def stored(self, row: str, name: str) -> bytes | None:
        """The field of one job in a hash of the model, or its result."""
        if row == "result":
            found = self.ask("GET", self.broker.key(row, job_id(name)))
        else:
            found = self.ask("HGET", self.broker.key(row), job_id(name))
        return cast("bytes | None", found)

    def lasts(self, name: str) -> float | None:
        """In how many seconds the record of a job expires; None where it never does."""
        left = self.ask("PTTL", self.broker.key("result", job_id(name)))
        assert left != -2, "there is no record"
        return None if left == -1 else left / 1000

    def told(self, client: bytes = b"client-1") -> str:
        """Whose outcomes were announced to `client`, all of them so far."""
        return names(self.ask("LRANGE", self.broker.key("reply", client), 0, -1))

    def tokens(self, bell: str = ROUTE) -> int:
        return int(self.ask("LLEN", self.broker.key("wake", bell)))

    def hear(self, bell: str = ROUTE) -> bool:
        """Take the doorbell's token, as a fetcher does that waits for it."""
        return self.ask("LPOP", self.broker.key("wake", bell)) is not None

    def counters(self, queue: str = "default") -> dict[str, int]:
        return {row.name: row.counters for row in self.run(calls.overview())}.get(queue, {})
