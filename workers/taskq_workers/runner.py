"""Running one job: open it, call its function, settle what came of it. The same few steps for threads and coroutines.

Claimed -> open -> Run -> call -> Outcome -> decide -> Step -> settle -> Settled
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import Context
from dataclasses import dataclass, replace
from typing import Any, Protocol

from taskq import ids
from taskq.broker.keys import member_id, member_lane, member_route, route_queue
from taskq.broker.records import Claimed
from taskq.clock import Clock
from taskq.codec import (
    Attempt,
    Envelope,
    ErrorInfo,
    NewerFormat,
    Record,
    State,
    decode_history,
    decode_job,
    decode_record,
    encode_history,
    encode_record,
)
from taskq.declaration import RESULT_TTL, Declaration, module_name
from taskq.errors import MalformedJob, NotSerializable, TaskqError, TimeLimit, TooLarge, WaitCycle
from taskq.executor.chunks import chunk_declaration
from taskq.job import CurrentJob, running
from taskq.lifecycle import (
    Bury,
    Delay,
    Failed,
    Finish,
    Malformed,
    Outcome,
    Policy,
    RetryAsked,
    Succeeded,
    Unknown,
    decide,
)
from taskq.retry import Backoff, Retry
from taskq.tasks import Task
from taskq.types import Types
from taskq.waits import OUTSIDE, Left, Wait
from taskq_workers.limits import Ticket
from taskq_workers.outcomes import Settled

TEXT_LIMIT, TRACEBACK_LIMIT = 2_000, 16_000
_NO_TASK = Policy(retries=0, backoff=Backoff())
_NOTHING = Envelope(task="", args=(), kwargs={}, enqueued_at=0.0, route="")
_BLANK: dict[str, Any] = {"task": "", "enqueued_at": 0.0, "started_at": 0.0, "seconds": 0.0, "attempt": 1, "worker": ""}


class Host(Protocol):
    """Whose slots jobs run in: it uses them while a job waits for others."""

    def wait(self, run: Run, wait: Wait, ask: Callable[[], object], left: Left) -> Iterator[int]: ...
    async def await_(self, run: Run, wait: Wait, ask: Callable[[], Awaitable[object]], left: Left) -> None: ...


@dataclass(slots=True)
class Run:
    """One job on its way. Without `declaration` it cannot run here; `outcome` says why, where the task is known.

    `slot`, `ticket`: what its lane knows it by. Where another job waits for it: `told` hears how it ended, `below` is
    that job, if this one runs in its thread, and `claimed` what it was before.
    """

    member: bytes
    lane: str
    envelope: Envelope
    declaration: Declaration | None
    attempt: int
    earlier: tuple[Attempt, ...]
    started_at: float
    started: float
    worker: str
    outcome: Malformed | Unknown | None = None
    host: Host | None = None
    slot: Any = None
    ticket: Ticket | None = None
    told: Callable[[Settled], object] | None = None
    below: Run | None = None
    claimed: Claimed | None = None

    @property
    def timeout(self) -> float | None:
        return self.declaration.timeout if self.declaration else None

    def describe(self) -> CurrentJob:
        """The job as its function may see it."""
        return CurrentJob(
            id=self.envelope.key or ids.show(member_id(self.member)),
            task=self.envelope.task,
            queue=route_queue(member_route(self.member)),
            attempt=self.attempt,
            retries=self.declaration.retries if self.declaration else 0,
            enqueued_at=self.envelope.enqueued_at,
            fence=self.worker,
        )

    # As `taskq.waits.Place`

    def wait(self, wait: Wait, ask: Callable[[], object], left: Left) -> Iterator[int]:
        return self.host.wait(self, wait, ask, left) if self.host else OUTSIDE.wait(wait, ask, left)

    async def await_(self, wait: Wait, ask: Callable[[], Awaitable[object]], left: Left) -> None:
        if self.host:
            await self.host.await_(self, wait, ask, left)
        else:
            await OUTSIDE.await_(wait, ask, left)


class Runner:
    """Runs jobs of `tasks`, with values of `types`, for the worker process `epoch`. `chance` draws from [0, 1)."""

    def __init__(
        self,
        tasks: Mapping[str, Task[..., Any]],
        epoch: str,
        *,
        size_limit: int,
        clock: Clock,
        chance: Callable[[], float] = random.random,
        types: Types | None = None,
    ):
        self._types = Types() if types is None else types
        self._tasks, self._epoch, self._size_limit, self._clock, self._chance = tasks, epoch, size_limit, clock, chance
        self.host: Host | None = None
        self._copied = False
        os.register_at_fork(after_in_child=self._note_copy)

    def _note_copy(self) -> None:
        self._copied = True

    def _leave_copy(self) -> None:
        """End this process if the task forked, and this is the copy: the original goes on."""
        if self._copied:
            os._exit(0)

    def open(self, claimed: Claimed) -> Run:
        """The job in `claimed`: decoded, and its task found."""
        now, started = self._clock.now(), self._clock.monotonic()
        count, earlier = decode_history(None)
        envelope, declaration = _NOTHING, None
        outcome: Malformed | Unknown | None = None
        try:
            envelope = decode_job(claimed.body, self._size_limit)
            count, earlier = decode_history(claimed.history)
            declaration = declaration_of(self._tasks, envelope)
            misfit = self._types.misfit(envelope.named) if envelope.named and declaration else ""
            if misfit:
                declaration, outcome = None, Unknown(misfit)
        except NewerFormat:
            pass  # it goes as a task that is not known here: others may be able to read it
        except MalformedJob as error:
            outcome = Malformed(_own_error(error))
        lane = member_lane(claimed.member)
        return Run(
            claimed.member,
            lane,
            envelope,
            declaration,
            count + 1,
            earlier,
            now,
            started,
            self._epoch,
            outcome,
            self.host,
        )

    def call(self, run: Run) -> Outcome:
        """Call the task's function in this thread, in a context of its own: no context variable outlives a job."""
        return Context().run(self._call, run)

    def _call(self, run: Run) -> Outcome:
        declaration, envelope = run.declaration, run.envelope
        if declaration is None:
            return run.outcome or Unknown()
        running.set(run)
        try:
            if envelope.named:
                envelope = self._built(envelope)
            returned = declaration.func(*envelope.args, **envelope.kwargs)
            if declaration.pool == "async":  # a plain def when the job was enqueued; its lane was chosen then
                returned = asyncio.run(returned)
            outcome: Outcome = self._returned(run, returned)
        except BaseException as error:
            outcome = self._raised(declaration, error)
        self._leave_copy()
        return outcome

    async def acall(self, run: Run) -> Outcome:
        """Await the task's coroutine in this event loop."""
        declaration, envelope = run.declaration, run.envelope
        if declaration is None:
            return run.outcome or Unknown()
        running.set(run)
        try:
            if envelope.named:
                envelope = self._built(envelope)
            returned = declaration.func(*envelope.args, **envelope.kwargs)
            outcome: Outcome = self._returned(run, await returned if inspect.isawaitable(returned) else returned)
        except BaseException as error:
            outcome = self._raised(declaration, error)
        self._leave_copy()
        return outcome

    def _built(self, envelope: Envelope) -> Envelope:
        """Make the arguments of the app's own types: it is the job that runs their code, and fails of it."""
        build = self._types.build
        return replace(envelope, args=build(envelope.args), kwargs=build(envelope.kwargs))

    def settle(self, run: Run, outcome: Outcome) -> Settled:
        """What is to be written of a job that ended like this."""
        took = max(0.0, self._clock.monotonic() - run.started)
        declaration = run.declaration
        step = decide(declaration or _NO_TASK, run.attempt, outcome, self._chance())
        ttl = declaration.result_ttl if declaration else RESULT_TTL
        waited = max(0.0, run.started_at - run.envelope.enqueued_at)
        record = (
            step.record
            if isinstance(step, Finish)
            else self._obituary(run, step.error, took)
            if isinstance(step, Bury)
            else b""
        )
        history = self._history(run, step.error, took) if isinstance(step, (Delay, Bury)) else b""
        return Settled(run.member, run.lane, run.envelope.task, step, took, ttl, record, history, waited, run.attempt)

    def late(self, run: Run) -> Failed:
        """The outcome of a job that ran longer than its task allows."""
        return Failed(_late(run.envelope.task, run.timeout))

    def stranded(self, run: Run, by: Run) -> Failed:
        """The outcome of a job whose thread was lost to another one, for which it waited."""
        text = f"its thread was lost: {by.envelope.task}, which it waited for, did not stop at its time limit"
        return Failed(ErrorInfo(type="taskq.errors.WorkerLost", text=text, args=(text,)))

    def _returned(self, run: Run, value: Any) -> Outcome:
        """A value was returned: encode it here, so that what cannot travel is this job's failure."""
        took = max(0.0, self._clock.monotonic() - run.started)
        try:
            record = self._record(run, "done", took, value=value)
            return Succeeded(encode_record(record, self._size_limit, self._types))
        except (NotSerializable, TooLarge) as error:
            text = str(error)
            return Failed(ErrorInfo(type="taskq.errors.ResultNotStored", text=text, args=(text,)), final=True)

    def _raised(self, declaration: Declaration, error: BaseException) -> Outcome:
        if isinstance(error, Retry):
            return RetryAsked(describe(error, self._types), error.delay)
        if isinstance(error, TimeLimit):
            return Failed(_late(declaration.name, declaration.timeout, _trace(error)))
        again = isinstance(error, declaration.retry_on) and not isinstance(error, (*declaration.no_retry_on, WaitCycle))
        return Failed(describe(error, self._types), final=not again)

    def _obituary(self, run: Run, error: ErrorInfo, took: float) -> bytes:
        try:
            return encode_record(self._record(run, "dead", took, error=error), self._size_limit, self._types)
        except TaskqError:
            plain = ErrorInfo(type=error.type, text=error.text, traceback=error.traceback)
            return encode_record(self._record(run, "dead", took, error=plain))

    def _record(
        self, run: Run, state: State, took: float, *, value: Any = None, error: ErrorInfo | None = None
    ) -> Record:
        return Record(
            state=state,
            value=value,
            error=error,
            task=run.envelope.task,
            enqueued_at=run.envelope.enqueued_at,
            started_at=run.started_at,
            seconds=took,
            attempt=run.attempt,
            worker=self._epoch,
        )

    def _history(self, run: Run, error: ErrorInfo, took: float) -> bytes:
        attempt = Attempt(started_at=run.started_at, seconds=took, worker=self._epoch, error=summary(error))
        return encode_history(run.attempt, (*run.earlier, attempt))


