"""A task: a function that can be enqueued. Calling it runs it here; `enqueue` sends it to a worker.

add.enqueue(2, 3)  ->  bind the signature  ->  encode  ->  Call  ->  the app carries it  ->  Job
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, cast

from taskq import ids
from taskq.broker import calls, keys
from taskq.broker.call import Call
from taskq.broker.records import Full
from taskq.codec import Envelope, encode_job
from taskq.declaration import Declaration, Options, make_options
from taskq.errors import BadArguments, ConfigError, EnqueueError, QueueFull, shown
from taskq.job import Job, Post
from taskq.queues import Queues
from taskq.room import Patience, Rooms
from taskq.units import Duration

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

BATCH = 500
BATCH_BYTES = 1 << 20
SHOWN = 10
"""How many arguments an error shows."""


class Carrier(Post, Protocol):
    """What a task needs of its app."""

    @property
    def size_limit(self) -> int: ...
    @property
    def queues(self) -> Queues: ...
    @property
    def rooms(self) -> Rooms: ...
    def now(self) -> float: ...
    def carry(self, call: Call[T]) -> T: ...
    def acarry(self, call: Call[T]) -> Awaitable[T]: ...


class Task(Generic[P, R]):
    """A registered function. Immutable: `options` makes a variant. Made by `@app.task`, or `@task`."""

    def __init__(self, app: Carrier, declaration: Declaration, options: Options | None = None):
        self._app = app
        self.declaration = declaration
        self._options = options or Options()
        update_wrapper(self, declaration.func)

    @property
    def name(self) -> str:
        return self.declaration.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now; nothing is sent."""
        return cast("R", self.declaration.func(*args, **kwargs))

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Send one job; when this returns, Redis has it and it will be run to an outcome.

        Where its queue is full (`app.queue(max_length=)`) it waits until there is room. Raises, with nothing sent:
        BadArguments, ConfigError (a function of C that does not tell its parameters), NotSerializable, TooLarge;
        QueueFull where there was no room within `queue_timeout`, or Redis has no memory; BrokerUnavailable where Redis
        cannot be reached, within 5 s. A `job_id` that has a job or an outcome already is not enqueued again: the handle
        is that job's.
        """
        raw, body = self._encode(args, kwargs)
        return self._job(raw, self._send([(raw, body)]))

    delay = enqueue

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`enqueue` for coroutines: the event loop goes on meanwhile."""
        raw, body = self._encode(args, kwargs)
        return self._job(raw, await self._asend([(raw, body)]))

    def enqueue_many(self, arguments: Iterable[Sequence[Any]]) -> list[Job[R]]:
        """Send a job for each tuple of positional arguments, in a few round trips; all are checked before any is sent.

        To a full queue they go as it has room, in their order. Raises what `enqueue` raises: QueueFull names those that
        were `sent`; where Redis is lost midway, some may have been sent.
        """
        if self._options.job_id is not None:
            raise ConfigError(
                f"cannot enqueue many jobs of {self.name} with one job_id\n  hint: enqueue them one by one"
            )
        rows, now = [tuple(args) for args in arguments], self._app.now()
        bodies = [self._body(row, {}, now) for row in rows]
        encoded = list(zip(ids.new_ids(now, len(bodies)), bodies, strict=True))
        patience, taken = self._app.rooms.patience(self._options.queue_timeout), 0
        for batch in batches(encoded):
            taken += len(batch)
            try:
                self._send(batch, patience)
            except QueueFull as error:
                error.sent = [self._job(raw) for raw, _ in encoded[: taken - len(batch)]]
                raise
        return [self._job(raw) for raw, _ in encoded]

    def options(
        self,
        *,
        delay: Duration | None = None,
        eta: datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        queue_timeout: Duration | None = None,
    ) -> Self:
        """A variant of this task: `add.options(delay=10).enqueue(2, 3)`.

        `delay` (seconds, timedelta, "10m") or `eta` (an aware datetime): not before then. `queue`: instead of the
        task's. `priority`: 0 to 9, higher sooner, default 5. `job_id`: names the job; a name runs once, until its
        result expires. `queue_timeout`: how long to wait for room in a full queue, 0 for not at all; default: without
        end. Raises ConfigError.
        """
        changed = make_options(
            self._options,
            delay=delay,
            eta=eta,
            queue=queue,
            priority=priority,
            job_id=job_id,
            queue_timeout=queue_timeout,
        )
        return type(self)(self._app, self.declaration, changed)

    @cached_property
    def _signature(self) -> inspect.Signature:
        try:
            return inspect.signature(self.declaration.func)
        except ValueError as error:  # of some functions that are written in C
            raise ConfigError(
                f"cannot enqueue task '{self.name}': {error}\n  hint: wrap it in a function of your own"
            ) from None

    @cached_property
    def _route(self) -> str:
        return keys.route(self._queue, self.declaration.pool, self._options.priority)

    @cached_property
    def _arities(self) -> range:
        """How many positional arguments fit, where there are no others; for any other call `bind` has to look."""
        return _arities(self._signature)

    def _encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bytes, bytes]:
        now, key = self._app.now(), self._options.job_id
        body = self._body(args, kwargs, now)
        return (ids.new_id(now) if key is None else ids.named_id(key)), body

    def _body(self, args: tuple[Any, ...], kwargs: dict[str, Any], now: float) -> bytes:
        if kwargs or len(args) not in self._arities:
            self._check(args, kwargs)
        key = self._options.job_id
        envelope = Envelope(task=self.name, args=args, kwargs=kwargs, enqueued_at=now, route=self._route, key=key)
        return encode_job(envelope, self._app.size_limit, lambda: self._names(args, kwargs), self._app.types)

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise BadArguments(self._complaint(args, kwargs, error)) from None

    def _names(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, object]:
        return self._signature.bind(*args, **kwargs).arguments

    def _complaint(self, args: tuple[Any, ...], kwargs: dict[str, Any], error: TypeError) -> str:
        words = [
            *map(shown, args[:SHOWN]),
            *(f"{_keyword(name)}={shown(arg)}" for name, arg in [*kwargs.items()][:SHOWN]),
        ]
        called = ", ".join([*words, *(["..."] if len(words) < len(args) + len(kwargs) else [])])
        name = getattr(self.declaration.func, "__name__", self.name)
        return (
            f"task '{self.name}' got bad arguments\n  {name}{_as_written(self._signature)}\n"
            f"  called as {name}.enqueue({called})        {_reason(error)}\n  nothing was sent"
        )

    @property
    def _queue(self) -> str:
        return self._options.queue or self.declaration.queue

    def _call(self, jobs: Sequence[tuple[bytes, bytes]]) -> Call[int | Full]:
        options, terms = self._options, self._app.queues.terms(self._queue)
        return calls.enqueue(self._route, jobs, delay=options.delay, eta=options.eta, terms=terms)

    def _send(self, jobs: list[tuple[bytes, bytes]], patience: Patience | None = None) -> int:
        """Send `jobs` as their queue has room; those that were sent are taken out. The answer is how many were new."""
        answer, stored = self._app.carry(self._call(jobs)), 0
        while not isinstance(answer, int):
            stored += answer.stored
            del jobs[: answer.dealt]
            patience = patience or self._app.rooms.patience(self._options.queue_timeout)
            patience.took(woken=self._app.rooms.wait(self._queue, patience.demand(self._queue, answer)))
            answer = self._app.carry(self._call(jobs))
        return stored + answer

    async def _asend(self, jobs: list[tuple[bytes, bytes]]) -> int:
        answer, patience = await self._app.acarry(self._call(jobs)), None
        while not isinstance(answer, int):
            del jobs[: answer.dealt]
            patience = patience or self._app.rooms.patience(self._options.queue_timeout)
            patience.took(woken=await self._app.rooms.await_(self._queue, patience.demand(self._queue, answer)))
            answer = await self._app.acarry(self._call(jobs))
        return answer

    def _job(self, raw: bytes, stored: int = 1) -> Job[R]:
        """The handle. A job that was there already may be on another route, which is looked up when it is needed."""
        if stored < 0:
            raise EnqueueError(
                f"cannot enqueue job {self._options.job_id!r}: the empty place of an earlier job of that name "
                f"stands in another line than {self._route}\n"
                "  hint: use the same queue and priority, and no delay; or wait until workers have passed that place"
            )
        return Job(self._app, raw, self._route if stored else "", self._options.job_id)

    def __repr__(self) -> str:
        return f"<Task {self.name} {self._route}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job that is encoded and not sent: `raw` is its id. `delay`: seconds from now. `eta`: since the epoch."""

    raw: bytes
    body: bytes
    route: str
    delay: float | None
    eta: float | None


