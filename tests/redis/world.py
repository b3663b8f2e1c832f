"""A small model of what the broker promises: where each job is, in plain Python, without Redis.

Each method says what one script does to the world when it is carried out once, and returns what the script answers.
`census` is the world in the shape of `tests.support.census`, so that the two can be compared key by key.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from taskq.broker.calls import LOSS_LIMIT
from taskq.broker.keys import DEFAULT_PRIORITY, LANES, SOLO, member_id, member_route, route_lane, route_queue
from taskq.broker.records import Full, Place

Members = list[bytes]
Note = tuple[str, bytes, str, Members]
"""Of a job that waits: its epoch, member, and task, and the ids that it waits for."""
LINES = ("ready", "delayed", "parked", "dead", "held")
REAP_STEP = 100
PROMOTE_STEP = 100


class World:
    """Times are in ms, as Redis has them."""

    def __init__(self) -> None:
        self.now = 0
        self.bodies: dict[bytes, bytes] = {}
        self.home: dict[bytes, str] = {}
        self.ready: dict[str, Members] = defaultdict(list)
        self.delayed: dict[str, dict[bytes, int]] = defaultdict(dict)
        self.parked: dict[str, dict[bytes, int]] = defaultdict(dict)
        self.dead: dict[str, dict[bytes, int]] = defaultdict(dict)
        self.held: dict[str, dict[bytes, int]] = defaultdict(dict)
        self.attempts: dict[bytes, bytes] = {}
        self.losses: dict[bytes, int] = {}
        self.ghosts: dict[bytes, str] = {}
        self.waits: dict[bytes, Note] = {}
        self.records: dict[bytes, bytes] = {}
        self.leases: dict[str, int] = {}
        self.terms: dict[str, int] = {}
        self.started: dict[str, set[bytes]] = {}
        self.fenced: set[str] = set()
        self.last_beat: int | None = None
        self.paused: set[str] = set()
        self.awaited: dict[bytes, list[bytes]] = {}
        self.told: dict[bytes, list[bytes]] = defaultdict(list)
        self.levels: set[str] = set()
        self.turns: dict[str, tuple[int, int]] = {}
        self.declared: dict[str, str] = {}
        self.roomy: set[str] = set()

    def census(self) -> dict[str, dict[str, Any]]:
        """The rows of the data model that the world knows about."""

        def one(value: Any) -> dict[str, Any]:
            return {"": value} if value else {}

        def many(value: dict[Any, Any]) -> dict[str, Any]:
            return {key if isinstance(key, str) else key.decode("latin-1"): item for key, item in value.items() if item}

        return {
            "ready": many(self.ready),
            "delayed": many(self.delayed),
            "parked": many(self.parked),
            "dead": many(self.dead),
            "held": many(self.held),
            "jobs": one(self.bodies),
            "attempts": one(self.attempts),
            "losses": one({job: b"%d" % losses for job, losses in self.losses.items()}),
            "cancelled": one({job: route.encode() for job, route in self.ghosts.items()}),
            "waits": one({job: _written(*note) for job, note in self.waits.items()}),
            "result": many(self.records),
            "awaited": one({job: b"".join(clients) for job, clients in self.awaited.items()}),
            "reply": many({client: sorted(jobs) for client, jobs in self.told.items()}),
            "workers": one({epoch.encode(): expiry for epoch, expiry in self.leases.items()}),
            "fenced": one({epoch.encode() for epoch in self.fenced}),
            "config": {queue: {b"paused": b"me"} for queue in self.paused},
            "levels": one({line.encode() for line in self.levels}),
            "turns": one({line.encode(): b"%d" % (16 * last + since) for line, (last, since) in self.turns.items()}),
            "terms": {queue: terms.encode() for queue, terms in self.declared.items()},
            "room": {queue: [b"1"] for queue in self.roomy},
        }

    # Producers

    def enqueue(
        self, jobs: list[tuple[bytes, bytes]], route: str, due: int | None = None, terms: str = ""
    ) -> int | Full:
        queue, stored = route_queue(route), 0
        if terms:
            self.declared[queue] = terms
        for dealt, (job, body) in enumerate(jobs):
            if due is None and self._is_full(queue) and self._is_new(job) and job not in self.ghosts:
                return Full(stored, dealt, self._length(queue), self._bound(queue))
            answer = self._enqueue(job, body, route, due)
            stored += max(0, answer)
        if due is None:
            self._make_room(queue)
        return stored or min(0, answer)

    def _is_new(self, job: bytes) -> bool:
        return job not in self.bodies and job not in self.records

    def _enqueue(self, job: bytes, body: bytes, route: str, due: int | None) -> int:
        if not self._is_new(job):
            return 0
        if job in self.ghosts and (due is not None or self.ghosts[job] != route):
            return -1
        self.bodies[job], self.home[job] = body, route
        if self.ghosts.pop(job, None):
            return 1
        if len(route.split(":")) > 2:
            self.levels.add(":".join(route.split(":")[:2]))
        if due is None:
            self._line_up(job + route.encode())
        else:
            self.delayed[route_queue(route)][job + route.encode()] = due
        return 1

    def _line_up(self, member: bytes) -> None:
        is_lifo = self.declared.get(queue_of(member), "").startswith("lifo")
        self._stand(0 if is_lifo else None, member)

    def _bound(self, queue: str) -> int:
        return int(self.declared.get(queue, "fifo 0").split()[1])

    def _length(self, queue: str) -> int:
        return sum(len(line) for route, line in self.ready.items() if route_queue(route) == queue)

    def _is_full(self, queue: str) -> bool:
        return 0 < self._bound(queue) <= self._length(queue)

    def _make_room(self, queue: str) -> None:
        if self._bound(queue) and not self._is_full(queue):
            self.roomy.add(queue)

    def wait(self, client: bytes, job: bytes) -> list[bytes | None]:
        if job in self.records or job not in self.bodies:
            return [self.records.get(job, b"")]
        clients = self.awaited.setdefault(job, [])
        if client not in clients:
            clients.append(client)
        return [None]

    def _tell(self, job: bytes) -> None:
        for client in self.awaited.pop(job, []):
            self.told[client].append(job)

    # Worker processes

    def register(self, epoch: str, lease: int) -> str | None:
        if epoch in self.fenced:
            return None
        self.last_beat = self.now if self.last_beat is None else self.last_beat
        self.leases[epoch], self.terms[epoch] = self.now + lease, lease
        return "1"

    def claim(self, epoch: str, sequence: int, wants: dict[str, int], queues: tuple[str, ...]) -> tuple[str, Members]:
        if not self.is_alive(epoch):
            return ("expired" if epoch in self.leases else "fenced"), []
        claimed: Members = []
        left = dict(wants)
        for queue in queues:
            before = self._length(queue)
            for lane in wants if queue not in self.paused else ():
                for route, many in self.shares(queue, lane, left[lane]).items():
                    took = self._take(route, many)
                    left[lane] -= len(took)
                    claimed += took
            if self._length(queue) < before and self._bound(queue):
                self.roomy.add(queue)
        for place, member in enumerate(claimed, start=1):
            self.held[epoch][member] = sequence + place
        return "ok", claimed

    def is_alive(self, epoch: str) -> bool:
        return self.leases.get(epoch, 0) > self.now

    def lines(self, queue: str, lane: str) -> list[str]:
        """The routes of one lane that have a line, in the order in which they are served."""
        mine = [route for route, line in self.ready.items() if line and route.split(":")[:2] == [queue, lane]]
        return sorted(mine, key=lambda route: -int([*route.split(":"), str(DEFAULT_PRIORITY)][2]))

    def shares(self, queue: str, lane: str, want: int) -> dict[str, int]:
        """How many of `want` jobs each route gives: every 16th comes from a lower level than the highest, in turn."""
        line, routes = f"{queue}:{lane}", self.lines(queue, lane)
        if line not in self.levels:
            return dict.fromkeys(routes, want)
        last, since = self.turns.get(line, (0, 0))
        left, given = {route: len(self.ready[route]) for route in routes}, dict.fromkeys(routes, 0)
        first = want - (since + want) // 16
        while sum(given.values()) < want and any(left.values()):
            route, *lower = [route for route in routes if left[route]]
            if sum(given.values()) >= first:
                places = [level_of(low) for low in lower]
                route = lower[places.index(following(places, last))] if lower else route
                last = level_of(route)
            left[route], given[route] = left[route] - 1, given[route] + 1
        if any(given.values()):
            self.turns[line] = last, (since + sum(given.values())) % 16
        return given

    def _take(self, route: str, want: int) -> Members:
        """The first `want` places of a line; those of jobs that are elsewhere or gone are empty, and passed over."""
        taken: Members = []
        while want and self.ready[route] and not taken:
            line, self.ready[route] = self.ready[route][:want], self.ready[route][want:]
            taken = [member for member in line if self._stands(member, route)]
            for member in line:
                if member not in taken:
                    self.ghosts.pop(member_id(member), None)
        return taken

    def _stands(self, member: bytes, route: str) -> bool:
        return member_id(member) in self.bodies and self.ghosts.get(member_id(member)) != route

    def _stand(self, at: int | None, member: bytes) -> None:
        """Put a job in line before place `at`, None for the end; or where it stood, if that place was kept."""
        route = member_route(member)
        if self.ghosts.get(member_id(member)) == route:
            del self.ghosts[member_id(member)]
        else:
            line = self.ready[route]
            line.insert(len(line) if at is None else at, member)

    def pick(self, epoch: str, waiter: bytes, task: str, queues: tuple[str, ...], jobs: Members) -> tuple[str, Members]:
        """`jobs` are ids. The answer is a member or none, or the jobs of a cycle."""
        if epoch not in self.leases or waiter not in self.held[epoch]:
            return "fenced", []
        chain = self._chain(member_id(waiter), jobs)
        if chain:
            return "cycle", chain
        self.waits[member_id(waiter)] = (epoch, waiter, task, jobs)
        if not self.is_alive(epoch):
            return "expired", []
        for job in jobs:
            queue = route_queue(self.home.get(job, ""))
            fit = queue in queues and queue not in self.paused and job not in self.losses and job not in self.ghosts
            if fit and self.place(job)[0] == "queued":
                member = job + self.home[job].encode()
                self.held[epoch][member] = 0
                line = self.ready[self.home[job]]
                if member in (line[-1], line[0]):
                    line.remove(member)
                    if self._bound(queue):
                        self.roomy.add(queue)
                else:
                    self.ghosts[job] = self.home[job]
                return "ok", [member]
        return "ok", []

    def _chain(self, waiter: bytes, jobs: Members) -> Members:
        """A shortest way along the notes from `waiter` to a job that waits for it."""
        ways = [[waiter]] if jobs else []
        seen: set[bytes] = set()
        while ways:
            way = ways.pop(0)
            for job in jobs if way == [waiter] else self._noted(way[-1]):
                if job == waiter:
                    return way
                if job not in seen:
                    seen.add(job)
                    ways.append([*way, job])
        return []

    def _noted(self, job: bytes) -> Members:
        epoch, member, _, jobs = self.waits.get(job, ("", b"", "", []))
        return jobs if member in self.held.get(epoch, {}) else []

    def commit(self, epoch: str, members: Members, record: bytes, ttl: float) -> Members:
        dropped = [m for m in members if m not in self.held[epoch] and self.records.get(member_id(m)) != record]
        for member in self._held(epoch, members):
            if ttl:
                self.records[member_id(member)] = record
            self._forget(member_id(member))
            del self.held[epoch][member]
        return dropped

    def _held(self, epoch: str, members: Members) -> Members:
        return [member for member in members if member in self.held[epoch]]

    def _forget(self, job: bytes) -> None:
        self.bodies.pop(job, None)
        self.attempts.pop(job, None)
        self.losses.pop(job, None)
        self.waits.pop(job, None)
        self._tell(job)

    def retry(self, epoch: str, members: Members, delay: int, history: bytes) -> Members:
        def put(member: bytes) -> None:
            self.attempts[member_id(member)] = history
            self.waits.pop(member_id(member), None)
            self.delayed[queue_of(member)][member] = self.now + delay

        repeated = [m for m in members if self.attempts.get(member_id(m)) == history]
        return [m for m in self._let_go(epoch, members, put) if m not in repeated]

    def bury(self, epoch: str, members: Members, record: bytes, history: bytes) -> Members:
        def put(member: bytes) -> None:
            self.attempts[member_id(member)] = history
            self._entomb(member, record)

        repeated = [m for m in members if self.records.get(member_id(m)) == record]
        return [m for m in self._let_go(epoch, members, put) if m not in repeated]

    def park(self, epoch: str, members: Members, patience: int) -> Members:
        def put(member: bytes) -> None:
            self.parked[queue_of(member)][member] = self.now + patience

        return self._let_go(epoch, members, put)

    def give_back(self, epoch: str, members: Members) -> int:
        dropped = self._let_go(epoch, members[::-1], lambda member: self._stand(0, member))
        return len(members) - len(dropped)

    def _let_go(self, epoch: str, members: Members, put: Any) -> Members:
        """`put` those that are held somewhere else; the answer is the others."""
        dropped = [member for member in members if member not in self.held[epoch]]
        for member in self._held(epoch, members):
            put(member)
            del self.held[epoch][member]
        return dropped

    def _entomb(self, member: bytes, record: bytes) -> None:
        self.records[member_id(member)] = record
        self.dead[queue_of(member)][member] = self.now
        self.waits.pop(member_id(member), None)
        self._tell(member_id(member))

    def unpark(self, epoch: str, sequence: int, members: Members) -> tuple[str, Members]:
        if not self.is_alive(epoch):
            return ("expired" if epoch in self.leases else "fenced"), []
        open_ones = [member for member in members if queue_of(member) not in self.paused]
        claimed = [member for member in open_ones if self.parked[queue_of(member)].pop(member, None)]
        for place, member in enumerate(claimed, start=1):
            self.held[epoch][member] = sequence + place
        return "ok", claimed

    # Supervisors

    def promote(self, record: bytes) -> float | None:
        for line in self.delayed.values():
            for member in self._due(line):
                del line[member]
                self._line_up(member)
        for line in self.parked.values():
            for member in self._due(line):
                del line[member]
                self._entomb(member, record)
        return self.next_due(self.delayed, self.parked)

    def _due(self, line: dict[bytes, int]) -> Members:
        due = sorted((time, member) for member, time in line.items() if time <= self.now)
        return [member for _, member in due[:PROMOTE_STEP]]

    def next_due(self, *places: dict[str, dict[bytes, int]]) -> float | None:
        times = [time for place in places for line in place.values() for time in line.values()]
        return max(0, min(times) - self.now) / 1000 if times else None

    def heartbeat(self, lease: int, gap: int, started: dict[str, set[bytes]]) -> tuple[set[str], set[str | None]]:
        """Epochs that are lost, and who may be handed out as the victim."""
        last, self.last_beat = self.last_beat, self.now
        if last is not None and not 0 <= self.now - last <= gap:
            self.leases = {epoch: self.now + self.terms[epoch] for epoch in self.leases}
        for epoch in started.keys() & self.leases.keys():
            self.leases[epoch] = self.now + lease
            self.started[epoch] = started[epoch]
        expired = sorted((time, epoch) for epoch, time in self.leases.items() if time <= self.now)
        victims = self.fenced or {epoch for _, epoch in expired[:1]}
        return started.keys() - self.leases.keys(), {None if v in started else v for v in victims} or {None}

    def reap(self, epoch: str, record: bytes, started: set[bytes] | None, alone_from: int) -> tuple[int, int, int]:
        if started is None and self.is_alive(epoch):
            return 0, 0, 0
        self.leases.pop(epoch, None)
        if started is not None and epoch not in self.fenced:
            self.started[epoch] = started
        guilty = self.started.get(epoch, set())
        held = sorted(self.held[epoch], key=lambda member: (self.held[epoch][member], member))
        step, buried = held[-REAP_STEP:], 0
        for member in step[::-1]:
            buried += self._lose(member, member_id(member) in guilty, record, alone_from)
            del self.held[epoch][member]
        self.fenced.add(epoch)
        if len(held) == len(step):
            self.fenced.discard(epoch)
            self.started.pop(epoch, None)
        return len(held) - len(step), len(step) - buried, buried

    def _lose(self, member: bytes, guilty: bool, record: bytes, alone_from: int) -> bool:
        job = member_id(member)
        losses = self.losses.get(job, 0) + 1 if guilty else 0
        if guilty:
            self.losses[job] = losses
        if losses >= LOSS_LIMIT:
            self._entomb(member, record)
        elif losses >= alone_from:
            solo = f"{queue_of(member)}:{SOLO}"
            self._stand(None, job + solo.encode())
        else:
            self._stand(0, member)
        return losses >= LOSS_LIMIT

    # Operators

    def place(self, job: bytes) -> tuple[Place, dict[bytes, int], bytes]:
        """Where a job is: its state, and for those aside the line and the member."""
        if job not in self.bodies:
            return ("done" if job in self.records else "unknown"), {}, b""
        aside: tuple[tuple[Place, dict[str, dict[bytes, int]]], ...]
        aside = (("delayed", self.delayed), ("parked", self.parked), ("dead", self.dead), ("running", self.held))
        for state, lines in aside:
            for line in lines.values():
                for member in line:
                    if member_id(member) == job:
                        return state, line, member
        return "queued", {}, b""

    def cancel(self, job: bytes, record: bytes) -> Place:
        state, line, member = self.place(job)
        if state in ("queued", "delayed", "parked"):
            self._remove(job, state, line, member)
            self.records[job] = record
        return "queued" if state == "done" and self.records.get(job) == record else state

    def delete(self, job: bytes) -> Place:
        state, line, member = self.place(job)
        if state != "running":
            self._remove(job, state, line, member)
            self.records.pop(job, None)
        return state

    def _remove(self, job: bytes, state: Place, line: dict[bytes, int], member: bytes) -> None:
        line.pop(member, None)
        if state == "queued":
            self.ghosts[job] = self.home[job]
        self._forget(job)

    def revive(self, job: bytes) -> Place:
        state, line, member = self.place(job)
        if state in ("dead", "delayed"):
            del line[member]
            self._line_up(member)
        if state == "dead":
            for row in (self.records, self.attempts, self.losses):
                row.pop(job, None)
        return state

    def purge(self, route: str) -> tuple[int, int]:
        """Forget a line of at most 500."""
        jobs = [member_id(member) for member in self.ready.pop(route, [])]
        standing = [job for job in jobs if self.ghosts.get(job) != route]
        for job in set(jobs) - set(standing):
            del self.ghosts[job]
        gone = sum(job in self.bodies for job in standing)
        for job in standing:
            self._forget(job)
        if jobs and self._bound(route_queue(route)):
            self.roomy.add(route_queue(route))
        return gone, 0

    def pause(self, queue: str) -> bool:
        fresh = queue not in self.paused
        self.paused.add(queue)
        return fresh

    def resume(self, queue: str) -> bool:
        was = queue in self.paused
        self.paused.discard(queue)
        return was

    def lanes_to_ring(self) -> set[str]:
        """The doorbells that must ring, since jobs stand in a line that is open."""
        routes = [route for route, line in self.ready.items() if line and route_queue(route) not in self.paused]
        return {f"{route_queue(route)}:{route_lane(route)}" for route in routes}


def _written(epoch: str, member: bytes, task: str, jobs: Members) -> bytes:
    head = f"{len(epoch):5}{len(member):5}{len(task):5}{epoch}"
    return b"".join([head.encode(), member, task.encode(), *jobs])


def level_of(route: str) -> int:
    """1 is the highest level, 10 the lowest."""
    return 10 - int([*route.split(":"), str(DEFAULT_PRIORITY)][2])


def following(places: list[int], last: int) -> int:
    """The first of `places` behind `last`, or else the first of all."""
    return min([place for place in places if place > last] or places)


def queue_of(member: bytes) -> str:
    return route_queue(member_route(member))


ALL_LANES = (*LANES, SOLO)
