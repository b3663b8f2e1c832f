"""The guide's examples as people run them. Each starts what it needs, and leaves nothing of it behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from taskq.broker import embedded
from tests.process.test_examples import at_home
from tests.support.workers import ROOT

FOLDER = ROOT / "examples" / "guide"
SAID = {
    "scraper": r"100 pages, each after 0\.1 s, in (\d+\.\d) s\n",
    "thumbnails": r"50 thumbnails, each of \(320, 320\)\n",
    "primes": r"17,984 primes below 200,000\n",
    "etl": r"4800 rows of 40 reports\n",
    "async_requests": r"\{200: 1999, 404: 1\}, in (\d+\.\d) s\n",
    "logs": r"200 143,840\n404  16,000\n500     160\n",
}
ONE_BY_ONE = {"scraper": 10.0, "async_requests": 100.0}
"""Seconds that the waiting alone takes one after another."""
ON_A_PAGE = [*SAID, "counter", "producer_consumer", "shared_state"]


@pytest.mark.skipif(embedded.find_server() is None, reason=embedded.HINT)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("name", SAID)
def test_an_example_says_what_came_out_and_leaves_nothing_running(name: str, tmp_path: Path) -> None:
    if name == "thumbnails" and find_spec("PIL") is None:
        pytest.skip("Pillow is not installed: pip install pillow")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "workers"))),
        "TMPDIR": str(tmp_path),
    }
    command = [sys.executable, "-m", f"examples.guide.{name}"]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    said = re.fullmatch(SAID[name], run.stdout)
    assert said is not None, run.stdout
    if name in ONE_BY_ONE:
        assert float(said[1]) < ONE_BY_ONE[name]
    assert at_home(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ON_A_PAGE)
def test_an_example_fits_on_a_page(name: str) -> None:
    assert len((FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 60
