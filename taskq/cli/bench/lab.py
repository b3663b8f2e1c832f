"""The measures of `taskq bench`, in the order in which they are taken.

no worker yet    PING, enqueue one by one
it is idle       enqueue -> start, enqueue -> result
it is paused     enqueue_many, memory  -.  a trial says how many jobs are enough,
it works         drain                 -'  then with as many
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from taskq.broker import calls
from taskq.broker.keys import member_id
from taskq.cli.bench.app import QUEUE, BenchApp, app_in
from taskq.cli.bench.cost import machine_cpu
from taskq.cli.bench.figures import Bulk, Drain, Figures, Single, Spread, Workforce, spread
from taskq.cli.bench.server import redis_cpu, redis_memory, server
from taskq.cli.bench.worker import working
from taskq.cli.cores import cores
from taskq.cli.output import note
from taskq.cli.picture import pause_note
from taskq.cli.session import Session
from taskq.errors import ResultTimeout
from taskq.ids import show
from taskq.job import Job

T = TypeVar("T")

MOST_SECONDS = 50.0
"""What is left of a minute is for the end of the worker, and for the removal of the keys."""
MOST_JOBS = 100_000
PINGS, SINGLES, IDLE = (500, 1.0), (2000, 3.0), (300, 5.0)
"""How often each is done at most, and for how many seconds: on a slow network there are fewer."""
PAUSE = 0.01
"""Seconds between two jobs for an idle worker, so that it waits for the next one as it would for an hour."""
TRIAL = 2000
DRAIN_SECONDS = 4.0
LEAST_JOBS = 5_000
"""A drain whose number of jobs nobody said has as many as take DRAIN_SECONDS, at least these, at most MOST_JOBS."""
CHUNK = 5000
"""Jobs that are enqueued between two looks at the clock."""
LOOK = 1.0
"""Seconds of waiting between two looks at whether the worker is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to measure with. `jobs` of the drain; None: as many as take some seconds."""

    procs: int
    threads: int
    jobs: int | None


class Measured(Protocol):
    """What the lab needs of a worker. `check` raises where it has ended."""

    def check(self) -> None: ...
    def cpu(self) -> float | None: ...


class Lab:
    """The app of the bench, and the clock: nothing in here goes on for longer than the bench may take."""

    def __init__(self, session: Session, bench: BenchApp):
        self.session, self.bench = session, bench
        self._until = self.now() + MOST_SECONDS

    def now(self) -> float:
        return self.session.clock.monotonic()

    def timed(self, act: Callable[[], object]) -> float:
        """Seconds that `act` takes."""
        began = self.now()
        act()
        return self.now() - began

    def repeat(self, act: Callable[[], T], most: int, within: float, pause: float = 0.0) -> list[T]:
        """What `act` answers, `most` times, or as often as it can begin `within` seconds; at least once."""
        until, answers = self.now() + within, [act()]
        while len(answers) < most and self.now() < until:
            if pause:
                self.session.sleep(pause)
            answers.append(act())
        return answers

    def check_time(self) -> None:
        """Raise ResultTimeout where the bench has taken as long as it may."""
        if self.now() > self._until:
            raise ResultTimeout(
                f"cannot finish the bench within {MOST_SECONDS:.0f} s: Redis, the way to it or this machine is slow\n"
                "  hint: fewer jobs, for example --jobs 1000"
            )

    def wait(self, job: Job[T], worker: Measured) -> T:
        """The job's result. Raises where the worker ends before it is there, or the time is up."""
        while True:
            try:
                return job.result(LOOK)
            except ResultTimeout:
                worker.check()
                self.check_time()

    def wait_for_all(self, last: Job[Any], worker: Measured) -> None:
        """Wait until every job has a stored outcome. `last` is the last in line: few are left after it."""
        self.wait(last, worker)
        while self.session.ask(calls.pending((QUEUE,))):
            self.check_time()
            for job in self._unfinished():
                self.wait(job, worker)

    def _unfinished(self) -> list[Job[Any]]:
        """Jobs without an outcome: those next in line, and what the worker's processes hold."""
        lined = [row.member for row in self.session.ask(calls.browse("queued", QUEUE, 0, 100))]
        held = [member for row in self.session.ask(calls.holdings()) for member in row.held]
        return [self.bench.app.job(show(member_id(member))) for member in (*lined, *held)]