def draft(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Draft:
    """What `task.enqueue(*args, **kwargs)` would send. Raises what that raises, and ConfigError for a `job_id`."""
    options = task._options
    if options.job_id is not None:
        raise ConfigError(
            f"cannot submit {task.name} with a job_id: its future would share the job with others\n  hint: enqueue it"
        )
    raw, body = task._encode(args, kwargs)
    return Draft(raw=raw, body=body, route=task._route, delay=options.delay, eta=options.eta)


class AsyncTask(Task[P, R]):
    """A task whose function is a coroutine function; the result of its job is what the coroutine returns."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:  # type: ignore[override]
        """The coroutine, to be awaited here."""
        return cast("Coroutine[Any, Any, R]", self.declaration.func(*args, **kwargs))


def _arities(signature: inspect.Signature) -> range:
    parameters = signature.parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return range(0)
    return range(sum(p.default is p.empty for p in positional), len(positional) + 1)


def batches(encoded: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    """(id, body) pairs, as many at a time as one call may carry."""
    batch: list[tuple[bytes, bytes]] = []
    size = 0
    for job in encoded:
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += len(job[1])
    if batch:
        yield batch


class _Annotation(str):
    """Shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _as_written(signature: inspect.Signature) -> str:
    """The parameters as they stand in the source."""
    parameters = [
        parameter.replace(annotation=_Annotation(parameter.annotation))
        if isinstance(parameter.annotation, str)
        else parameter
        for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def _keyword(name: str) -> str:
    return name if name.isidentifier() and len(name) <= 60 else shown(name)


def _reason(error: TypeError) -> str:
    text = str(error)[:200]
    return (
        text.replace("missing a required argument:", "missing:")
        .replace("missing a required keyword-only argument:", "missing:")
        .replace("'", "")
    )
