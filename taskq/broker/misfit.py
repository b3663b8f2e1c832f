"""Which key has another type than the data model says. Looked for when Redis answers WRONGTYPE, which names none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from taskq.broker.call import Call, Word
from taskq.broker.keys import ID_BYTES, LANES, MODEL, SOLO, Key, member_id, member_route, raw, route_queue
from taskq.broker.scripts import load
from taskq.broker.wire import Wire
from taskq.errors import BrokerError

MOST = 5000
"""Keys that are looked at."""
_LONGEST = 200


def is_misfit(reply: object) -> bool:
    """Does Redis say that some key is of the wrong type?"""
    return isinstance(reply, Exception) and "WRONGTYPE" in str(reply)


def misfit(line: Wire, prefix: bytes, call: Call[Any]) -> BrokerError | None:
    """The error that names the key which `call` stumbled over, or None where it is right by now."""
    (queues,) = line.converse([("SMEMBERS", prefix + MODEL["queues"].suffix.encode())])
    names = {*_names(call.args), *(queues if isinstance(queues, list) else [])}
    keys = list(_keys(prefix, call, names))[:MOST]
    types = line.converse([("TYPE", key) for key, _ in keys])
    return next(
        (
            _error(key, row, _text(found))
            for (key, row), found in zip(keys, types, strict=True)
            if _text(found) not in ("none", row.type)
        ),
        None,
    )


def _error(key: bytes, row: Key, found: str) -> BrokerError:
    shown = _text(key)
    return BrokerError(
        f"cannot use the key {shown!r}: it is a {found}, and taskq keeps a {row.type} there\n"
        f"  hint: somebody else wrote it; look at it, then redis-cli RENAME {shown!r} to another name"
    )


def _text(word: Any) -> str:
    return word.decode("utf-8", "backslashreplace") if isinstance(word, bytes) else str(word)


def _names(args: Sequence[Word]) -> Iterator[bytes]:
    """What may follow a row's suffix: names, ids, and the parts of members."""
    for arg in args:
        word = arg if isinstance(arg, bytes) else raw(str(arg))
        if len(word) > _LONGEST:
            continue
        yield word
        if len(word) > ID_BYTES:
            yield member_id(word)
            yield word[ID_BYTES:]
            yield route_queue(member_route(word)).encode()


def _keys(prefix: bytes, call: Call[Any], names: Iterable[bytes]) -> Iterator[tuple[bytes, Key]]:
    """The keys that `call` may have used, with their rows; those that it certainly used come first."""
    if not call.is_script:
        for row in MODEL.values():
            yield from ((name, row) for name in names if name.startswith(prefix + row.suffix.encode()))
        return
    rows = [MODEL[name] for name in load(call.name).uses]
    yield from ((prefix + row.suffix.encode(), row) for row in rows if not row.suffix.endswith(":"))
    for row in rows:
        if row.suffix.endswith(":"):
            yield from ((prefix + row.suffix.encode() + name, row) for name in _with_lanes(row, names))


def _with_lanes(row: Key, names: Iterable[bytes]) -> Iterator[bytes]:
    yield from names
    if row in (MODEL["ready"], MODEL["wake"]):
        yield from (name + b":" + lane.encode() for name in names for lane in (*LANES, SOLO))
