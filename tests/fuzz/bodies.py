"""Bodies that nobody meant to write, by a seed: random bytes, valid ones that were hurt, and msgpack that means harm.

random      bytes, bare or inside of the frame of a job
mutated     a valid body with bits flipped, bytes put in, left out or cut off, two bodies spliced, a length blown up
hostile     nesting, lengths of billions, extensions in extensions, keys that are none, marks out of place, ...
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from taskq.codec import (
    DEFAULT_LIMIT,
    Attempt,
    Envelope,
    ErrorInfo,
    Record,
    encode_history,
    encode_job,
    encode_record,
)
from taskq.types import Types

TASK = "fuzz.echo"
"""The task that the valid bodies are jobs of."""
VALUES = [
    [None, True, -1, 2**64 - 1, -(2**63), 1.5, float("nan"), "", "ü🙂\ud800", b"\0\xff"],
    [2**64, -(2**300), Decimal("-0"), Decimal("1E+999999"), Decimal("sNaN7"), UUID(int=7)],
    [datetime(2024, 2, 29, 1, 2, 3, 4), datetime.max.replace(tzinfo=UTC), date.min, time.max, timedelta.min],
    [
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        time(1, tzinfo=timezone(timedelta(1 / 48))),
    ],
    [(), (1, (2, {3})), set(), {(1,): {"a": [()]}}, [[[[]]]], {None: {1.5: {b"k": date(1, 1, 1)}}}],
]


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any = 0


class Colour(Enum):
    RED = 1


class Perm(Flag):
    READ = 1
    WRITE = 2


OWN = [Point(1, Point([Colour.RED], {})), {Point(1): {Colour.RED, Perm.READ | Perm.WRITE}}, {"a": (Point(None),)}]
TYPES = Types()
"""The types of the app that is given the bodies."""
for kind in (Point, Colour, Perm):
    TYPES.register(kind, kind.__name__, kind.__name__)
WORDS = ("x" * 40, "y" * 300, "z" * 70_000)


def _jobs() -> list[bytes]:
    plain = [
        Envelope(task=TASK, args=tuple(values), kwargs={}, enqueued_at=1.7e9, route="default:io") for values in VALUES
    ]
    named = Envelope(task=TASK, args=(1, 2), kwargs={"a": VALUES[4]}, enqueued_at=1.7e9, key="k\n", route="a:cpu:9")
    long = [Envelope(task=TASK, args=(word, [word.encode()]), kwargs={}, enqueued_at=0.0) for word in WORDS]
    own = Envelope(task=TASK, args=tuple(OWN), kwargs={"p": OWN[0]}, enqueued_at=1.7e9, route="default:io")
    return [encode_job(envelope, types=TYPES) for envelope in (*plain, named, *long, own, own)]


def _records() -> list[bytes]:
    known = {"task": TASK, "enqueued_at": 1.0, "started_at": 2.0, "seconds": 0.5, "attempt": 2, "worker": "h-1-0"}
    error = ErrorInfo(type="a.B", text="c", traceback="d\ne", args=(1, (2,)))
    done = [Record(state="done", value=value, **known) for value in (*VALUES, OWN)]
    return [encode_record(record, types=TYPES) for record in (*done, Record(state="dead", error=error, **known))]


JOBS, RECORDS = _jobs(), _records()
HISTORIES = [
    encode_history(count, [Attempt(started_at=1.0, seconds=2.0, worker="w", error="E: e")] * count)
    for count in range(6)
]
_LENGTHS = {
    0xD9: 1,
    0xDA: 2,
    0xDB: 4,
    0xC4: 1,
    0xC5: 2,
    0xC6: 4,
    0xC7: 1,
    0xC8: 2,
    0xC9: 4,
    0xDC: 2,
    0xDD: 4,
    0xDE: 2,
    0xDF: 4,
}
"""By the byte that opens it, how many bytes of length follow: texts, bytes, extensions, arrays, maps."""
_HEADS = bytes([*range(0x80, 0xA4), *range(0xC0, 0xE0)])


class Chance:
    """Makes bodies. The same seed makes the same ones in the same order."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self._kinds = ((self._random, 3), (self._mutated, 5), (self._hostile, 2))

    def body(self) -> bytes:
        """The next one, of some 600 KB at the most."""
        kinds, weights = zip(*self._kinds, strict=True)
        make: Callable[[], bytes] = self.random.choices(kinds, weights)[0]
        return make()

    # Random

    def _random(self) -> bytes:
        pick = self.random
        data = pick.randbytes(min(int(pick.expovariate(1 / 30)), 5000))
        data = bytes(pick.choice(_HEADS) if pick.random() < 0.2 else byte for byte in data)
        return data if pick.random() < 0.3 else self._framed(data)

    def _framed(self, argument: bytes) -> bytes:
        """A job with one argument."""
        return b"\x95\x02" + _text(TASK) + b"\x91" + argument + b"\x80\xcb" + struct.pack(">d", 1.5)

    # Mutated

    def valid(self) -> bytes:
        return self.random.choice(self.random.choices((JOBS, RECORDS, HISTORIES), (6, 2, 1))[0])

    def _mutated(self) -> bytes:
        data = bytearray(self.valid())
        hurts = (self._flip, self._insert, self._leave_out, self._cut, self._splice, self._blow_up, self._repeat)
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))):
            self.random.choice(hurts)(data)
        return bytes(data)

    def _at(self, data: Sequence[int]) -> int:
        """A place; the first hundred bytes, where the frame is, are as likely as all others."""
        end = min(len(data), 100) if self.random.random() < 0.5 else len(data)
        return self.random.randrange(end) if end else 0

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._at(data)] ^= 1 << self.random.randrange(8)

    def _insert(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = self.random.randbytes(self.random.randint(1, 5))

    def _leave_out(self, data: bytearray) -> None:
        at = self._at(data)
        del data[at : at + self.random.randint(1, 5)]

    def _cut(self, data: bytearray) -> None:
        del data[self._at(data) :]

    def _splice(self, data: bytearray) -> None:
        other = self.valid()
        data[self._at(data) :] = other[self._at(other) :]

    def _repeat(self, data: bytearray) -> None:
        at = self._at(data)
        piece = data[at : at + self.random.randint(1, 30)]
        data[at:at] = piece * self.random.choice((1, 2, 50))

    def _blow_up(self, data: bytearray) -> None:
        """A length that the data does not have."""
        places = [at for at, byte in enumerate(data[:2000]) if byte in _LENGTHS]
        if not places:
            data[self._at(data) : 0] = self._claim()
            return
        at = self.random.choice(places)
        width = _LENGTHS[data[at]]
        data[at + 1 : at + 1 + width] = self.random.choice((b"\xff", b"\x7f", b"\x80", b"\x00")) * width

    def _claim(self) -> bytes:
        head = self.random.choice(list(_LENGTHS))
        return (
            bytes([head])
            + self.random.choice((b"\xff" * 4, b"\x00\x07\xff\xff", b"\x7f\xff\xff\xff"))[: _LENGTHS[head]]
        )

    # Hostile

    def _hostile(self) -> bytes:
        pick = self.random
        size = 1 << pick.randrange(11 if pick.random() < 0.98 else 17)
        made = pick.choice(
            (self._nested, self._claims, self._extensions, self._keys, self._marks, self._moments, self._odd)
        )
        data = made(size)
        return data if pick.random() < 0.2 else self._framed(data)

    def _nested(self, size: int) -> bytes:
        opening = self.random.choice(
            (
                b"\x91",
                b"\x81\x01",
                b"\x81",
                b"\x92\xd4\x01t",
                b"\x92\xd4\x01s",
                b"\xdd\0\0\0\1",
                b"\x94\xd4\x01n\xa5Point\xa1x",
            )
        )
        return opening * size + b"\x01" * self.random.choice((0, 1, size))

    def _claims(self, size: int) -> bytes:
        return self._claim() * size + b"\xc0" * min(size * 10, DEFAULT_LIMIT)

    def _extensions(self, size: int) -> bytes:
        """Extensions in extensions: their content is data, and must not be unpacked."""
        code, data = self.random.randrange(-1, 10) % 256, b"\x92\xc0\xc0"
        for _ in range(min(size, 120)):
            if len(data) > 60_000:
                break
            length = b"\xc7" + bytes([len(data)]) if len(data) < 256 else b"\xc8" + struct.pack(">H", len(data))
            data = length + bytes([code]) + data
        return data

    def _keys(self, size: int) -> bytes:
        """Maps with keys that cannot be, or that are there twice."""
        keys = (
            b"\x90",
            b"\x80",
            b"\xc0",
            b"\x01",
            b"\xcb" + struct.pack(">d", 1.0),
            b"\xc3",
            b"\xcb\x7f\xf8" + bytes(6),
        )
        keys += (b"\xc7\x04\x03sNaN", b"\x92\xd4\x01t\x01", b"\x91\xd4\x01s", b"\xa1a", b"\xa3\xed\xa0\x80")
        count = min(size, 4000)
        return b"\xde" + struct.pack(">H", count) + b"".join(self.random.choice(keys) + b"\x01" for _ in range(count))

    def _marks(self, size: int) -> bytes:
        pieces = (b"\xd4\x01t", b"\xd4\x01s", b"\xd4\x01x", b"\x91", b"\x92", b"\x90", b"\x01", b"\xc0", b"\x81")
        pieces += (
            b"\xd4\x01n",
            b"\x94\xd4\x01n\xa5Point\xa1x",
            b"\x93\xd4\x01n\xa6Colour\xa3RED",
            b"\x93\xd4\x01n\xa4Perm",
        )
        return b"".join(self.random.choice(pieces) for _ in range(min(size, 3000)))

    def _moments(self, size: int) -> bytes:
        """Extensions of our own with any content: years of 65535, offsets of ages, zones that are paths."""
        pick = self.random
        code = pick.choice((2, 3, 4, 5, 5, 5, 6, 7, 7, 8, 0xFF))
        head = struct.pack(
            ">HBBBBBBI", *(pick.choice((0, 1, 255)) for _ in range(7)), pick.choice((0, 10**6, 2**32 - 1))
        )
        zone = pick.choice((b"u", b"f" + pick.randbytes(8), b"n" + pick.randbytes(12), b"k../../etc/passwd", b"kUTC\0"))
        zone = pick.choice(
            (zone, b"z" + bytes(8) + b"a" * min(size, 300), b"k" + pick.randbytes(size % 50), b"k/dev/zero")
        )
        good = struct.pack(">HBBBBBBI", 2024, 1, 1, 0, 0, 0, 0, 0) + zone
        content = pick.choice((head + zone, good, good[4:], pick.randbytes(size % 70), b"9" * min(size, 60_000)))
        return b"\xc8" + struct.pack(">HB", len(content), code) + content

    def _odd(self, size: int) -> bytes:
        """Empty things in large numbers, text that is none, numbers that are none, and what msgpack never uses."""
        filling = self.random.choice(
            (b"\x90", b"\x80", b"\xa1\xff", b"\xcb\x7f\xf0" + bytes(6), b"\xc1", b"\x91\xd4\x01s")
        )
        count = min(size * 2, DEFAULT_LIMIT // len(filling))
        return b"\xdd" + struct.pack(">I", count) + filling * count


def _text(text: str) -> bytes:
    return bytes([0xA0 + len(text)]) + text.encode()
