"""The soak finds a leak. (Whether there is none takes longer: `python -m tests.soak`.)"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from taskq.broker import embedded
from tests.soak.__main__ import parse, soak

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux") or not Path("/proc").exists(), reason="there is no /proc"),
    pytest.mark.skipif(embedded.find_server() is None, reason=embedded.HINT),
]


def test_a_soak_finds_files_that_jobs_leave_open_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak(parse(["--minutes", "0.05", "--every", "0.15", "--rate", "200", "--leak", "files"])) == 1
    said = capsys.readouterr().out.splitlines()
    growing = [line.partition(" grows: ")[0] for line in said if " grows: " in line and "files" in line]
    assert (
        {"child 0: files", "child 1: files"}
        <= set(growing)
        <= {
            "child 0: files",
            "child 1: files",
            "recycled: files",
        }
    )
