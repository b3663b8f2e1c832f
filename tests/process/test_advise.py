"""A real worker finds out what its tasks are, whatever runs beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.process.natures import EXPECTED, feed, np

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not Path("/proc/self/syscall").exists(),
    reason="this system does not say what a thread waits for",
)


@pytest.mark.parametrize(("load", "rounds"), [(False, 10), (True, 16)], ids=["idle", "load"])
def test_each_of_six_natures_is_named_rightly(redis_url: str, load: bool, rounds: int) -> None:
    said = feed(redis_url, rounds, load=load)
    named = {task["task"]: task["is"] for task in said.data["tasks"]}
    assert named == {task: kind for task, kind in EXPECTED.items() if np or task != "multiplies"}, said.out
