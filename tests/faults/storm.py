"""The storm: everything that can go wrong, mixed at random and all at once, while producers and workers go on.

    producers --> proxy --> Redis <-- proxy <-- host 1: supervisor, worker processes
                              ^------ proxy <-- host 2: the same

Three threads do harm: to processes, to connections, to the server. Each draws its next fault from a seed; what the
machine makes of it is its own. At the end everything is mended, and what was seen is handed to `verdict`.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from taskq import exit_codes
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.embedded import Server
from taskq.broker.keys import member_id, member_route
from taskq.errors import BrokerError, JobNotFound, ResultTimeout
from taskq.ids import show
from taskq.job import Job
from tests.faults import jobs, journals, server
from tests.faults.producers import Producer, Waiter
from tests.faults.proxy import Proxy, Weather
from tests.faults.site import Host, Site, pass_time, signal_all
from tests.faults.verdict import KILLED, Evidence, Fault, Final
from tests.support.census import ask, one_place, snapshot, take_census

LEASE = 3.0
PROCS, THREADS = 2, 8
FLAGS = ("--procs", str(PROCS), "--threads", str(THREADS), "--async", "50", "--lease", str(LEASE))
STAYS = ("queues", "levels", "config", "stats", "clock", "schema", "reply", "wake", "profiles")
"""Rows of the data model that outlive jobs and workers."""
BRIEF = 0.1
"""Seconds that a fault of the server has to last to hold up outcomes."""
DRAIN = 120.0
"""Seconds after the last fault in which every job must have its outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long it blows, how many jobs a second come, and how many seconds pass between two faults of a kind."""

    seconds: float
    seed: int
    rate: float = 300.0
    producers: int = 6
    hosts: int = 2
    pause: float = 0.7


class Storm:
    """`run` it once. `servers`: what can befall the server; `mend` is called when the storm is over."""

    def __init__(
        self,
        site: Site,
        plan: Plan,
        servers: Mapping[str, ServerFault] = server.FAULTS,
        mend: Callable[[], object] = lambda: None,
    ):
        self._site, self._plan, self._servers, self._mend = site, plan, servers, mend
        self._hosts = [site.host(*FLAGS, app="tests.faults.hostile:app") for _ in range(plan.hosts)]
        self._way_in = site.proxy()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.faults: list[Fault] = []
        self.wrong: list[str] = []
        share = plan.rate / plan.producers
        self._producers = [Producer(str(n), share, f"{plan.seed} {n}", LEASE + 2) for n in range(plan.producers)]

    def run(self) -> Evidence:
        jobs.app.use(Broker(self._way_in.url))
        for host in self._hosts:
            host.start()
        for host in self._hosts:
            host.worker.wait_for("ready")
        self._before = used_memory(self._site)
        waiters = [Waiter(producer) for producer in self._producers]
        harms = [self._harm_processes, self._harm_connections, self._harm_server, self._look]
        threads = [threading.Thread(target=self._guarded, args=(harm,), name=harm.__name__) for harm in harms]
        for thread in [*self._producers, *waiters, *threads]:
            thread.start()
        pass_time(self._plan.seconds)
        self._over.set()
        for thread in threads:
            thread.join(60)
        for producer in self._producers:
            producer.stop()
        for waiter in waiters:
            waiter.join(60)
        return self._settle()

    # Harm

    def _guarded(self, harm: Callable[[Random], None]) -> None:
        """Until the storm is over; a harness that breaks is a finding."""
        chance = Random(f"{self._plan.seed} {harm.__name__}")
        try:
            while not self._over.wait(chance.uniform(0, 2 * self._plan.pause)):
                harm(chance)
        except Exception as error:
            self._accuse(f"the harness broke in {harm.__name__}: {error!r}")
            raise

    def _accuse(self, finding: str) -> None:
        with self._lock:
            self.wrong.append(finding)

    @contextmanager
    def _noted(self, what: str, hosts: Iterable[Host] = (), pids: Iterable[int] = ()) -> Iterator[None]:
        start, supervisors = time.monotonic(), frozenset(host.supervisor for host in hosts)
        yield
        fault = Fault(what=what, start=start, end=time.monotonic(), pids=frozenset(pids), supervisors=supervisors)
        with self._lock:
            self.faults.append(fault)

    def _harm_processes(self, chance: Random) -> None:
        host = chance.choice(self._hosts)
        self._revive()
        (harm,) = chance.choices([self._kill_child, self._stop_child, self._kill_host, self._freeze_host], [8, 3, 1, 1])
        harm(host, chance)

    def _kill_child(self, host: Host, chance: Random) -> None:
        pids = host.children()
        if pids:
            victim = chance.choice(pids)
            with self._noted(KILLED, pids=[victim]):
                signal_all([victim], signal.SIGKILL)

    def _stop_child(self, host: Host, chance: Random) -> None:
        """Within the lease, or beyond: then its supervisor kills it."""
        pids = host.children()
        if pids:
            victim = chance.choice(pids)
            with self._noted("SIGSTOP of a worker process", pids=[victim]):
                signal_all([victim], signal.SIGSTOP)
                self._over.wait(chance.choice([0.1, 1.0, 1.5 * LEASE]))
                signal_all([victim], signal.SIGCONT)

    def _kill_host(self, host: Host, chance: Random) -> None:
        with self._noted("kill -9 of a supervisor", [host], host.children()):
            host.kill()
        self._over.wait(chance.uniform(0, 1.5 * LEASE))
        host.start()

    def _freeze_host(self, host: Host, chance: Random) -> None:
        with self._noted("a host stands still", [host], host.children()), host.frozen():
            self._over.wait(chance.choice([0.5, LEASE, 3 * LEASE]))

    def _revive(self) -> None:
        """A worker that cannot reach Redis when it starts says so and ends: somebody starts it again."""
        for host in self._hosts:
            code = host.worker.process.poll()
            if code is not None:
                started = any('"ready"' in line for line in host.worker.lines_so_far())
                if started and code not in (-signal.SIGKILL, exit_codes.UNREACHABLE):
                    self._accuse(f"a worker ended by itself with {code}: {host.worker.log()[-2000:]}")
                host.start()

    def _harm_connections(self, chance: Random) -> None:
        host = chance.choice([*self._hosts, None])
        proxy = host.proxy if host else self._way_in
        what, harm = chance.choice(list(_CONNECTIONS.items()))
        with self._noted(what, [host] if host else []):
            harm(proxy, chance, self._over)

    def _harm_server(self, chance: Random) -> None:
        start = time.monotonic()
        done = self._servers[chance.choice(sorted(self._servers))](self._site.server, chance)
        fault = of_the_server(done, start, time.monotonic())
        with self._lock:
            self.faults.append(fault)
        self._over.wait(chance.uniform(0, 4 * self._plan.pause))

    def _look(self, chance: Random) -> None:
        """At any instant each job is in one place; what the server lost is seen in between."""
        self._over.wait(1.0)
        with suppress(BrokerError):
            wrong = one_place(snapshot(self._site.broker))
            if wrong:
                self._accuse(f"at {time.monotonic():.3f}: {wrong}")

    # The end

    def _settle(self) -> Evidence:
        """Mend everything, wait until all is done, and collect what was seen."""
        self._mend()
        for host in self._hosts:
            if host.worker.process.poll() is not None:
                host.start()
        jobs.app.use(self._site.broker)
        acked = {token: job for producer in self._producers for token, job in producer.enqueued.items()}
        finals = self._finals(acked)
        self._drain()
        everybody = journals.read(self._site.folder).acks
        finals |= self._finals({token: jobs.app.job(job) for token, job in everybody.items() if token not in acked})
        self._count_slots()
        for host in self._hosts:
            host.worker.signal(signal.SIGTERM)
        for host in self._hosts:
            if host.worker.end(60) != 0:
                self._accuse(f"a worker did not end well: {host.worker.log()[-2000:]}")
        self._leftovers()
        lines = [line for host in self._hosts for worker in host.workers for line in finished(worker.lines_so_far())]
        return Evidence(
            journals=journals.read(self._site.folder),
            faults=self.faults,
            finals=finals,
            accepted=Counter(lines),
            wrong=self.wrong,
            lease=LEASE,
        )

    def _finals(self, acked: dict[str, Job[str]]) -> dict[str, Final | None]:
        with suppress(ResultTimeout):
            jobs.app.gather(acked.values(), DRAIN, return_exceptions=True)
        tokens, handles = list(acked), list(acked.values())
        finals: dict[str, Final | None] = {}
        for at in range(0, len(tokens), 500):
            page = tokens[at : at + 500]
            try:
                answers = jobs.app.gather(handles[at : at + 500], 1.0, return_exceptions=True)
            except ResultTimeout:
                answers = [_ask(job) for job in handles[at : at + 500]]
            finals |= {token: _final(answer) for token, answer in zip(page, answers, strict=True)}
        return finals

    def _drain(self) -> None:
        """Jobs whose producer never heard of them must come to an end, too."""
        until, pause = time.monotonic() + DRAIN, threading.Event()
        while time.monotonic() < until:
            census = snapshot(self._site.broker)
            if len(census["jobs"].get("", {})) == sum(map(len, census["dead"].values())):
                return
            pause.wait(0.2)
        self._accuse(f"stuck: {[row for row in ('ready', 'held', 'delayed', 'parked') if census[row]]} after {DRAIN} s")

    def _count_slots(self) -> None:
        """No slot was lost: so many jobs as there are threads run at the same time, once all processes are up."""
        slots = len(self._hosts) * PROCS * THREADS
        at_once = 0
        for round_ in range(15):  # processes that died young again and again are replaced after up to 10 s
            at_once = self._run_at_once(slots, round_)
            if at_once == slots:
                return
        self._accuse(f"slots were lost: {at_once} of {slots} jobs ran at the same time")

    def _run_at_once(self, many: int, round_: int) -> int:
        tokens = [f"slot-{round_}-{number}" for number in range(many)]
        for token in tokens:
            journals.note("intent", token)
        jobs.app.gather(jobs.nap.enqueue_many([(token, 1.5) for token in tokens]), DRAIN)
        runs = [run for run in self._site.executions() if run.token in tokens]
        return max(sum(other.start <= run.start <= (other.end or 0) for other in runs) for run in runs)

    def _leftovers(self) -> None:
        """Take away what is meant to stay, results and dead letters: then there is nothing, and the memory is free."""
        census = take_census(self._site.broker)
        self.wrong += one_place(census)
        dead = [member for queue in census["dead"].values() for member in queue]
        for page in _pages([(member_id(member), member_route(member)) for member in dead]):
            self._site.broker.run(calls.delete(page))
        for page in _pages(ask(self._site.broker, "KEYS", b"*result:*")):
            ask(self._site.broker, "UNLINK", *page)
        census = take_census(self._site.broker)
        left = [row for row in census if census[row] and row not in STAYS]
        if left:
            self._accuse(f"left over in Redis: {left}")
        self.memory = self._before, used_memory(self._site)


def _pages(things: list[Any]) -> Iterator[list[Any]]:
    return (things[at : at + 500] for at in range(0, len(things), 500))


def _ask(job: Job[str]) -> Any:
    try:
        return job.result(0.0)
    except Exception as error:
        return error


def _final(answer: Any) -> Final | None:
    if isinstance(answer, (JobNotFound, ResultTimeout)):
        return None
    return Final(error=type(answer).__name__) if isinstance(answer, Exception) else Final(value=answer)


def of_the_server(done: server.Done, start: float, end: float) -> Fault:
    """What was done to the server, as the judge takes it."""
    missing, undone = frozenset(map(show, done.missing)), frozenset(map(show, done.undone | done.missing))
    return Fault(what=done.what, start=start, end=end, missing=missing, undone=undone, everywhere=end - start > BRIEF)


def finished(lines: Iterable[str]) -> Iterator[str]:
    """The jobs whose final outcome a worker says was taken."""
    for line in lines:
        with suppress(json.JSONDecodeError):
            said = json.loads(line)
            if said.get("outcome") in ("ok", "dead"):
                yield said["job"]


def used_memory(site: Site) -> int:
    """Bytes that the data takes, without what the server has for its clients, its replica and its files."""
    name = b"used_memory_dataset:"
    (line,) = (line for line in ask(site.broker, "INFO", "memory").split(b"\r\n") if line.startswith(name))
    return int(line.removeprefix(name))


ServerFault = Callable[[Server, Random], server.Done]
Harm = Callable[[Proxy, Random, threading.Event], object]


def _slow(proxy: Proxy, chance: Random, over: threading.Event) -> None:
    with proxy.slow(Weather(delay=chance.choice([0.005, 0.05]), drip=chance.choice([64, 1 << 16]))):
        over.wait(chance.uniform(0.1, 1.5))


def _stall(proxy: Proxy, chance: Random, over: threading.Event) -> None:
    with proxy.stalled():
        over.wait(chance.choice([0.2, 1.0, 2 * LEASE]))


def _refuse(proxy: Proxy, chance: Random, over: threading.Event) -> None:
    with proxy.refusing():
        over.wait(chance.choice([0.2, 1.0, 2 * LEASE]))


_CONNECTIONS: dict[str, Harm] = {
    "requests cut": lambda proxy, chance, _: proxy.cut_some("request", chance),
    "replies cut": lambda proxy, chance, _: proxy.cut_some("reply", chance),
    "connections reset": lambda proxy, chance, _: proxy.reset(),
    "connections half open": lambda proxy, chance, _: proxy.half_open(),
    "latency and drip": _slow,
    "black hole": _stall,
    "connections refused": _refuse,
}
