"""The app: its tasks, its connection, and what a handle asks of it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar, Unpack, overload

from taskq.broker import calls, keys
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.opening import open_broker
from taskq.clock import SYSTEM_CLOCK, Clock
from taskq.codec import DEFAULT_LIMIT, HARD_LIMIT, decode_job, decode_record
from taskq.config import advice, redis_url
from taskq.declaration import RESULT_TTL, Declared, Lane, declare, home, module_name
from taskq.errors import BrokerUnavailable, ConfigError, MalformedJob
from taskq.ids import named_id, show
from taskq.job import Job, Status, cancelled_record, limit, read, running
from taskq.lifespan import Makes, Shared, declare_lifespan
from taskq.outbox import Outbox
from taskq.queues import Order, Queues
from taskq.results import Mailbox
from taskq.room import Rooms
from taskq.sync.barrier import Barrier
from taskq.sync.lock import LEASE, Lock, Semaphore
from taskq.sync.stakes import Stakes
from taskq.tasks import AsyncTask, Task
from taskq.types import Types
from taskq.units import Duration
from taskq.waits import Awaited, Left, Wait, place

if TYPE_CHECKING:
    from taskq.executor.executor import TaskQExecutor

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
C = TypeVar("C", bound=type)


@dataclass(frozen=True, slots=True)
class _Lines:
    """What belongs to one process: connections do not survive a fork."""

    pid: int
    broker: Broker
    mailbox: Mailbox
    outbox: Outbox
    stakes: Stakes
    rooms: Rooms


class Decorator(Protocol):
    """`@app.task(...)` with arguments."""

    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> Task[P, R]: ...


class TaskQ:
    """An app: a table of tasks and a namespace on a Redis.

    `url`: redis://, rediss:// (TLS), unix://, sentinel://host,host/service or embedded://; None takes TASKQ_URL,
    REDIS_URL, `url` in [tool.taskq], or redis://localhost:6379/0, when it is first needed. `namespace`: apps that share
    one see each other's jobs. `size_limit`: bytes of an encoded job or result, at most 16 MiB. `executor_modules`:
    modules whose public functions `executor` takes and workers run, though they are no tasks; "__main__" is the
    program's own. Nothing is connected until it is needed; one app serves all threads, event loops and forked children
    of a program.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        namespace: str = "taskq",
        size_limit: int = DEFAULT_LIMIT,
        executor_modules: Iterable[str] = (),
        clock: Clock = SYSTEM_CLOCK,
    ):
        if not 0 < size_limit <= HARD_LIMIT:
            raise ConfigError(f"size_limit {size_limit} cannot be used\n  hint: 1 to {HARD_LIMIT} bytes")
        self.namespace = keys.check_name(namespace, "namespace")
        self.size_limit = size_limit
        if isinstance(executor_modules, str):
            raise ConfigError(f"executor_modules is a text\n  hint: [{executor_modules!r}]")
        self.executor_modules = tuple(executor_modules)
        self.tasks: dict[str, Task[..., Any]] = {}
        self.exceptions: dict[str, type[BaseException]] = {}
        self.types = Types()
        self.lifespans: list[Shared[Any]] = []
        self.queues = Queues()
        self.url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: _Lines | None = None

    # Declaring

    @overload
    def task(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, func: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, **declared: Unpack[Declared]) -> Decorator: ...
    def task(self, func: Any = None, /, **declared: Any) -> Any:
        """Register a function as a task: `@app.task` or `@app.task(retries=5)`.

        `name`: default module.qualname. `queue`: default "default". `pool`: the lane, "io" (default), "cpu", or "async"
        (default for `async def`). `retries`: re-tries after failures. `retry_on`, `no_retry_on`: exception types.
        `backoff`: ceiling of the first delay, or a Backoff. `timeout`: soft limit; the hard one follows. `result_ttl`:
        how long the result is kept, 0 for not at all. `concurrency`: how many of its jobs run at once, everywhere: the
        others are delayed meanwhile. Durations: seconds, timedelta or "10m". Raises ConfigError.
        """
        if func is None:
            return lambda f: self._register(f, **declared)
        return self._register(func, **declared)

    def queue(self, name: str, *, order: Order = "fifo", max_length: int | None = None) -> str:
        """Declare a queue. The answer is its name, for `queue=`. A plain one (oldest job first, no bound) need not be.

        `order`: "lifo" for the newest job first. `max_length`: how many jobs may be in line, of all lanes and
        priorities; where it is full, an enqueue waits (`queue_timeout` of `Task.options`). Delayed jobs do not count,
        and workers put jobs back though it is full. What came with the last enqueue counts for all who enqueue to it,
        also where nothing is declared; `app.queue(name)` makes it plain again. Raises ConfigError.
        """
        return self.queues.declare(name, order, max_length)

    def register_exceptions(self, *types: type[BaseException]) -> None:
        """Let `result()` raise these types instead of TaskFailed: they are called with the args of the original."""
        for kind in types:
            self.exceptions[f"{module_name(kind)}.{kind.__qualname__}"] = kind

    @overload
    def register_type(
        self,
        kind: C,
        /,
        *,
        name: str | None = None,
        encode: Callable[[Any], object] | None = None,
        decode: Callable[[Any], Any] | None = None,
    ) -> C: ...
    @overload
    def register_type(self, /, *, name: str) -> Callable[[C], C]: ...
    def register_type(self, kind: Any = None, /, *, name: Any = None, encode: Any = None, decode: Any = None) -> Any:
        """Let values of a class of your own travel, as arguments, in results, and in the args of exceptions.

        A dataclass or NamedTuple travels by its fields, an Enum by its member's name; of any other `encode` makes a
        value that travels, and `decode` makes one of that. `name`: default module.qualname. Workers and those who read
        results register the same types; jobs with others, or with fields that are not known, wait for a worker that
        knows them. Also a decorator. Raises ConfigError.
        """
        if kind is None:
            return lambda k: self.register_type(k, name=name)
        home_name = f"{module_name(kind)}.{kind.__qualname__}" if isinstance(kind, type) else ""
        self.types.register(kind, home_name, home_name if name is None else name, encode, decode)
        return kind

    def lifespan(self, func: Callable[[], Makes[T]], /) -> Shared[T]:
        """Make something once in each worker process, for all its jobs: a connection pool, a model. A decorator.

        `func` yields it once, or returns a context manager; sync (in the main thread) or async (on the event loop of
        async jobs). It is entered before the process takes jobs, and closed when its last job has ended; not if the
        process is killed. Jobs get what it yielded by calling what this returns. Several are closed in reverse. What
        raises at first is the end of the worker, with its traceback. Raises ConfigError.
        """
        shared = declare_lifespan(func)
        self.lifespans = [known for known in self.lifespans if not known.same_home(shared)] + [shared]
        return shared

    def _register(self, func: Callable[..., Any], **declared: Any) -> Task[..., Any]:
        declaration = declare(func, **declared)
        known = self.tasks.get(declaration.name)
        if known is not None and home(known.declaration.func) != home(func):
            raise ConfigError(f"task '{declaration.name}' is registered twice\n  hint: give one of them another name=")
        named = (*declaration.retry_on, *declaration.no_retry_on)
        self.register_exceptions(*[kind for kind in named if issubclass(kind, Exception)])  # no SystemExit
        kind = AsyncTask if declaration.pool == "async" else Task
        task: Task[..., Any] = kind(self, declaration)
        self.tasks[declaration.name] = task
        return task

    # Results

    def executor(self, max_workers: int | None = None, *, pool: Lane | None = None) -> TaskQExecutor:
        """A `concurrent.futures.Executor` whose calls are jobs of this app.

        It takes tasks of this app, which keep their policy, and functions of the `executor_modules`, which are never
        retried and run in the lane `pool` ("io" if not given, "async" for `async def`). At most `max_workers` of its
        jobs are in Redis or with a worker at a time, the others wait here; None: no bound. Raises ConfigError.
        """
        from taskq.executor.executor import TaskQExecutor

        return TaskQExecutor(self, max_workers, pool=pool)

    @overload
    def gather(
        self, jobs: Iterable[Job[R]], timeout: Duration | None = None, *, return_exceptions: Literal[False] = False
    ) -> list[R]: ...
    @overload
    def gather(
        self, jobs: Iterable[Job[R]], timeout: Duration | None = None, *, return_exceptions: bool
    ) -> list[R | Exception]: ...
    def gather(
        self, jobs: Iterable[Job[Any]], timeout: Duration | None = None, *, return_exceptions: bool = False
    ) -> list[Any]:
        """The results of `jobs`, in their order, once all have one: a few round trips for thousands.

        `timeout` (seconds, "10m", or a timedelta) is for all of them together; each is asked for once, however short it
        is. The first job without a result raises what `Job.result` raises; with `return_exceptions` its error stands in
        the place of its result. Raises ResultTimeout where some have no outcome in time.
        """
        outcomes = self.wait([job.awaited for job in jobs], limit(timeout))
        return [self._read(outcome, return_exceptions) for outcome in outcomes]

    @overload
    async def agather(
        self, jobs: Iterable[Job[R]], timeout: Duration | None = None, *, return_exceptions: Literal[False] = False
    ) -> list[R]: ...
    @overload
    async def agather(
        self, jobs: Iterable[Job[R]], timeout: Duration | None = None, *, return_exceptions: bool
    ) -> list[R | Exception]: ...
    async def agather(
        self, jobs: Iterable[Job[Any]], timeout: Duration | None = None, *, return_exceptions: bool = False
    ) -> list[Any]:
        """`gather` for coroutines."""
        outcomes = await self.await_([job.awaited for job in jobs], limit(timeout))
        return [self._read(outcome, return_exceptions) for outcome in outcomes]

    def as_completed(self, jobs: Iterable[Job[R]], timeout: Duration | None = None) -> Iterator[Job[R]]:
        """The jobs, each as soon as it has an outcome: then its `result()` has not to wait, or to ask, any more.

        `timeout` (seconds, "10m", or a timedelta) is for all of them together, from now on. Raises ResultTimeout.
        """
        return self._as_completed(list(jobs), limit(timeout), self._left_of(limit(timeout)))

    def _as_completed(self, jobs: Sequence[Job[R]], timeout: float | None, left: Left) -> Iterator[Job[R]]:
        with self._wait_for([job.awaited for job in jobs]) as wait:
            for number in place().wait(wait, lambda: self._ask(wait), left):
                jobs[number].settle(wait.futures[number])
                yield jobs[number]
            wait.refuse_late(timeout)

    def _read(self, outcome: Future[bytes], return_exceptions: bool) -> Any:
        try:
            return read(outcome, self.exceptions, self.types)
        except Exception as error:
            if not return_exceptions:
                raise
            return error

    # Locks

    def lock(self, name: str, *, lease: Duration = LEASE) -> Lock:
        """The lock of this name: one thread or coroutine has it, of all processes and hosts that share the namespace.

        `with app.lock("report") as held:`. `lease`: how long others wait after a process that is no worker died, or
        stood still, while it had the lock. Raises ConfigError.
        """
        return Lock(self, name, lease)

    def semaphore(self, name: str, n: int, *, lease: Duration = LEASE) -> Semaphore:
        """A lock that `n` have at a time."""
        return Semaphore(self, name, n, lease)

    def barrier(self, name: str, n: int, *, lease: Duration = LEASE) -> Barrier:
        """Where `n` wait for each other: `app.barrier("step", 4).wait()`."""
        return Barrier(self, name, n, lease)

    # The connection

    @property
    def stakes(self) -> Stakes:
        """What this process holds and waits for at locks."""
        return self._connect().stakes

    @property
    def broker(self) -> Broker:
        """This process's broker."""
        return self._connect().broker

    @property
    def mailbox(self) -> Mailbox:
        """Who waits for this process's results."""
        return self._connect().mailbox

    @property
    def rooms(self) -> Rooms:
        """Where this process waits for room in full queues."""
        return self._connect().rooms

    def use(self, broker: Broker) -> None:
        """Take `broker` instead of the URL's (a worker shares its own; tests pass one on fakeredis)."""
        stakes, rooms = Stakes(broker, self._clock), Rooms(broker, self._clock)
        self._lines = _Lines(os.getpid(), broker, Mailbox(broker, self._clock), Outbox(broker), stakes, rooms)

    def _connect(self) -> _Lines:
        lines = self._lines
        if lines is not None and lines.pid == os.getpid():
            return lines
        with self._lock:
            lines = self._lines
            if lines is None:
                self.use(open_broker(redis_url(self.url).value, self.namespace))
            elif lines.pid != os.getpid():  # forked: the same Redis, on connections of our own
                self.use(Broker(lines.broker.url, lines.broker.namespace))
            assert self._lines is not None
            return self._lines

    def close(self) -> None:
        """Close the connections; who still waits for a result gets a BrokerError. Locks are released.

        The app can be used again.
        """
        lines, self._lines = self._lines, None
        if lines is not None and lines.pid == os.getpid():
            lines.mailbox.close()
            lines.stakes.close()
            lines.outbox.close()
            lines.rooms.close()
            lines.broker.close()

    # What tasks and handles ask for

    def now(self) -> float:
        return self._clock.now()

    def carry(self, call: Call[T]) -> T:
        try:
            broker = self._connect().broker
            if not broker.checked:
                broker.check()
            return broker.run(call)
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"{error}\n{advice(redis_url(self.url))}") from None

    async def acarry(self, call: Call[T]) -> T:
        try:
            return await self._connect().outbox.run(call)
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"{error}\n{advice(redis_url(self.url))}") from None

    def wait(self, jobs: Sequence[Awaited], timeout: float | None) -> list[Future[bytes]]:
        """The futures of the jobs' outcome records, all of them done. Raises ResultTimeout, and WaitCycle in a job."""
        with self._wait_for(jobs) as wait:
            deque(place().wait(wait, lambda: self._ask(wait), self._left_of(timeout)), maxlen=0)
            wait.refuse_late(timeout)
            return wait.futures

    async def await_(self, jobs: Sequence[Awaited], timeout: float | None) -> list[Future[bytes]]:
        """`wait` for coroutines."""
        with self._wait_for(jobs) as wait:
            await place().await_(wait, lambda: self._aask(wait), self._left_of(timeout))
            wait.refuse_late(timeout)
            return wait.futures

    def _wait_for(self, jobs: Sequence[Awaited]) -> Wait:
        if running.get() is not None:  # there it matters where they stand
            jobs = [(job_id, route or self._route_of(job_id)) for job_id, route in jobs]
        return Wait(self._connect().mailbox, jobs)

    def _ask(self, wait: Wait) -> None:
        for page, call in wait.pages():
            wait.absorb(page, self.carry(call))

    async def _aask(self, wait: Wait) -> None:
        for page, call in wait.pages():
            wait.absorb(page, await self.acarry(call))

    def _left_of(self, timeout: float | None) -> Left:
        if timeout is None:
            return lambda: None
        until = self._clock.monotonic() + timeout
        return lambda: max(0.0, until - self._clock.monotonic())

    def job(self, job_id: str) -> Job[Any]:
        """A handle on a job enqueued elsewhere, by its id. Nothing is looked up yet."""
        key = None if show(named_id(job_id)) == job_id else job_id
        return Job(self, named_id(job_id), "", key)

    def job_status(self, job_id: bytes, route: str) -> Status:
        """Where a job is; `route` may be "" where it is not known."""
        found = self.carry(calls.locate(job_id, route or self._route_of(job_id)))
        return found.place if found.record is None else decode_record(found.record).state

    def cancel_job(self, job_id: bytes, route: str, name: str) -> bool:
        """End a job that has not started. True if it will not run; `name` is what its outcome calls it."""
        route = route or self._route_of(job_id)
        record = cancelled_record(name, self.now())
        (place,) = self.carry(calls.cancel([(job_id, route)], record, RESULT_TTL))
        return place in ("queued", "delayed", "parked")

    def _route_of(self, job_id: bytes) -> str:
        body = self.carry(calls.locate(job_id, "")).body
        try:
            return decode_job(body, self.size_limit).route if body else ""
        except MalformedJob:
            return ""


@cache
def default_app() -> TaskQ:
    """The app of the bare `@task`."""
    return TaskQ()


@overload
def task(func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
@overload
def task(func: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(**declared: Unpack[Declared]) -> Decorator: ...
def task(func: Any = None, /, **declared: Any) -> Any:
    """`TaskQ.task` of the default app, which takes its URL from the environment or pyproject.toml."""
    return default_app().task(func, **declared) if func is not None else default_app().task(**declared)
