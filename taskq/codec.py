"""The three things taskq keeps in Redis as msgpack: jobs, outcome records, and the history of a job's attempts.

    job       [1, task, args, kwargs, enqueued_at, key, route]     without its end: no route, or no key and no route
    record    [1, state, value, error, task, enqueued_at, started_at, seconds, attempt, worker]
              error: nil or [type, text, traceback, args or nil]
    history   [1, count, [[started_at, seconds, worker, error], ...]]

The first element is the version of the format: 2 where values of the app's own types are inside (`taskq.types`), else
1. Values inside are encoded as `taskq.values` says. Times are seconds
since the epoch, durations are seconds; all are finite.

Encoding raises NotSerializable or TooLarge and says which argument is to blame. Decoding raises MalformedJob and
nothing else, whatever the bytes: a body that cannot be decoded must reach the dead letters, not end a worker. What
a newer version wrote is no garbage: NewerFormat says so, and a worker leaves the job to workers that can read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal, get_args

from taskq.errors import MalformedJob, NotSerializable, TooLarge, shown
from taskq.named import Lowered, Lowering, Named
from taskq.values import HARD_LIMIT, PLAIN, OversizedError, RefusedError, check, dump, load

__all__ = [
    "DEFAULT_LIMIT",
    "HARD_LIMIT",
    "Attempt",
    "Envelope",
    "ErrorInfo",
    "NewerFormat",
    "Record",
    "decode_history",
    "decode_job",
    "decode_record",
    "encode_history",
    "encode_job",
    "encode_record",
]

DEFAULT_LIMIT = 512 * 1024
"""Most bytes of a job or a record, unless set otherwise."""

VERSION = 2
"""The highest that is read. To be raised with any change of the three formats, and of values. Older workers park what
they cannot read (`NewerFormat`), so each body has the lowest version that says what is in it."""
PLAIN_VERSION = 1
"""Of what holds no value of an own type."""
State = Literal["done", "dead", "cancelled"]
STATES: frozenset[State] = frozenset(get_args(State))
ATTEMPTS_KEPT = 5
ATTEMPT_ERROR_CHARS = 500


class NewerFormat(MalformedJob):
    """The bytes have a higher version than this taskq reads."""


@dataclass(slots=True, kw_only=True)
class Envelope:
    """A job as it lies in Redis, not to be changed (to freeze it would cost as much as to decode it).

    `enqueued_at`: seconds since the epoch. `key`: the id that the user gave, if any. `route`: queue, lane and priority
    that it was enqueued to, as the broker writes them. `named`: what was found in its arguments of an app's own types.
    """

    task: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    enqueued_at: float
    key: str | None = None
    route: str = ""
    named: Sequence[Named] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """An exception that went through Redis. `type`: "module.QualName". `args`: None where they cannot travel."""

    type: str
    text: str
    traceback: str = ""
    args: tuple[Any, ...] | None = None


@dataclass(slots=True, kw_only=True)
class Record:
    """The outcome of a job, not to be changed. `state`: "done" (with `value`), "dead" or "cancelled".

    `seconds`: how long it ran. `named`: what was found in its value, or in the args of its error, of own types.
    """

    state: State
    value: Any = None
    error: ErrorInfo | None = None
    task: str
    enqueued_at: float
    started_at: float
    seconds: float
    attempt: int
    worker: str
    named: Sequence[Named] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try that failed. `error`: "ValueError: bad image", cut at 500 characters."""

    started_at: float
    seconds: float
    worker: str
    error: str


# --- jobs --------------------------------------------------------------------------------------------------------

Names = Callable[[], Mapping[str, object]]
"""Gives the arguments of a job under their names in the task's signature."""


