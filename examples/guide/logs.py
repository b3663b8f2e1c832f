"""Logs that were rotated, some of them compressed: as many are read at once as there are cores, each by one process.

    python -m examples.guide.logs

What comes back is small: the counts of each file, as soon as it is read. They are added up here.
"""

from __future__ import annotations

import gzip
import tempfile
from collections import Counter
from pathlib import Path

from examples.guide.processes import beside_a_worker
from taskq import TaskQ

FILES, LINES = 8, 20_000
app = TaskQ()


@app.task(pool="cpu")
def count_statuses(path: str) -> dict[str, int]:
    """How often each HTTP status stands in the log at `path`."""
    with gzip.open(path, "rt") if path.endswith(".gz") else Path(path).open() as lines:
        return dict(Counter(line.split('"')[2].split()[0] for line in lines))


def summary(folder: str) -> Counter[str]:
    """Of access.log, access.log.1, access.log.2.gz and so on."""
    total: Counter[str] = Counter()
    jobs = count_statuses.enqueue_many([(str(path),) for path in sorted(Path(folder).glob("access.log*"))])
    for job in app.as_completed(jobs, timeout="1m"):
        total.update(job.result())
    return total


def write_logs(folder: str, files: int, lines: int) -> None:
    """The two youngest are plain, the others compressed."""
    line = '192.0.2.{} - - [24/Nov/2026:13:00:00 +0000] "GET /{} HTTP/1.1" {} {}\n'
    statuses = [404 if n % 10 == 3 else 500 if n % 1000 == 0 else 200 for n in range(lines)]
    text = "".join(line.format(n % 256, n, status, n * 7 % 5000) for n, status in enumerate(statuses)).encode("ascii")
    for number in range(files):
        name = "access.log" + (f".{number}" if number else "") + (".gz" if number > 1 else "")
        Path(folder, name).write_bytes(gzip.compress(text, 1) if number > 1 else text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, beside_a_worker(app, "examples.guide.logs"):
        write_logs(home, FILES, LINES)
        for status, times in summary(home).most_common():
            print(f"{status} {times:7,}")
