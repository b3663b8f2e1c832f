"""Extract, transform, load: three stages at work at the same time, with bounded queues between them.

    python -m examples.guide.etl

extract (io), 8 at once --> transform (cpu), one a core --> load (io), one at a time into SQLite. A stage waits while
the next one has too much to do. As 8 extract at once, slots of their lane are left for those who load.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import defaultdict
from datetime import datetime
from pathlib import Path

from examples.guide.processes import beside_a_worker, web_server
from examples.guide.web import read
from taskq import TaskQ

app = TaskQ()
app.queue("transform", max_length=8)
app.queue("load", max_length=8)


@app.task(queue="extract", concurrency=8)
def extract(url: str, database: str) -> str:
    return transform.enqueue(read(url).decode(), database).id


@app.task(queue="transform", pool="cpu")
def transform(report: str, database: str) -> str:
    return load.enqueue(by_month(report), database).id


@app.task(queue="load", concurrency=1)
def load(rows: list[tuple[str, str, int]], database: str) -> int:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS paid (month, customer, amount)")
        return connection.executemany("INSERT INTO paid VALUES (?, ?, ?)", rows).rowcount


def by_month(report: str) -> list[tuple[str, str, int]]:
    paid: dict[tuple[str, str], int] = defaultdict(int)
    for when, customer, amount in (line.split(",") for line in report.splitlines()):
        paid[f"{datetime.fromisoformat(when):%B %Y}", customer] += int(amount)
    return [(*key, amount) for key, amount in paid.items()]


def run(urls: list[str], database: str) -> int:
    transforms = app.gather(extract.enqueue_many([(url, database) for url in urls]), timeout="1m")
    return sum(app.gather(map(app.job, app.gather(map(app.job, transforms), timeout="1m")), timeout="1m"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, web_server(Path(home), 0.1) as site:
        Path(home, "sales").write_text("".join(f"2026-{n % 12 + 1:02}-01,{n % 40},{n % 9000}\n" for n in range(9_000)))
        with beside_a_worker(app, "examples.guide.etl", queues="load,transform,extract"):
            print(f"{run([f'{site}/sales'] * 40, f'{home}/paid.db')} rows of 40 reports")