def encode_job(
    envelope: Envelope, limit: int = DEFAULT_LIMIT, names: Names | None = None, types: Lowering | None = None
) -> bytes:
    """`envelope` as at most `limit` bytes. `names` is called on failure only, to tell which argument is to blame.

    `types`: what values of the app's own types travel as. Raises NotSerializable for a value that cannot travel,
    TooLarge over the limit.
    """
    args, kwargs = envelope.args, envelope.kwargs
    lowered = None
    try:
        if kwargs or not PLAIN.issuperset(map(type, args)):
            lowered = _checked((*args, *kwargs.values()), limit, types)
        version = PLAIN_VERSION if lowered is None else VERSION
        fields = [version, envelope.task, [*args], kwargs, envelope.enqueued_at, envelope.key, envelope.route]
        if not envelope.route:
            del fields[5 if envelope.key is None else 6 :]
        body = dump(fields, lowered)
        if len(body) > limit:
            raise OversizedError(len(body), packed=True)
    except RefusedError as refused:
        raise _unfit_argument(envelope.task, _arguments(envelope, names), refused, types) from refused.__cause__
    except OversizedError as over:
        raise _too_large_job(envelope.task, _arguments(envelope, names), over, limit, types) from None
    return body


def decode_job(body: bytes, limit: int = DEFAULT_LIMIT) -> Envelope:
    """The job in `body`. Raises MalformedJob with the reason, and nothing else, for any bytes that are not one."""
    fields, named = _opened(body, limit, "job", 5, 7)
    task, args, kwargs, enqueued_at = fields[1:5]
    key = fields[5] if len(fields) > 5 else None
    route = fields[6] if len(fields) > 6 else ""
    if type(task) is not str or type(args) is not list or type(kwargs) is not dict:
        raise _malformed("job", "task, args and kwargs are not a str, a list and a dict")
    if kwargs and not _STR.issuperset(map(type, kwargs)):
        raise _malformed("job", "the name of a keyword argument is not a str")
    if (key is not None and type(key) is not str) or type(route) is not str:
        raise _malformed("job", "key and route are not strings")
    at = _seconds(enqueued_at, "job")
    return Envelope(task=task, args=tuple(args), kwargs=kwargs, enqueued_at=at, key=key, route=route, named=named)


def _checked(values: Iterable[object], limit: int, types: Lowering | None) -> Lowered | None:
    """Look whether all `values` can travel. The answer is what stands for those of own types, None without any."""
    lowered = Lowered(types) if types else None
    for value in values:
        if type(value) not in PLAIN:
            check(value, limit, lowered)
    return lowered if lowered is not None and lowered.any else None


def _arguments(envelope: Envelope, names: Names | None) -> Mapping[str, object]:
    if names is not None:
        return names()
    return {f"args[{index}]": value for index, value in enumerate(envelope.args)} | envelope.kwargs


def _unfit_argument(
    task: str, arguments: Mapping[str, object], refused: RefusedError, types: Lowering | None
) -> NotSerializable:
    for name, value in arguments.items():
        try:
            _checked((value,), HARD_LIMIT, types)
        except RefusedError as found:
            return found.told(f"argument {shown(name)} of {task}", name[:60])
        except OversizedError:
            continue
    return refused.told(f"an argument of {task}", "it")


def _too_large_job(
    task: str, arguments: Mapping[str, object], over: OversizedError, limit: int, types: Lowering | None
) -> TooLarge:
    sizes = {name: _size(value, limit, types) for name, value in arguments.items()}
    largest = max(sizes, key=lambda name: sizes[name].size, default=None)
    which = "" if largest is None else f"; its largest argument is {shown(largest)} with {sizes[largest]}"
    return TooLarge(
        f"cannot enqueue {task}: the job takes {over}, the limit is {limit}{which}\n"
        "  hint: store the data elsewhere (a file, a bucket, a database) and pass a reference to it"
    )


def _size(value: object, limit: int, types: Lowering | None) -> OversizedError:
    try:
        return OversizedError(len(dump(value, _checked((value,), limit, types))), packed=True)
    except OversizedError as over:
        return over
    except RefusedError:
        return OversizedError(0)


# --- outcome records ---------------------------------------------------------------------------------------------


