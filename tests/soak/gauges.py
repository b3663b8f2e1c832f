"""What the soak looks at: processes through /proc, Redis through SCAN and INFO. A sample is a number for each gauge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.keys import MODEL
from tests.support.census import ask, row_of

Sample = dict[str, float]
"""By "who: what"."""
MB = 1 << 20


def look_at_process(who: str, pid: int) -> Sample:
    """What one process takes. Raises OSError where there is none."""
    folder = Path(f"/proc/{pid}")
    files = list(_targets(folder / "fd"))
    rollup = (folder / "smaps_rollup").read_text(encoding="ascii")
    return {
        f"{who}: pss MB": _kilobytes(rollup, "Pss") / 1024,
        f"{who}: rss MB": _kilobytes(rollup, "Rss") / 1024,
        f"{who}: files": len(files),
        f"{who}: sockets": sum(target.startswith("socket:") for target in files),
        f"{who}: threads": len(list((folder / "task").iterdir())),
    }


def look_at_processes(who: str, pids: Iterable[int]) -> Sample:
    """The largest of each, over processes that come and go; and how many there are."""
    samples = []
    for pid in pids:
        try:
            samples.append(look_at_process(who, pid))
        except OSError:  # it has just ended
            continue
    largest = {name: max(sample[name] for sample in samples) for name in samples[0]} if samples else {}
    return {**largest, f"{who}: processes": len(samples)}


def look_at_redis(broker: Broker) -> Sample:
    """Its memory and clients, keys by row of the data model, jobs by where they are."""
    info = broker.run(calls.info())
    keys = list(_scan(broker))
    rows = Counter(row_of(key[len(broker.prefix) :])[0] for key in keys)
    held = sum(ask(broker, "ZCARD", key) for key in keys if key.startswith(broker.prefix + b"held:"))
    return {
        "redis: memory MB": int(info["used_memory"]) / MB,
        "redis: clients": int(info["connected_clients"]),
        "redis: jobs": ask(broker, "HLEN", broker.key("jobs")),
        "redis: jobs held": held,
        **{f"redis: keys {row}": rows[row] for row in MODEL},
    }


def _targets(folder: Path) -> Iterator[str]:
    for link in folder.iterdir():
        try:
            yield str(link.readlink())
        except OSError:  # it has just been closed
            continue


def _kilobytes(rollup: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", rollup, re.MULTILINE)
    assert found, f"no {name} in smaps_rollup"
    return int(found[1])


def _scan(broker: Broker) -> Iterator[bytes]:
    cursor: Any = b"0"
    while True:
        cursor, keys = ask(broker, "SCAN", cursor, "MATCH", broker.prefix + b"*", "COUNT", 1000)
        yield from set(keys)
        if cursor == b"0":
            return
