"""Bodies through the decoders: what each came to, how long the slowest took, and how much memory all of it."""

from __future__ import annotations

import faulthandler
import re
import resource
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from taskq.codec import (
    DEFAULT_LIMIT,
    Envelope,
    Record,
    decode_history,
    decode_job,
    decode_record,
    encode_job,
    encode_record,
)
from taskq.errors import EnqueueError, MalformedJob
from tests.fuzz.bodies import TYPES, Chance

MOST_SECONDS = 5.0
"""What one body may take: more is a hang."""
SHOWN = 50
HANGS = 120
"""Seconds for a thousand bodies, after which the program ends with the place where it stands."""
MOST_BYTES = 120 * DEFAULT_LIMIT + (32 << 20)
"""How much the process may grow: the value of the largest body that is decoded, and what an allocator keeps."""


@dataclass(slots=True)
class Tally:
    """What became of bodies. `peak`: by how many bytes the process has grown."""

    seed: int
    bodies: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_body: bytes = b""
    peak: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"{n:>10}  {reason}" for reason, n in self.reasons.most_common(SHOWN)]
        lines.append(
            f"seed {self.seed}: {self.bodies} bodies in {self.seconds:.0f} s; {self.peak / 2**20:.1f} MiB more memory; "
            f"slowest {self.slowest * 1000:.1f} ms: {len(self.slowest_body)} bytes, {self.slowest_body[:24].hex(' ')}"
        )
        return "\n".join(lines)


def decode_all(seed: int, bodies: int) -> Tally:
    """Put `bodies` bodies through all decoders. Raises whatever one of them raises that is not MalformedJob."""
    tally, chance, began, before = Tally(seed), Chance(seed), time.monotonic(), _grown()
    for number in range(bodies):
        if number % 1000 == 0:
            faulthandler.dump_traceback_later(HANGS, exit=True)
        body = chance.body()
        start = time.perf_counter()
        tally.reasons[fate(body)] += 1
        took = time.perf_counter() - start
        if took > tally.slowest:
            tally.slowest, tally.slowest_body = took, body
    faulthandler.cancel_dump_traceback_later()
    tally.bodies, tally.seconds, tally.peak = bodies, time.monotonic() - began, _grown() - before
    return tally


def fate(body: bytes) -> str:
    """What `body` comes to as a job: "valid", or the reason why it is none. It is a record and a history to others."""
    for decode in (decode_record, decode_history):
        _decoded(decode, body)
    found = _decoded(decode_job, body)
    return found if isinstance(found, str) else "valid"


def _decoded(decode: Callable[[bytes], object], body: bytes) -> object:
    """What `decode` makes of `body`, or why it refuses. What it makes can be encoded, or is refused in our words."""
    try:
        made = decode(body)
    except MalformedJob as error:
        return reason(str(error))
    try:
        match made:
            case Envelope():
                encode_job(made, types=TYPES)
                _build([made.args, made.kwargs])
            case Record():
                encode_record(made, types=TYPES)
                _build([made.value])
    except EnqueueError:  # a moment whose zone has no offset for it
        return made
    return made


def _build(value: object) -> None:
    """What a job does with its arguments. What cannot be hashed though it must is the job's error."""
    with suppress(MalformedJob, TypeError):
        TYPES.build(value)


def reason(text: str) -> str:
    """The reason in an error, without what differs from body to body."""
    line = re.sub(r"(UnicodeDecodeError): .*", r"\1", text.split("\n", 1)[0])
    line = re.sub(r"'[^']*'|\"[^\"]*\"|b'.*|key .*|-?\d+", "_", line)
    return line.encode("ascii", "backslashreplace").decode()[:90]


def _grown() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
