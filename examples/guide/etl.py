"""Extract, transform, load: three stages that work at the same time, with bounded queues between them.

    python -m examples.guide.etl

    extract, 8 at once (io) --> transform, one a core (cpu) --> load, one at a time into SQLite (io)

A stage hands what it has to the next one, waits while that has too much to do, and answers with the id of its job. No
more than 8 extract at once: so slots of their lane are left for those who load.
"""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from examples.guide.processes import beside_a_worker, web_server
from examples.guide.web import read
from taskq import TaskQ

REPORTS = 40
app = TaskQ()
app.queue("transform", max_length=8)
app.queue("load", max_length=8)


@app.task(queue="extract", concurrency=8)
def extract(url: str, database: str) -> str:
    return transform.enqueue(read(url).decode(), database).id


@app.task(queue="transform", pool="cpu")
def transform(report: str, database: str) -> str:
    paid: dict[tuple[str, str], Decimal] = {}
    for when, customer, amount in (line.split(",") for line in report.splitlines()):
        key = (f"{datetime.fromisoformat(when):%B %Y}", customer)
        paid[key] = paid.get(key, Decimal(0)) + Decimal(amount)
    return load.enqueue([(*key, str(amount)) for key, amount in paid.items()], database).id


@app.task(queue="load", concurrency=1)
def load(rows: list[tuple[str, str, str]], database: str) -> int:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS paid (month, customer, amount)")
        return connection.executemany("INSERT INTO paid VALUES (?, ?, ?)", rows).rowcount


def run(urls: list[str], database: str) -> int:
    transforms = app.gather(extract.enqueue_many([(url, database) for url in urls]), timeout="1m")
    return sum(app.gather(map(app.job, app.gather(map(app.job, transforms), timeout="1m")), timeout="1m"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, web_server(Path(home), 0.1) as site:
        Path(home, "sales").write_text("\n".join(f"2026-{n % 12 + 1:02}-01,{n % 40},{n % 90}.50" for n in range(9_000)))
        with beside_a_worker(app, "examples.guide.etl", queues="load,transform,extract"):
            print(f"{run([f'{site}/sales'] * REPORTS, f'{home}/paid.db')} rows of {REPORTS} reports")
