"""The worker as process 1, as in a container without an init."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from taskq.broker.broker import Broker
from taskq.clock import SYSTEM_CLOCK
from tests.process import jobs
from tests.support.workers import ROOT

IN_CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare(1)")
def test_as_process_1_it_collects_orphans_and_ends_at_sigterm(broker: Broker, redis_url: str) -> None:
    command = [*IN_CONTAINER, sys.executable, "-m", "taskq", "worker", "-A", "tests.process.jobs:app", "--procs", "1"]
    environment = {**os.environ, "TASKQ_URL": redis_url}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as outside:
        assert jobs.pid.enqueue().result(20) == 2
        (worker,) = children(outside.pid)
        jobs.leave_an_orphan.enqueue().result(20)
        assert jobs.pid.enqueue().result(20) == 2
        wait_until_only(worker, 1)
        os.kill(worker, signal.SIGTERM)
        assert outside.wait(20) == 0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until_only(pid: int, count: int) -> None:
    """Wait until `pid` has only so many children, zombies included."""
    until = SYSTEM_CLOCK.monotonic() + 20
    while len(children(pid)) != count:
        assert SYSTEM_CLOCK.monotonic() < until, f"children of {pid}: {children(pid)}"
        threading.Event().wait(0.01)
