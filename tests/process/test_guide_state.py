"""examples/guide/shared_state.py as a reader runs it: a worker in one process, the program in another."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.support.workers import ROOT, worker


def test_a_hundred_orders_go_through_one_connection_a_process(redis_url: str, tmp_path: Path) -> None:
    orders = tmp_path / "orders.db"
    app = "examples.guide.shared_state"
    with worker(redis_url, "--procs", "2", "--threads", "4", app=app, ORDERS=str(orders)):
        environment = {**os.environ, "TASKQ_URL": redis_url}
        command = [sys.executable, "-m", app]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ran.stderr == ""
        found = re.fullmatch(
            r"100 orders on (\d) connections of (\d) processes;\nthe busiest thread wrote (\d+)\n", ran.stdout
        )
        assert found is not None
        assert found[1] == found[2] in ("1", "2")
        assert 100 / 8 <= int(found[3]) <= 100
    with closing(sqlite3.connect(orders)) as connection:
        rows = {text for (text,) in connection.execute("SELECT text FROM orders")}
    assert rows == {f"order {number} of customer {number % 10}" for number in range(100)}
