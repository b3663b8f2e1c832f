"""`taskq bench` as people run it: what it says, and that it leaves nothing behind, neither keys nor processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from taskq import exit_codes
from taskq.cli.bench.cost import family, processes
from tests.support.servers import ask, ends, server_or_skip
from tests.support.workers import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="waits for processes with pidfds")

SPREAD = {"samples", "p50_seconds", "p99_seconds", "max_seconds"}
SHAPE = {
    "redis": {"url", "version", "local"},
    "worker": {"processes", "threads", "cores"},
    "ping": SPREAD,
    "enqueue": {"jobs_per_second"} | SPREAD,
    "enqueue_many": {"jobs", "jobs_per_second"},
    "enqueue_to_start": SPREAD,
    "enqueue_to_result": SPREAD,
    "drain": {
        *("jobs", "seconds", "jobs_per_second", "redis_cpu_seconds_per_job", "worker_cpu_seconds_per_job"),
        *("redis_cores", "worker_cores", "machine_cores"),
    },
    "memory": {"redis_bytes_per_queued_job", "worker_bytes"},
    "limit": {"name", "why", "next"},
}


@contextmanager
def bench(*flags: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """`taskq bench FLAGS`, without settings but these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TASKQ_", "REDIS_"))}
    command = [sys.executable, "-m", "taskq", "bench", *flags]
    with subprocess.Popen(
        command, cwd=ROOT, env={**clean, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read what it tells on stderr until it tells `words`."""
    assert process.stderr is not None
    assert any(words in line for line in process.stderr), f"it ended without telling {words!r}"


def test_a_bench_measures_everything_and_leaves_nothing(redis_url: str) -> None:
    assert ask(redis_url, "SET {taskq-bench-of-another}:a x") == "+OK"
    with bench("--jobs", "2000", "--json", "--procs", "2", "--url", redis_url) as process:
        out, err = process.communicate(timeout=100)
    assert (process.returncode, err.count("error")) == (exit_codes.OK, 0)
    found: dict[str, dict[str, Any]] = json.loads(out)
    assert {name: set(part) for name, part in found.items()} == SHAPE
    for name in ("ping", "enqueue", "enqueue_to_start", "enqueue_to_result"):
        part = found[name]
        assert part["samples"] >= 1
        assert 0 < part["p50_seconds"] <= part["p99_seconds"] <= part["max_seconds"]
    assert found["enqueue_to_start"]["p50_seconds"] < found["enqueue_to_result"]["p50_seconds"]
    assert found["redis"]["local"] is True
    assert found["worker"]["processes"] == 2
    assert found["enqueue_many"]["jobs"] == found["drain"]["jobs"] == 2000
    for name in ("jobs_per_second", "seconds", "redis_cpu_seconds_per_job"):
        assert found["drain"][name] > 0
    assert found["drain"]["worker_cpu_seconds_per_job"] >= 0  # the kernel counts in steps of 10 ms
    assert found["memory"]["redis_bytes_per_queued_job"] > 16
    assert found["memory"]["worker_bytes"] > 1 << 20
    assert ask(redis_url, "KEYS *").split() == ["*1", "$26", "{taskq-bench-of-another}:a"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_bench_that_is_ended_ends_its_worker_and_removes_its_keys(redis_url: str, number: signal.Signals) -> None:
    with bench("--url", redis_url) as process, ExitStack() as stack:
        wait_for(process, "measuring latency")
        workers = [row.pid for row in family(process.pid, processes()) if row.pid != process.pid]
        assert len(workers) >= 2
        for pid in workers:
            stack.enter_context(ends(pid))
        assert ask(redis_url, "DBSIZE") != ":0"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert (out, err.strip()) == ("", "")
        if number != signal.SIGKILL:  # of which nobody is told
            assert process.returncode == 130
            assert ask(redis_url, "DBSIZE") == ":0"


def test_without_redis_it_ends_as_every_command_does() -> None:
    with bench("--json", "--url", "redis://:secret@localhost:1/0") as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (exit_codes.UNREACHABLE, "")
    assert "secret" not in err
    assert "error: cannot reach Redis at redis://:***@localhost:1/0 (connection refused)\n" in err


def test_a_full_redis_is_told_as_such_and_is_left_as_it_was() -> None:
    with server_or_skip(maxmemory="4mb") as server:
        with bench("--jobs", "100000", "--url", server.url) as process:
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (exit_codes.FAILED, "")
        assert err.endswith(
            "error: cannot enqueue: Redis has reached its maxmemory\n"
            "  hint: let workers drain the queues, or raise maxmemory\n"
        )
        assert ask(server.url, "DBSIZE") == ":0"


def test_a_worker_that_cannot_start_is_told_in_its_own_words(redis_url: str) -> None:
    with bench("--url", redis_url, TASKQ_LEASE="0.5") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (exit_codes.FAILED, "")
    assert "error: TASKQ_LEASE: lease is 0.5\n  hint: at least 1\n" in err
    assert err.endswith(
        "error: cannot measure: the worker ended by itself (exit code 2)\n  hint: what it said is above\n"
    )
    assert ask(redis_url, "DBSIZE") == ":0"
