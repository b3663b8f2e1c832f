"""Values on the wire: msgpack and eight extension types. What goes in comes out: same exact type, equal value.

    None bool float str bytes list   plain msgpack; a str may hold lone surrogates
    int                              plain msgpack up to 64 bits, beyond that an extension
    dict                             plain msgpack; keys of any hashable type of this table; order kept
    tuple, set                       an array whose first element is the mark 1: [ext(1, "t"), 2, 3] is (2, 3)
    a type of the app's own          an array with the mark, its name, and what `taskq.types` makes of the value:
                                     [ext(1, "n"), "shop.Point", "x", 1, "y", 2]

    ext  type       content (big-endian)
      1  mark       "t" (tuple), "s" (set) or "n" (named: of the app's own types)
      2  int        two's complement, as many bytes as it takes
      3  Decimal    its text: "-0", "1E+3", "sNaN7"
      4  UUID       16 bytes
      5  datetime   year:2 month day hour minute second fold:1 each, microsecond:4, zone
      6  date       year:2 month:1 day:1
      7  time       hour minute second fold:1 each, microsecond:4, zone
      8  timedelta  days:4 seconds:4 microseconds:4

    zone: ""  naive     "u"  UTC     "f" offset  fixed     "n" offset name  fixed, and named
          "z" offset key  a ZoneInfo, or that offset where the zone is unknown    "k" key  the same, no offset known
          offset: 8 bytes, microseconds east of UTC

The content of an extension is flat. Were it packed data again, 700 bytes of nested extensions would recurse through
the hook until the C stack overflows. For the same reason tuples and sets are arrays, rebuilt by `list_hook`.

A subclass of str or dict travels as its base. Everything else is refused, by exact type: `check` looks before msgpack
does, since msgpack takes a bytearray, memoryview, ExtType or Timestamp without asking.

No code of the app runs in here while bytes are decoded: what is of a type of its own comes out as a `Named`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import is_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from functools import partial
from itertools import chain, repeat
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from msgpack import ExtType, OutOfData, Packer, Unpacker, unpackb

from taskq.errors import MalformedJob, NotSerializable, TooLarge
from taskq.named import Lowered, Named

__all__ = [
    "HARD_LIMIT",
    "MAX_DEPTH",
    "PLAIN",
    "STORABLE_TYPES",
    "OversizedError",
    "RefusedError",
    "check",
    "dump",
    "load",
    "pack",
    "unpack",
]

HARD_LIMIT = 16 * 1024 * 1024
"""No encoded value has more bytes than this, whatever the settings say."""

MAX_DEPTH = 200
"""Containers within containers. msgpack itself packs 1,024; its older versions 511, and 255 dicts in pure Python."""

DEEPEST = MAX_DEPTH + 4
"""Containers within containers that are decoded: those of a value, and those of the job or record around it."""

PLAIN = frozenset({type(None), bool, int, float, str, bytes, date, timedelta, UUID, Decimal})
"""Types that travel whatever their value: a container of nothing else needs no further look."""

STORABLE_TYPES = PLAIN | {list, tuple, dict, set, datetime, time}
"""All types that travel by themselves."""

_MARK, _INT, _DECIMAL, _UUID, _DATETIME, _DATE, _TIME, _TIMEDELTA = range(1, 9)
_TUPLE, _SET, _NAMED = ExtType(_MARK, b"t"), ExtType(_MARK, b"s"), ExtType(_MARK, b"n")
_MARK_HEAD = b"\xd4\x01"  # how msgpack opens an extension of one byte with code 1

_STORABLE = "None, bool, int, float, str, bytes, list, tuple, dict, set, datetime, date, time, timedelta, UUID, Decimal"
_REMEDIES: tuple[tuple[type, str], ...] = (
    (Enum, "{}.value"),
    (frozenset, "set({})"),
    (bytearray, "bytes({})"),
    (memoryview, "bytes({})"),
    (date, "{}.isoformat()"),
    (time, "{}.isoformat()"),
    (UUID, "UUID(str({}))"),
    *((base, base.__name__ + "({})") for base in (tuple, list, set, int, float, bytes, Decimal)),
)


class RefusedError(Exception):
    """A value that cannot travel: `what` it is ("a User"), its `path` in the value checked, a `remedy` ("{}.id").

    `register`: how its type can be made one that travels ("app.register_type(Point)"), if it can.
    """

    def __init__(self, what: str, remedy: str = "", register: str = "") -> None:
        super().__init__(what)
        self.what, self.remedy, self.register, self.path = what, remedy, register, ""

    def told(self, subject: str, expression: str, verb: str = "pass") -> NotSerializable:
        """The error for the user. `subject` is the value checked ("argument 'user' of mail"), `expression` its name."""
        holds = f"holds {self.what} at {self.path}" if self.path else f"is {self.what}"
        # A path through a key or a set is no Python expression, so nothing can be proposed for it.
        remedy = "" if "<" in self.path else self.remedy.format(expression + self.path)
        instead = f"{remedy}, or another value" if remedy else "a value"
        first = f"{self.register}; or " if self.register else ""
        return NotSerializable(
            f"{subject} {holds}; msgpack cannot store it\n  hint: {first}{verb} {instead} made of {_STORABLE}"
        )


class OversizedError(Exception):
    """A value that takes `size` bytes; where it was not packed for its size, it takes that many or more."""

    def __init__(self, size: int, *, packed: bool = False) -> None:
        super().__init__(f"{size} bytes" if packed else f"at least {size} bytes")
        self.size = size


# --- the public pair ---------------------------------------------------------------------------------------------


def pack(value: object) -> bytes:
    """`value` as bytes, at most HARD_LIMIT of them. Raises NotSerializable or TooLarge."""
    try:
        check(value, HARD_LIMIT)
        data = dump(value)
        if len(data) > HARD_LIMIT:
            raise OversizedError(len(data), packed=True)
    except RefusedError as refused:
        raise refused.told("the value", "value") from refused.__cause__
    except OversizedError as over:
        raise TooLarge(f"cannot pack the value: it takes {over}, the limit is {HARD_LIMIT}") from None
    return data


def unpack(data: bytes) -> Any:
    """The value that `pack` made `data` from. Raises MalformedJob, and nothing else, for any other bytes."""
    return load(data, HARD_LIMIT)


# --- look before packing -----------------------------------------------------------------------------------------


def check(value: object, limit: int, lowered: Lowered | None = None) -> None:
    """Raise RefusedError, with the path to the culprit, unless `value` and all it holds can travel.

    `lowered` takes what stands for values of the app's own types, which are refused without it: give it to `dump`.

    Raises OversizedError once it has met more than `limit` values, each of which takes a byte or more: a few lists that
    hold one another twice would else unfold into more than any memory. Costs a pass over the types of each container.
    """
    if type(value) in PLAIN:
        return
    steps: list[object] = []
    try:
        _walk(value, limit, steps, lowered)
    except OversizedError:
        raise
    except RefusedError as refused:
        refused.path = _shown(steps[1:])
        raise
    except Exception as error:
        # A dict subclass runs the user's code, and another thread may resize what is being looked at.
        unreadable = _unreadable(error)
        unreadable.path = _shown(steps[1:])
        raise unreadable from error


def _walk(value: object, limit: int, steps: list[object], lowered: Lowered | None) -> None:
    """Depth first, without recursion: one open iterator for each container on the way down, its key in `steps`."""
    met = 0
    levels: list[_Items] = [iter(((None, value),))]
    while levels:
        for step, item in levels[-1]:
            if type(item) in PLAIN:
                continue
            del steps[len(levels) - 1 :]
            steps.append(step)
            opened = _open(item, lowered)
            if opened is None:
                continue
            met += opened[0]
            if met > limit:
                raise OversizedError(met)
            if len(levels) > MAX_DEPTH:
                steps.clear()  # 200 steps would tell nobody anything
                raise RefusedError(f"nested more than {MAX_DEPTH} deep, or contains itself", "a flatter {}")
            levels.append(opened[1])
            break
        else:
            levels.pop()


_Items = Iterator[tuple[object, Any]]


def _open(item: Any, lowered: Lowered | None) -> tuple[int, _Items] | None:
    """Of a container, how many values it holds, and (step, value) of each, or of none where all are plain.

    None for what holds nothing. Raises RefusedError for what cannot travel.
    """
    kind = type(item)
    if kind is list or kind is tuple:
        return len(item), _NOTHING if PLAIN.issuperset(map(type, item)) else enumerate(item)
    if kind is set:
        return len(item), _NOTHING if PLAIN.issuperset(map(type, item)) else zip(repeat(_Step.ITEM), item)
    if lowered is not None and (named := lowered.of(item)) is not None:
        return _open_named(named)
    return _open_other(item, kind)


def _open_named(named: Named) -> tuple[int, _Items]:
    fields = named.fields
    steps = repeat(_Step.CONTENT) if fields is None else map(_Field, fields)
    return len(named.items) + 2, zip(steps, named.items if fields is None else fields.values(), strict=False)


def _open_other(item: Any, kind: type) -> tuple[int, _Items] | None:
    if issubclass(kind, dict):
        return _open_dict(item if kind is dict else dict(item))
    if kind is datetime or kind is time:
        _check_zone(item)
    elif not issubclass(kind, str):
        raise _refusal(item)
    return None


def _open_dict(item: dict[Any, Any]) -> tuple[int, _Items]:
    keys = _NOTHING if PLAIN.issuperset(map(type, item)) else zip(repeat(_Step.KEY), item)
    values = _NOTHING if PLAIN.issuperset(map(type, item.values())) else iter(item.items())
    return 2 * len(item), chain(keys, values)


_NOTHING: _Items = iter(())  # an exhausted iterator can be shared


class _Step(Enum):
    """Where there is no index to name."""

    KEY = "<key>"
    ITEM = "<item>"
    CONTENT = "<content>"


class _Field(str):
    """The name of a field."""

    __slots__ = ()


def _shown(steps: list[object], most: int = 6) -> str:
    path = "".join(map(_shown_step, steps[:most]))
    return path + "[<...>]" if len(steps) > most else path


def _shown_step(step: object) -> str:
    if isinstance(step, _Step):
        return step.value
    if isinstance(step, _Field):
        return f".{step}" if step.isidentifier() and len(step) <= 40 else "<field>"
    return f"[{_index(step)}]"


def _index(key: object) -> str:
    # A key may be of any type and length: no repr but of what is known to be short and harmless.
    if type(key) is str and len(key) <= 40:
        return repr(key)
    if type(key) is int and key.bit_length() <= 64:
        return str(key)
    return f"<{type(key).__name__}>"


def _refusal(value: object) -> RefusedError:
    kind = type(value)
    is_describable = isinstance(value, Enum) or (isinstance(value, tuple) and hasattr(kind, "_fields"))
    register = f"app.register_type({kind.__name__})" if is_describable or is_dataclass(kind) else ""
    for base, remedy in _REMEDIES:
        if isinstance(value, base):
            return RefusedError(_a(kind.__name__), remedy, register)
    if register:
        return RefusedError(_a(kind.__name__), "", register)
    if hasattr(kind, "fileno"):  # files, sockets
        return RefusedError(f"{_a(kind.__name__)}, open in this process only")
    if hasattr(kind, "tolist"):  # numpy, array
        return RefusedError(_a(kind.__name__), "{}.tolist()")
    if kind.__module__ != "builtins":
        return RefusedError(_a(kind.__name__), "{}.id")
    return RefusedError(_a(kind.__name__), "list({})" if isinstance(value, Iterable) else "")


def _check_zone(moment: datetime | time) -> None:
    zone = moment.tzinfo
    if zone is None or type(zone) is timezone or (type(zone) is ZoneInfo and zone.key is not None):
        return
    remedy = "{}.astimezone(timezone.utc)" if isinstance(moment, datetime) else "{}.replace(tzinfo=None)"
    raise RefusedError(f"{_a(type(moment).__name__)} whose tzinfo is {_a(type(zone).__name__)}", remedy)


def _unreadable(error: Exception) -> RefusedError:
    return RefusedError(f"a value that cannot be read ({_reason(error)})")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _a(name: str) -> str:
    return f"an {name}" if name[:1] in "AEIOaeio" else f"a {name}"


# --- to bytes ----------------------------------------------------------------------------------------------------


def dump(value: object, lowered: Lowered | None = None) -> bytes:
    """`value`, which has passed `check`, as bytes. RefusedError where msgpack fails after all (4 GiB of text)."""
    if lowered is not None and lowered.any:
        return _dump_lowered(value, lowered)
    try:
        packer = _packers.pop()
    except IndexError:
        packer = _new_packer()
    try:
        data: bytes = packer.pack(value)
    except RefusedError:
        raise
    except Exception as error:
        raise _unreadable(error) from error
    if len(data) < _KEEP:
        _packers.append(packer)
    return data


def _dump_lowered(value: object, lowered: Lowered) -> bytes:
    def default(item: Any) -> object:
        named = lowered.made(item)
        return _default(item) if named is None else [_NAMED, named.name, *named.items]

    try:
        data: bytes = _new_packer(default=default).pack(value)
    except RefusedError:
        raise
    except Exception as error:
        raise _unreadable(error) from error
    return data


def _default(value: Any) -> object:
    """What msgpack packs in place of `value`, which it cannot pack itself."""
    encode = _ENCODERS.get(type(value))
    if encode is not None:
        return encode(value)
    if isinstance(value, str):
        return str.__str__(value)  # not str(): a str Enum would give "Colour.RED"
    if isinstance(value, dict):
        return dict(value)
    raise _refusal(value)


# A Packer costs three times what it takes to pack a small job with it, and must not be used by two threads at once.
# list.pop and list.append are atomic, so each call has one for itself. One that failed is dropped, as is one whose
# buffer has grown.
_KEEP = 64 * 1024
_packers: list[Any] = []
_new_packer = partial(Packer, default=_default, strict_types=True, unicode_errors="surrogatepass")

_DATETIME_HEAD, _TIME_HEAD = struct.Struct(">HBBBBBBI"), struct.Struct(">BBBBI")
_DATE_FORMAT, _TIMEDELTA_FORMAT, _OFFSET = struct.Struct(">HBB"), struct.Struct(">iII"), struct.Struct(">q")


def _int_bytes(value: int) -> ExtType:
    return ExtType(_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _datetime_bytes(value: datetime) -> ExtType:
    day = value.year, value.month, value.day
    head = _DATETIME_HEAD.pack(*day, value.hour, value.minute, value.second, value.fold, value.microsecond)
    return ExtType(_DATETIME, head + _zone_bytes(value))


def _time_bytes(value: time) -> ExtType:
    head = _TIME_HEAD.pack(value.hour, value.minute, value.second, value.fold, value.microsecond)
    return ExtType(_TIME, head + _zone_bytes(value))


def _zone_bytes(moment: datetime | time) -> bytes:
    zone = moment.tzinfo
    if zone is None:
        return b""
    if zone is UTC:
        return b"u"
    offset = moment.utcoffset()
    east = b"" if offset is None else _OFFSET.pack(offset // timedelta(microseconds=1))
    if isinstance(zone, ZoneInfo):
        return (b"z" if east else b"k") + east + zone.key.encode("utf-8", "surrogatepass")
    name = str(zone.tzname(None))
    if offset is not None and name == timezone(offset).tzname(None):
        return b"f" + east
    return b"n" + east + name.encode("utf-8", "surrogatepass")


_ENCODERS: dict[type, Callable[[Any], object]] = {
    tuple: lambda value: [_TUPLE, *value],
    set: lambda value: [_SET, *value],
    int: _int_bytes,
    Decimal: lambda value: ExtType(_DECIMAL, str(value).encode("ascii")),
    UUID: lambda value: ExtType(_UUID, value.bytes),
    datetime: _datetime_bytes,
    date: lambda value: ExtType(_DATE, _DATE_FORMAT.pack(value.year, value.month, value.day)),
    time: _time_bytes,
    timedelta: lambda value: ExtType(_TIMEDELTA, _TIMEDELTA_FORMAT.pack(value.days, value.seconds, value.microseconds)),
}


# --- from bytes --------------------------------------------------------------------------------------------------


def load(data: bytes, limit: int, named: list[Named] | None = None) -> Any:
    """The value in `data`. Raises MalformedJob for anything that is not one, for trailing bytes, and over `limit`.

    `named` is given each Named that is found in it.

    Nothing is built before it is known to be bounded. The size is looked at first. A length that is read (of text,
    bytes, an extension, an array or a map) is at most that size, and in data of some length the sum of them is. While
    it unpacks, msgpack ends nesting at some 1,000 levels; what is nested more than DEEPEST is refused. So the value
    takes at most 120 bytes of memory for each byte of `data`.
    """
    try:
        if len(data) > limit or len(data) > HARD_LIMIT:
            raise MalformedJob(f"cannot decode {len(data)} bytes: the limit is {min(limit, HARD_LIMIT)}")
        if len(data) > _SCAN_FROM:
            _scan(data)
        # Data without tuples or sets, which is most of it, is spared a Python call for each list.
        value = _unpack_flat(data) if data.find(_MARK_HEAD) < 0 else _Rebuild(named).unpack(data)
        if len(data) > DEEPEST and len(data.translate(None, _NO_CONTAINERS)) > DEEPEST and _is_deep(value):
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        return value
    except MalformedJob:
        raise
    except Exception as error:
        raise MalformedJob(f"cannot decode the bytes: {_reason(error)}") from error


_SCAN_FROM = 4096
_NO_CONTAINERS = bytes({*range(256)} - {*range(0x80, 0xA0), *range(0xDC, 0xE0)})
"""The bytes that open neither an array nor a map."""


def _scan(data: bytes) -> None:
    """Raise ValueError where `data` ends before what it announces.

    msgpack makes room for an array as soon as it has read its length: a thousand arrays in one another, each said to be
    as long as the data, would take gigabytes before one of them is found to be short.
    """
    unpacker = Unpacker(read_size=len(data), max_buffer_size=len(data))
    unpacker.feed(data)
    try:
        unpacker.skip()
    except OutOfData:
        raise ValueError("incomplete input") from None


def _is_deep(value: object) -> bool:
    """Is anything nested more than DEEPEST levels? Level by level, without recursion."""
    level = [value]
    for _ in range(DEEPEST):
        level = [item for box in level for item in _content(box) if type(item) in _CONTAINERS]
        if not level:
            return False
    return True


_CONTAINERS = frozenset({list, tuple, set, dict, Named})


def _content(box: Any) -> Iterable[object]:
    if type(box) is Named:
        return box.items
    return chain(box, box.values()) if type(box) is dict else box if type(box) in _CONTAINERS else ()


class _Mark:
    """Stands first in a list that is to become a tuple, a set or a Named."""

    __slots__ = ("build",)

    def __init__(self, build: Callable[[list[Any]], object]) -> None:
        self.build = build


def _to_named(items: list[Any]) -> Named:
    if not items or type(items[0]) is not str:
        raise ValueError("the mark of a named value is not followed by a name")
    return Named(items.pop(0), items)


_MARKS = {b"t": _Mark(tuple), b"s": _Mark(set), b"n": _Mark(_to_named)}


class _Rebuild:
    """Turns marked lists into what they stand for, and sees to it that no mark is left anywhere else."""

    __slots__ = ("named", "unused")

    def __init__(self, named: list[Named] | None) -> None:
        self.unused = 0
        self.named = [] if named is None else named

    def unpack(self, data: bytes) -> Any:
        value = _unpackb(data, ext_hook=self.extension, list_hook=self.rebuilt)
        if self.unused:
            raise ValueError("a mark is not the first of a list")
        return value

    def extension(self, code: int, content: bytes) -> object:
        if code != _MARK:
            return _extension(code, content)
        if content not in _MARKS:
            raise ValueError("no such mark")
        self.unused += 1
        return _MARKS[content]

    def rebuilt(self, items: list[Any]) -> object:
        if not items or type(items[0]) is not _Mark:
            return items
        self.unused -= 1
        mark: _Mark = items.pop(0)
        made = mark.build(items)
        if type(made) is Named:
            self.named.append(made)
        return made


def _extension(code: int, content: bytes) -> object:
    decode = _DECODERS.get(code)
    if decode is None:
        raise ValueError(f"extension type {code} is unknown, or has no place here")
    return decode(content)


# timestamp=3: msgpack's own timestamp, which other languages may send, becomes a datetime in UTC.
_unpackb = partial(unpackb, strict_map_key=False, unicode_errors="surrogatepass", timestamp=3)
_unpack_flat = partial(_unpackb, ext_hook=_extension)


def _to_datetime(content: bytes) -> datetime:
    year, month, day, hour, minute, second, fold, micro = _DATETIME_HEAD.unpack_from(content)
    zone = _to_zone(content[_DATETIME_HEAD.size :])
    return datetime(year, month, day, hour, minute, second, micro, zone, fold=fold)


def _to_time(content: bytes) -> time:
    hour, minute, second, fold, micro = _TIME_HEAD.unpack_from(content)
    return time(hour, minute, second, micro, _to_zone(content[_TIME_HEAD.size :]), fold=fold)


def _to_timedelta(content: bytes) -> timedelta:
    days, seconds, micro = _TIMEDELTA_FORMAT.unpack(content)
    return timedelta(days, seconds, micro)


def _to_zone(content: bytes) -> tzinfo | None:
    if not content:
        return None
    if content == b"u":
        return UTC
    kind = content[:1]
    if kind == b"k":
        return ZoneInfo(content[1:].decode("utf-8", "surrogatepass"))
    offset = timedelta(microseconds=_OFFSET.unpack_from(content, 1)[0])
    name = content[1 + _OFFSET.size :].decode("utf-8", "surrogatepass")
    if kind == b"z":
        return _zone_or_offset(name, offset)
    if kind == b"n":
        return timezone(offset, name)
    if kind == b"f" and not name:
        return timezone(offset)
    raise ValueError("no such time zone format")


def _zone_or_offset(key: str, offset: timedelta) -> tzinfo:
    try:
        return ZoneInfo(key)
    except (LookupError, ValueError, OSError, ImportError):  # unknown; not a name; a folder; no tzdata
        return timezone(offset)


_DECODERS: dict[int, Callable[[bytes], object]] = {
    _INT: lambda content: int.from_bytes(content, "big", signed=True),
    _DECIMAL: lambda content: Decimal(content.decode("ascii")),
    _UUID: lambda content: UUID(bytes=content),
    _DATETIME: _to_datetime,
    _DATE: lambda content: date(*_DATE_FORMAT.unpack(content)),
    _TIME: _to_time,
    _TIMEDELTA: _to_timedelta,
}
