"""The example of producer and consumers as people run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from taskq.broker import embedded
from tests.process.test_examples import at_home

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(embedded.find_server() is None, reason=embedded.HINT)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_every_order_is_shipped_as_fast_as_the_slowest_stage_can(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "examples.guide.producer_consumer"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "workers"))), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = re.fullmatch(r"60 of 60 orders shipped; with room for 5 it took (\S+) s to give them\n", run.stdout)
    assert found is not None
    assert float(found[1]) > 0.4, "who ships takes 10 ms for each, and at most 13 of them wait or are being packed"
    assert at_home(tmp_path) == []