def encode_record(record: Record, limit: int = DEFAULT_LIMIT, types: Lowering | None = None) -> bytes:
    """`record` as at most `limit` bytes. Raises NotSerializable or TooLarge where its `value` cannot travel.

    `types`: what values of the app's own types travel as.

    An error always finds room, for a job has to end somehow: its args are left out where they cannot travel, and over
    the limit args are left out, the text loses its end and the traceback its beginning.
    """
    try:
        data = _record_bytes(record, limit, types)
        if len(data) > limit and record.error is not None:
            data = _record_bytes(replace(record, error=_shortened(record.error, limit)), limit, types)
        if len(data) > limit:
            raise OversizedError(len(data), packed=True)
    except RefusedError as refused:
        raise refused.told(f"the result of {record.task}", "result", "return") from refused.__cause__
    except OversizedError as over:
        raise TooLarge(
            f"cannot store the result of {record.task}: it takes {over}, the limit is {limit}\n"
            "  hint: store the data elsewhere (a file, a bucket, a database) and return a reference to it"
        ) from None
    return data


def decode_record(data: bytes) -> Record:
    """The outcome in `data`. Raises MalformedJob with the reason, and nothing else, for any other bytes."""
    fields, named = _opened(data, HARD_LIMIT, "record", 10, 10)
    _, state, value, error, task, enqueued_at, started_at, seconds, attempt, worker = fields
    if type(state) is not str or state not in STATES:
        raise _malformed("record", "its state is not one of done, dead, cancelled")
    if type(task) is not str or type(attempt) is not int or type(worker) is not str:
        raise _malformed("record", "task, attempt and worker are not a str, an int and a str")
    return Record(
        state=state,
        value=value,
        error=None if error is None else _error(error),
        task=task,
        enqueued_at=_seconds(enqueued_at, "record"),
        started_at=_seconds(started_at, "record"),
        seconds=_seconds(seconds, "record"),
        attempt=attempt,
        worker=worker,
        named=named,
    )


def _record_bytes(record: Record, limit: int, types: Lowering | None) -> bytes:
    lowered = None if type(record.value) in PLAIN else _checked((record.value,), limit, types)
    told, error = None, record.error
    if error is not None:  # there is no value then
        args, lowered = _portable(error.args, limit, types)
        told = [error.type, error.text, error.traceback, args]
    return dump(
        [
            PLAIN_VERSION if lowered is None else VERSION,
            record.state,
            record.value,
            told,
            record.task,
            record.enqueued_at,
            record.started_at,
            record.seconds,
            record.attempt,
            record.worker,
        ],
        lowered,
    )


def _portable(
    args: tuple[Any, ...] | None, limit: int, types: Lowering | None
) -> tuple[list[Any] | None, Lowered | None]:
    """The args of an exception as a list, or None where one of them cannot travel; and what stands for own types."""
    if args is None:
        return None, None
    try:
        return [*args], _checked(args, limit, types)
    except (RefusedError, OversizedError):
        return None, None


def _shortened(error: ErrorInfo, limit: int) -> ErrorInfo:
    most = limit // 16  # of up to 4 bytes each: text and traceback come to half of the limit
    cut_text = error.text if len(error.text) <= most else f"{error.text[:most]}..."
    cut_traceback = error.traceback if len(error.traceback) <= most else f"...{error.traceback[-most:]}"
    return replace(error, text=cut_text, traceback=cut_traceback, args=None)


def _error(value: object) -> ErrorInfo:
    if type(value) is not list or len(value) != 4:
        raise _malformed("record", "its error is not a list of four")
    kind, text, traceback, args = value
    if not _STR.issuperset((type(kind), type(text), type(traceback))):
        raise _malformed("record", "type, text and traceback of its error are not strings")
    if args is not None and type(args) is not list:
        raise _malformed("record", "the args of its error are not a list")
    return ErrorInfo(type=kind, text=text, traceback=traceback, args=None if args is None else tuple(args))


# --- attempts ----------------------------------------------------------------------------------------------------


def encode_history(count: int, attempts: Sequence[Attempt]) -> bytes:
    """How many attempts there were, and the last five of them."""
    kept = [[a.started_at, a.seconds, a.worker, a.error[:ATTEMPT_ERROR_CHARS]] for a in attempts[-ATTEMPTS_KEPT:]]
    return dump([PLAIN_VERSION, count, kept])


