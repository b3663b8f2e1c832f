"""Bodies and members through a real worker: written raw into Redis, as somebody may who can write there.

    bodies -> jobs hash, ready lists      members that are none -> ready lists, delayed      worker --burst -> census

Each job must then be dead with its reason, parked (its task is unknown here) or done; the worker must have ended by
itself, with nothing in its log from warnings on; and nothing may be left in line or in its hands.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import LANES, member_id
from taskq.broker.link import Link, values
from taskq.codec import decode_record
from tests.fuzz.bodies import Chance
from tests.fuzz.decoding import SHOWN, reason
from tests.support.workers import Worker

PAGE = 500
PATIENCE = 300.0


@dataclass(slots=True)
class Fates:
    """What became of bodies that a worker was given."""

    seed: int
    bodies: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"{n:>10}  {fate}" for fate, n in self.counts.most_common(SHOWN)]
        return "\n".join([*lines, f"seed {self.seed}: {self.bodies} bodies through workers in {self.seconds:.0f} s"])


def work_off(url: str, seed: int, bodies: int, fates: Fates | None = None) -> Fates:
    """Give `bodies` bodies to a worker at the empty server `url`, and see what became of each."""
    began, chance, fates = time.monotonic(), Chance(seed), fates or Fates(seed)
    broker = Broker(url)
    link = Link(broker)
    try:
        ids = [job for page in range(0, bodies, PAGE) for job in _write(link, broker, chance, min(PAGE, bodies - page))]
        _write_strangers(link, broker, chance)
        _drain(url)
        fates.counts.update(_fates(link, broker, ids))
        assert not broker.run(calls.pending(["default"])), "something is left in line or in the hands of a worker"
    finally:
        link.close()
        broker.close()
    fates.bodies, fates.seconds = fates.bodies + bodies, fates.seconds + time.monotonic() - began
    return fates


def _drain(url: str) -> None:
    flags = ("--procs", "2", "--threads", "4", "--burst", "--log-level", "warning")
    with Worker(url, *flags, app="tests.fuzz.app:app") as worker:
        code = worker.end(PATIENCE)
        assert (code, worker.log()) == (0, "")


# Writing


def _write(link: Link, broker: Broker, chance: Chance, count: int) -> list[bytes]:
    """Bodies into the hash, and members into the lines of all lanes; the answer is the ids."""
    lines: dict[str, list[bytes]] = {lane: [] for lane in LANES}
    fields: list[bytes] = []
    ids = []
    for _ in range(count):
        job, lane = chance.random.randbytes(16), chance.random.choice(LANES)
        fields += [job, chance.body()]
        lines[lane].append(job + _route(chance, lane))
        ids.append(job)
    pushes = [_raw("RPUSH", broker.key("ready", f"default:{lane}"), *line) for lane, line in lines.items() if line]
    values(link.exchange(_raw("HSET", broker.key("jobs"), *fields), *pushes))
    return ids


def _route(chance: Chance, lane: str) -> bytes:
    """Most are as they should be."""
    if chance.random.random() < 0.8:
        return f"default:{lane}".encode()
    return chance.random.choice(
        (b"", b"\xff\xfe", b"default", b"default:gpu", b":", b"x\0\n:io", b"a:b:c:d", b"{}:*", b"q" * 5000)
    )


def _write_strangers(link: Link, broker: Broker, chance: Chance) -> None:
    """Members that no body belongs to."""
    strangers = [chance.random.randbytes(size) for size in (0, 1, 15, 16, 17, 40, 1 << 20)]
    line, delayed = broker.key("ready", "default:io"), broker.key("delayed", "default")
    pushed = _raw("LPUSH", line, *strangers)
    aside = _raw("ZADD", delayed, *(word for stranger in strangers for word in (1, stranger)))
    values(link.exchange(pushed, aside, _raw("SADD", broker.key("queues"), b"default", b"\xff\n", b"q" * 5000)))


def _raw(*words: Any) -> Call[Any]:
    return Call(words[0], words[1:], lambda reply: reply)


# Reading


def _fates(link: Link, broker: Broker, ids: list[bytes]) -> Counter[str]:
    members = values(link.exchange(_raw("ZRANGE", broker.key("parked", "default"), 0, -1)))[0]
    parked = {member_id(member) for member in members}
    counts = Counter({"parked": len(parked)})
    for at in range(0, len(ids), PAGE):
        page = [job for job in ids[at : at + PAGE] if job not in parked]
        records = values(link.exchange(*(_raw("GET", broker.key("result", job)) for job in page)))
        counts.update(_fate(record) for record in records)
    return counts


def _fate(data: bytes | None) -> str:
    assert data is not None, "a job is neither parked, dead nor done"
    record = decode_record(data)
    if record.error is None:
        return record.state
    return f"{record.state}: {record.error.type.rsplit('.', 1)[-1]}: {reason(record.error.text)}"
