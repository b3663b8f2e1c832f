"""A worker process: it imports the app, opens its lanes, and exchanges jobs for outcomes until it is told to stop.

1. boot     import the app, enter its lifespans, reach Redis, register; what fails here is told to the supervisor
2. work     exchange.step() until stopped, retired, fenced, or orphaned
3. drain    what runs may end; what waits was given back; then the lifespans are closed
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from taskq import __version__, exit_codes
from taskq.app import TaskQ
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import SOLO
from taskq.broker.opening import open_broker
from taskq.clock import SYSTEM_CLOCK, Clock
from taskq.codec import decode_job
from taskq.config import Sourced, WorkerSettings, advice, redis_url
from taskq.declaration import Declaration
from taskq.errors import BrokerError, BrokerUnavailable, MalformedJob, SchemaMismatch, TaskqError
from taskq.executor.functions import enlist
from taskq.lifecycle import Bury, Finish
from taskq_workers.admission import Limits
from taskq_workers.board import Board, Tally
from taskq_workers.channel import Channel, Message
from taskq_workers.coroutines import AsyncLane
from taskq_workers.exchange import Exchange, Fenced, Identity
from taskq_workers.joining import Joiner
from taskq_workers.lanes import SoloLane
from taskq_workers.lifespans import LifespanFailed, Lifespans
from taskq_workers.limits import Watch
from taskq_workers.lines import log_outcome, tell_trouble
from taskq_workers.loader import import_failure, load_app, module_of
from taskq_workers.loop import Loop
from taskq_workers.meter import Meter
from taskq_workers.outcomes import Outcomes, Settled
from taskq_workers.probe import Probe
from taskq_workers.reporter import Reporter
from taskq_workers.runner import Runner, declaration_of
from taskq_workers.shop import Shop
from taskq_workers.threads import ThreadLane

SPARE_THREADS, SPARE_COROUTINES = 64, 1000
"""How deep jobs may wait for one another where each runs beside the one before: coroutines for threads, and so on."""
SOLO_REST = 10.0
"""Seconds that a solo child waits for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a child is told when it is born. `solo`: it runs jobs that were lost twice, one at a time."""

    app: str
    url: str | None = field(repr=False)
    settings: WorkerSettings
    epoch: str
    supervisor: str
    number: int
    log_jobs: bool = True
    solo: bool = False


def rows_for(settings: WorkerSettings, solo: bool) -> dict[str, range]:
    """The places on the board, by lane; the spare ones are for jobs beside those that wait."""
    if solo:
        return {"io": range(1), "async": range(1, 2)}
    counts = {
        "io": settings.threads,
        "cpu": 1,
        "async": settings.coroutines,
        "spare io": settings.threads + SPARE_THREADS,
        "spare cpu": 1 + SPARE_THREADS,
        "spare async": settings.coroutines + SPARE_COROUTINES,
    }
    ends = [0, *accumulate(counts.values())]
    return {name: range(*span) for name, span in zip(counts, pairwise(ends), strict=True)}


def run_child(assignment: Assignment, board: Board, channel: Channel, log: Any) -> int:
    """The whole life of a child; the answer is its exit code."""
    _settle_signals()
    lifespans = Lifespans(log, assignment.epoch)
    try:
        app = load_app(assignment.app)
        lifespans.leave_copy()
        enlist(app, module_of(assignment.app))
        broker = connect(app, assignment.url)
        lifespans.enter(app.lifespans)
        _register(broker, assignment, redis_url(assignment.url or app.url))
        app.stakes.settle_in(assignment.epoch)
    except BaseException as error:
        lifespans.leave_copy()
        lifespans.close()
        return _fail(channel, assignment, error)
    gc.freeze()  # what is loaded by now stays: the collector need not look at it again and again
    child = Child(assignment, Home(app, broker, lifespans.loop), board, channel, log)
    channel.send({"ready": introduce(app, assignment, broker)})
    code = child.run()
    lifespans.close(assignment.settings.grace)
    return code


def introduce(app: TaskQ, assignment: Assignment, broker: Broker) -> Message:
    """What the supervisor has to know of the app, which it does not import, and may tell of the server."""
    tasks = [
        {"name": d.name, "queue": d.queue, "lane": d.pool, "retries": d.retries, "timeout": d.timeout}
        | ({"concurrency": d.concurrency} if d.concurrency else {})
        for d in (task.declaration for task in app.tasks.values())
    ]
    url = assignment.url or redis_url(app.url).value
    return {"url": url, "namespace": app.namespace, "tasks": tasks, "redis": _server(broker)}


def _server(broker: Broker) -> dict[str, str]:
    try:
        info = broker.run(calls.info())
    except BrokerError:  # it may be forbidden
        return {}
    return {name: info[name] for name in ("redis_version", "maxmemory_policy", "aof_enabled") if name in info}


def connect(app: TaskQ, url: str | None) -> Broker:
    """The broker of `app`, at `url` instead of its own where one is given."""
    if url is not None:
        app.use(open_broker(url, app.namespace))
    return app.broker


def _register(broker: Broker, assignment: Assignment, url: Sourced) -> None:
    try:
        found = broker.run(calls.register(assignment.epoch, assignment.settings.lease, _describe(assignment)))
    except BrokerUnavailable as error:
        raise BrokerUnavailable(f"{error}\n{advice(url)}") from None
    if found is not None:  # where this epoch was declared dead already, the exchange will hear of it
        broker.demand(found)


def _code(error: TaskqError) -> int:
    if isinstance(error, BrokerError):
        return exit_codes.UNREACHABLE
    return exit_codes.FAILED if isinstance(error, (SchemaMismatch, LifespanFailed)) else exit_codes.BAD_APP


def _settle_signals() -> None:
    """Signals are the supervisor's, and do nothing here. Not SIG_IGN: programs that a job starts would inherit it."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    faulthandler.register(signal.SIGQUIT, all_threads=True)


