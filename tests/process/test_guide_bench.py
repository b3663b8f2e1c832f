"""The measurement of the guide's table, on the rows that take no time: that it measures, not what."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.guide.rows import ROWS
from taskq.broker import embedded
from tests.process.test_examples import at_home
from tests.support.workers import ROOT

pytestmark = [
    pytest.mark.skipif(embedded.find_server() is None, reason=embedded.HINT),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


@contextmanager
def measuring(home: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.guide", "--runs", "1", "--out", str(home / "out.json"), *flags]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "workers")))
    environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(home)}
    with subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_three_ways_are_timed_and_shown_and_nothing_is_left(tmp_path: Path) -> None:
    with measuring(tmp_path, "--rows", "chunks") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    values = json.loads((tmp_path / "out.json").read_text())["values"]["chunks"]
    assert {way: len(times) for way, times in values.items()} == {"one by one": 1, "standard": 1, "taskq": 1}
    assert all(time > 0 for times in values.values() for time in times)
    assert out.splitlines()[2].startswith(f"| {ROWS['chunks'].title} |")
    assert at_home(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_one_that_is_ended_leaves_nothing_running(tmp_path: Path) -> None:
    with measuring(tmp_path, "--rows", "coroutines") as process:
        assert process.stderr is not None
        assert "round 1 of 1" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert at_home(tmp_path) == []


def test_what_is_shown_in_the_docs_is_all_of_it(tmp_path: Path) -> None:
    with measuring(tmp_path, "--rows", "tiny", "--docs") as process:
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "--docs needs all rows" in err