def declaration_of(tasks: Mapping[str, Task[..., Any]], envelope: Envelope) -> Declaration | None:
    """What to run for `envelope`: its task, or a chunk of one. None where it is neither."""
    task = tasks.get(envelope.task)
    return task.declaration if task is not None else chunk_declaration(tasks, envelope)


def describe(error: BaseException, types: Types | None = None) -> ErrorInfo:
    """`error` as it travels: its own frames only, text and traceback cut to a size that fits.

    Values of the app's own `types` among its args stand there as they travel: no code of theirs runs later.
    """
    kind = type(error)
    return ErrorInfo(
        type=f"{module_name(kind)}.{kind.__qualname__}",
        text=_text(error)[:TEXT_LIMIT],
        traceback=_trace(error),
        args=_portable(error, types),
    )


def summary(error: ErrorInfo) -> str:
    """One line: "ValueError: bad image"."""
    name = error.type.rsplit(".", 1)[-1]
    return f"{name}: {error.text}" if error.text else name


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as broken:  # it is the job's code, and must not end the thread
        return f"(its text cannot be had: {type(broken).__name__})"


def _trace(error: BaseException) -> str:
    frames = error.__traceback__.tb_next if error.__traceback__ else None
    try:
        text = "".join(traceback.format_exception(type(error), error, frames, limit=-50))
    except Exception as broken:
        return f"(the traceback cannot be shown: {type(broken).__name__})"
    return text if len(text) <= TRACEBACK_LIMIT else f"...\n{text[-TRACEBACK_LIMIT:]}"


def _portable(error: BaseException, types: Types | None) -> tuple[Any, ...] | None:
    """The args of `error`, if they can travel and are not large."""
    try:
        args = tuple(error.args)
        probe = ErrorInfo(type="", text="", args=args)
        data = encode_record(Record(state="dead", error=probe, **_BLANK), types=types)
        sent = decode_record(data) if types else None
        if sent is not None and sent.named and sent.error:
            probe = sent.error
    except BaseException:  # `args` may be a property, and anything may be in it
        return None
    return probe.args if len(data) <= TRACEBACK_LIMIT else None


def _late(task: str, timeout: float | None, trace: str = "") -> ErrorInfo:
    text = f"{task} ran longer than its timeout of {timeout or 0:g} s"
    return ErrorInfo(type="taskq.errors.TimeLimitExceeded", text=text, traceback=trace, args=(text,))


def _own_error(error: TaskqError) -> ErrorInfo:
    text = str(error)
    return ErrorInfo(type=f"taskq.errors.{type(error).__name__}", text=text, args=(text,))