def measure(session: Session, namespace: str, order: Order) -> Figures:
    """All the figures, taken in `namespace`, in which `session` asks. What is under way is told on stderr."""
    bench = app_in(namespace)
    bench.app.use(session.connect(session.target()[0].value, namespace))
    with closing(bench.app):
        return take_all(Lab(session, bench), order)


def take_all(lab: Lab, order: Order) -> Figures:
    """One measure after another."""
    broker = lab.bench.app.broker
    note("measuring the network, and enqueue one by one ...")
    round_trip = ping(lab)
    single, last = enqueue_singly(lab)
    with working(broker.url, broker.namespace, order.procs, order.threads) as worker:
        note("starting a worker ...")
        lab.wait_for_all(last, worker)
        note("measuring latency on the idle worker ...")
        start, result = idle(lab, worker)
        jobs = order.jobs or enough(drain_of(lab, worker, TRIAL)[1])
        note(f"measuring enqueue_many and the drain with {jobs} jobs ...")
        bulk, drain = drain_of(lab, worker, jobs)
        workforce = Workforce(
            processes=len(lab.session.ask(calls.holdings())),
            threads=order.threads,
            cores=cores(),
            memory=worker.memory(),
        )
    return Figures(
        redis=server(lab.session),
        worker=workforce,
        ping=round_trip,
        single=single,
        start=start,
        result=result,
        bulk=bulk,
        drain=drain,
    )


# The measures


def ping(lab: Lab) -> Spread:
    """A round trip that asks nothing of Redis."""
    return spread(lab.repeat(lambda: lab.timed(lambda: lab.session.ask(calls.ping())), *PINGS))


def enqueue_singly(lab: Lab) -> tuple[Single, Job[None]]:
    """Jobs enqueued one after another; also the last of them."""
    jobs = [lab.bench.noop.enqueue()]  # loads the script
    began = lab.now()
    took = lab.repeat(lambda: lab.timed(lambda: jobs.append(lab.bench.noop.enqueue())), *SINGLES)
    return Single(took=spread(took), rate=len(took) / (lab.now() - began)), jobs[-1]


def idle(lab: Lab, worker: Measured) -> tuple[Spread, Spread]:
    """How long it takes from before `enqueue` to the start of the job, and to its result."""

    def one() -> tuple[float, float]:
        sent = lab.now()
        started = lab.wait(lab.bench.started.enqueue(), worker)
        return started - sent, lab.now() - sent

    most, within = IDLE
    starts, results = zip(*lab.repeat(one, most, within, PAUSE), strict=True)
    return spread(starts), spread(results)


def drain_of(lab: Lab, worker: Measured, jobs: int) -> tuple[Bulk, Drain]:
    """Enqueue `jobs` to a paused queue, then let the worker have them."""
    lab.session.ask(calls.pause(QUEUE, pause_note("taskq bench", lab.session.clock.now())))
    bulk, last = enqueue_in_bulk(lab, jobs)
    before = redis_cpu(lab.session), worker.cpu(), machine_cpu()
    seconds = lab.timed(lambda: _let_go(lab, worker, last))
    after = redis_cpu(lab.session), worker.cpu(), machine_cpu()
    redis, workers, machine = map(_grown, before, after)
    return bulk, Drain(jobs=jobs, seconds=seconds, redis_cpu=redis, worker_cpu=workers, machine_cpu=machine)


def _let_go(lab: Lab, worker: Measured, last: Job[Any]) -> None:
    lab.session.ask(calls.resume(QUEUE))
    lab.wait_for_all(last, worker)


def enqueue_in_bulk(lab: Lab, jobs: int) -> tuple[Bulk, Job[None]]:
    """`jobs` enqueued in bulk; also the last of them."""
    before, began = redis_memory(lab.session), lab.now()
    for start in range(0, jobs, CHUNK):
        lab.check_time()
        last = lab.bench.noop.enqueue_many([()] * min(CHUNK, jobs - start))[-1]
    seconds, grown = lab.now() - began, _grown(before, redis_memory(lab.session))
    # Where others have freed more meanwhile, it says nothing.
    return Bulk(jobs=jobs, seconds=seconds, memory=grown / jobs if grown and grown > 0 else None), last


def enough(trial: Drain) -> int:
    """Jobs for a drain that is long enough to be measured, and is over soon."""
    return round(min(MOST_JOBS, max(LEAST_JOBS, trial.rate * DRAIN_SECONDS)))


def _grown(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