def decode_history(data: bytes | None) -> tuple[int, tuple[Attempt, ...]]:
    """(how many attempts there were, the last of them), (0, ()) for None. Raises MalformedJob for any other bytes.

    The count is the second element in every version. Of what a newer taskq wrote only that is read: a job that it began
    can be finished here.
    """
    if data is None:
        return 0, ()
    fields = load(data, DEFAULT_LIMIT)
    if type(fields) is list and fields and _is_newer(fields[0]):
        if len(fields) < 2 or not _is_count(fields[1]):
            raise _malformed("history", "it does not begin with a version and a count")
        return fields[1], ()
    _, count, attempts = _fields(fields, "history", 3, 3)
    if not _is_count(count) or type(attempts) is not list:
        raise _malformed("history", "count and attempts are not a number and a list")
    return count, tuple(map(_attempt, attempts))


def _attempt(value: object) -> Attempt:
    if type(value) is not list or len(value) != 4:
        raise _malformed("history", "an attempt is not a list of four")
    started_at, seconds, worker, error = value
    if type(worker) is not str or type(error) is not str:
        raise _malformed("history", "worker and error of an attempt are not strings")
    return Attempt(
        started_at=_seconds(started_at, "history"), seconds=_seconds(seconds, "history"), worker=worker, error=error
    )


# --- shapes ------------------------------------------------------------------------------------------------------

_STR = frozenset({str})
_EXACT = 2**53  # a float holds every int up to here


def _opened(data: bytes, limit: int, noun: str, least: int, most: int) -> tuple[list[Any], list[Named]]:
    """The fields of a job or a record, and the values of the app's own types that are among them."""
    named: list[Named] = []
    try:
        value = load(data, limit, named)
    except MalformedJob:
        _spare_newer(data, limit, noun)
        raise
    return _fields(value, noun, least, most), named


def _spare_newer(data: bytes, limit: int, noun: str) -> None:
    """`data` cannot be read: raise NewerFormat if it says at once that it is of a newer version, as that may be why."""
    version = _opening(data) if len(data) <= limit else None
    if _is_newer(version):
        raise _newer(noun, version) from None


def _opening(data: bytes) -> int | None:
    """The number below 128 that an array begins with, if `data` is one that does."""
    at = 1 if data[:1] in _SHORT_ARRAYS else 3 if data[:1] == b"\xdc" else len(data)
    return data[at] if at < len(data) and data[at] < 0x80 else None


_SHORT_ARRAYS = frozenset(bytes([head]) for head in range(0x90, 0xA0))


def _newer(noun: str, version: object) -> NewerFormat:
    return NewerFormat(
        f"cannot decode the {noun}: a newer taskq wrote it (version {_number(version)}), "
        f"this one reads version {VERSION}\n  hint: upgrade taskq here"
    )


def _fields(value: object, noun: str, least: int, most: int) -> list[Any]:
    """`value`, if it is a list of this version and between `least` and `most` long."""
    if type(value) is not list or not value:
        raise _malformed(noun, "it is not a list")
    version = value[0]
    if type(version) is not int or version < 1:
        raise _malformed(noun, "it does not begin with a version")
    if _is_newer(version):
        raise _newer(noun, version)
    if not least <= len(value) <= most:
        raise _malformed(noun, f"it has {len(value)} fields, not {least}{f' to {most}' if most > least else ''}")
    return value


def _is_newer(version: object) -> bool:
    return type(version) is int and version > VERSION


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _EXACT


def _number(value: object) -> str:
    """An int of any size, in few characters."""
    return "of many digits" if isinstance(value, int) and value.bit_length() > 64 else str(value)


def _seconds(value: object, noun: str) -> float:
    if type(value) is float and isfinite(value):
        return value
    if type(value) is int and -_EXACT <= value <= _EXACT:
        return float(value)
    raise _malformed(noun, "a time in it is not a finite number")


def _malformed(noun: str, reason: str) -> MalformedJob:
    return MalformedJob(f"cannot decode the {noun}: {reason}")