def _describe(assignment: Assignment) -> dict[str, Any]:
    settings = assignment.settings
    return {
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "supervisor": assignment.supervisor,
        "number": assignment.number,
        "queues": ",".join(settings.names),
        **({"weights": ",".join(settings.queues)} if settings.queues != settings.names else {}),
        "slots": "solo" if assignment.solo else f"{settings.threads} io + 1 cpu + {settings.coroutines} async",
        "app": assignment.app,
        "version": __version__,
        "started_at": SYSTEM_CLOCK.now(),
    }


def _fail(channel: Channel, assignment: Assignment, error: BaseException) -> int:
    if isinstance(error, TaskqError):
        text, code = str(error), _code(error)
    else:
        text, code = import_failure(assignment.app, error), exit_codes.BAD_APP
    channel.send({"error": text, "code": code})
    return code


@dataclass(frozen=True, slots=True)
class Home:
    """What has been made ready for the jobs of a process."""

    app: TaskQ
    broker: Broker
    loop: Loop


class Child:
    """The process at work. Its main thread is the exchange."""

    def __init__(self, assignment: Assignment, home: Home, board: Board, channel: Channel, log: Any):
        app = home.app
        self._assignment, self._app, self._board, self._channel, self._log = assignment, app, board, channel, log
        self._clock: Clock = SYSTEM_CLOCK
        self._outcomes = Outcomes()
        self._retiring: str | None = None
        self._retired_at: float | None = None
        self._worked_at = self._clock.monotonic()
        self._runs = 0
        meter = Meter()
        self._reporter = Reporter(meter, self._clock, lambda hint: channel.send({"hint": hint}))
        shop = Shop(
            Runner(app.tasks, assignment.epoch, size_limit=app.size_limit, clock=self._clock, types=app.types),
            board,
            self._outcomes,
            Watch(self._clock),
            self._want_to_retire,
            meter,
        )
        rows = rows_for(assignment.settings, assignment.solo)
        self._loop = AsyncLane(rows["async"], shop, home.loop, rows.get("spare async", ()))
        self._probe = Probe(meter, self._loop)
        lanes, limits = self._lanes(rows, shop), Limits(self._limits(), self._declaration_of)
        queues = assignment.settings.queues
        identity = Identity(assignment.epoch, assignment.settings.names, limits, queues)
        self._exchange = Exchange(identity, home.broker, lanes, self._outcomes, self._clock, self)
        shared = {name: lane for name, lane in lanes.items() if not isinstance(lane, SoloLane)}
        shop.runner.host = Joiner(identity, app, shop, shared, self._exchange.picks, self._clock)

    def run(self) -> int:
        try:
            while self._exchange.open or not self._exchange.idle:
                self._hear(self._exchange.step([self._channel]))
                if self._probe.asleep and self._exchange.holding:
                    self._probe.wake()
                if self._retiring:
                    self._retire(self._retiring)
                if self._assignment.solo:
                    self._rest()
        except Fenced:
            self._log.warning("fenced", worker=self._assignment.epoch, why="its lease ran out; its jobs run elsewhere")
            return exit_codes.FENCED
        self._exchange.tell(self._reporter.rest())
        return exit_codes.OK

    def _lanes(self, rows: dict[str, range], shop: Shop) -> dict[str, ThreadLane | AsyncLane | SoloLane]:
        if self._assignment.solo:
            return {SOLO: SoloLane(ThreadLane("io", rows["io"], shop), self._loop, self._is_async)}
        threads = {name: ThreadLane(name, rows[name], shop, rows[f"spare {name}"]) for name in ("io", "cpu")}
        return {**threads, "async": self._loop}

    def _declaration_of(self, body: bytes) -> Declaration | None:
        try:
            return declaration_of(self._app.tasks, decode_job(body, self._app.size_limit))
        except MalformedJob:
            return None

    def _limits(self) -> dict[str, int]:
        declared = (task.declaration for task in self._app.tasks.values())
        return {each.name: each.concurrency for each in declared if each.concurrency}

    def _is_async(self, job: Any) -> bool:
        declaration = self._declaration_of(job.body)
        return declaration is not None and declaration.pool == "async"

    def _hear(self, readable: list[Any]) -> None:
        if not readable:
            return
        messages = self._channel.receive()
        if messages is None:
            os._exit(exit_codes.ORPHANED)  # the supervisor is gone, and who holds the leases with it
        if messages:
            self._exchange.close()

    def _want_to_retire(self, why: str) -> None:
        """Called from the thread that abandoned a job."""
        self._retiring = why
        self._outcomes.wake()

    def _retire(self, why: str) -> None:
        """Take no more work: the process ends with its last job. Jobs behind a loop that hangs would never end."""
        now = self._clock.monotonic()
        if self._retired_at is None:
            self._retired_at = now
            self._channel.send({"retiring": why})
            self._exchange.close()
        elif now - max(self._retired_at, self._loop.last_turn()) > self._assignment.settings.grace:
            self._channel.send({"hung": why})
            self._retired_at = now

    def _rest(self) -> None:
        """A solo child that has had nothing to do for a while ends."""
        now = self._clock.monotonic()
        if self._exchange.holding:
            self._worked_at = now
        elif now - self._worked_at > SOLO_REST:
            self._exchange.close()

    def _count_runs(self, more: int) -> None:
        """Say it when the last of the runs that this process should have has ended; then go on working."""
        most, before = self._assignment.settings.max_jobs, self._runs
        self._runs += more
        if most and before < most <= self._runs:
            self._channel.send({"spent": f"it has run {self._runs} jobs, --max-jobs is {most}"})

    # What the exchange asks and tells

    def knows(self, body: bytes) -> bool:
        try:
            envelope = decode_job(body, self._app.size_limit)
        except MalformedJob:
            return False
        return declaration_of(self._app.tasks, envelope) is not None and not self._app.types.misfit(envelope.named)

    def written(self, batch: Sequence[Settled], dropped: set[bytes]) -> None:
        ends = Counter(type(settled.step) for settled in batch if settled.member not in dropped)
        self._board.count(Tally(ok=ends[Finish], dead=ends[Bury], dropped=len(dropped)))
        self._count_runs(len(batch))
        for settled in batch if self._assignment.log_jobs else ():
            log_outcome(self._log, settled, settled.member not in dropped)

    def gave_back(self, jobs: int) -> None:
        self._board.count(Tally(given_back=jobs))

    def report(self) -> list[Call[Any]]:
        return self._reporter.due()

    def troubled(self, error: TaskqError | None) -> None:
        tell_trouble(self._log, self._assignment.epoch, error)
