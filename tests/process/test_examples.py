"""The demo as people run it: in a process of its own, to its end or to a Ctrl-C, after which nothing is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from examples.guide import demo
from examples.guide.tasks import count_primes
from taskq.broker import embedded

ROOT = Path(__file__).parents[2]
STARTING = "starting a private Redis"

needs_a_server = pytest.mark.skipif(embedded.find_server() is None, reason=embedded.HINT)
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@contextmanager
def running_demo(home: Path) -> Iterator[subprocess.Popen[str]]:
    """`demo --quick`, in a session of its own. Whatever it starts has its working directory in `home`."""
    command = [sys.executable, "-m", "examples.guide.demo", "--quick"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(home)}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=home, env=environment, start_new_session=True, **streams) as process:
        try:
            yield process
        finally:
            for pid in at_home(home):  # where a test has failed
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def at_home(home: Path) -> list[int]:
    """The processes whose working directory is in `home`, of whatever group or session they are."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if working_directory(pid).is_relative_to(home)]


def working_directory(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:  # it has ended, or is another user's
        return Path()


def read_until(stream: Any, label: str) -> None:
    """Read lines up to the one that starts with `label`."""
    assert any(line.startswith(label) for line in stream), f"never said {label!r}"


@needs_a_server
@needs_proc
def test_the_demo_gets_the_same_results_both_ways_and_leaves_nothing_running(tmp_path: Path) -> None:
    with running_demo(tmp_path) as process:
        output, narration = process.communicate()
        assert process.returncode == 0, narration
        assert at_home(tmp_path) == []
        assert list(tmp_path.iterdir()) == []
    rows = [line.split() for line in output.splitlines() if line.endswith(("same", "DIFFERENT"))]
    results = {row[0]: row[-1] for row in rows}
    assert results == {"files": "same", "requests": "same", "primes": "same"}


@needs_a_server
@needs_proc
@pytest.mark.parametrize("moment", [STARTING, "files, one after another", "files, with taskq"])
def test_after_ctrl_c_nothing_is_left_running(moment: str, tmp_path: Path) -> None:
    with running_demo(tmp_path) as process:
        read_until(process.stderr, moment)
        os.killpg(process.pid, signal.SIGINT)
        output, narration = process.communicate()
        assert process.returncode == 128 + signal.SIGINT
        assert at_home(tmp_path) == []
        assert list(tmp_path.iterdir()) == []
        assert output == ""
        assert "Traceback" not in narration


def test_a_difference_between_both_ways_is_told() -> None:
    class Wrong(demo.Work):
        def with_taskq(self) -> Iterator[Any]:
            yield from [4, 5]

    done = demo.compare(Wrong(name="primes", task=count_primes, arguments=[10, 20], sum_up=demo.sum_up_primes))
    assert not done.same
    assert "DIFFERENT" in demo.report([done])
