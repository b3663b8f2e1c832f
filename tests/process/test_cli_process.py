"""The command as people start it: what it imports and costs, and what they see of a worker that cannot start."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskq import exit_codes
from tests.support.servers import ask
from tests.support.workers import ROOT, worker

HEAVY = {
    "redis",
    "structlog",
    "asyncio",
    "ssl",
    "taskq.app",
    "taskq.log",
    "taskq.tasks",
    "taskq.broker.broker",
    "tasks",
}
MOST_CPU = 0.150
"""Seconds of CPU for what must start fast."""
BROKEN = "def helper():\n    return 1 / 0\n\nhelper()\n"


def taskq(*args: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """`taskq ARGS` in a process of its own, without settings but these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TASKQ_", "REDIS_"))}
    command = [sys.executable, *(["-X", "importtime"] if "IMPORTS" in env else []), "-m", "taskq", *args]
    return subprocess.run(
        command, cwd=cwd, env={**clean, **env}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text("raise RuntimeError('the app was imported')")
    return tmp_path


# Starting fast


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["workr"], ["health", "--url", "redis://localhost:1"]])
def test_neither_redis_nor_the_app_is_imported(here: Path, words: list[str]) -> None:
    said = taskq(*words, cwd=here, IMPORTS="1", TASKQ_APP="tasks")
    imported = {line.rsplit("|", 1)[1].strip() for line in said.stderr.splitlines() if line.startswith("import time:")}
    assert {"click", "taskq.cli.root"} <= imported
    assert not imported & HEAVY


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["health", "--url", "redis://localhost:1"]])
def test_little_cpu_is_taken(words: list[str]) -> None:
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        taskq(*words)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) <= MOST_CPU


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "taskq", "--help"]
    try:
        said = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert said.stderr == ""


# Workers that cannot start


def test_an_app_that_is_not_there_is_told_as_people_read_it(here: Path) -> None:
    said = taskq("worker", "-A", "taskz", "--procs", "2", "--log-format", "console", cwd=here)
    assert (said.returncode, said.stdout) == (exit_codes.BAD_APP, "")
    assert said.stderr == (
        "error: cannot import 'taskz'\n"
        "  looked in: the current directory, PYTHONPATH\n"
        "  hint: did you mean 'tasks' (tasks.py is here)? pass -A tasks, or set [tool.taskq] app\n"
    )


def test_an_app_that_raises_is_told_once_with_its_traceback(here: Path) -> None:
    (here / "shop.py").write_text(BROKEN)
    said = taskq("worker", "-A", "shop", "--procs", "2", "--log-format", "console", cwd=here)
    assert (said.returncode, said.stdout) == (exit_codes.BAD_APP, "")
    first, _, head, *frames, last = said.stderr.splitlines()
    assert first == "error: cannot import 'shop': it raised"
    assert head == "Traceback (most recent call last):"
    assert [line.split(", ", 1)[1] for line in frames if "File" in line] == ["line 4, in <module>", "line 2, in helper"]
    assert last == "ZeroDivisionError: division by zero"


def test_a_log_for_machines_has_the_same_on_one_line(here: Path) -> None:
    (here / "shop.py").write_text(BROKEN)
    said = taskq("worker", "-A", "shop", "--procs", "2", cwd=here)
    (line,) = said.stderr.splitlines()
    event = json.loads(line)
    assert (said.returncode, event["event"], event["level"]) == (exit_codes.BAD_APP, "cannot start", "error")
    assert event["error"].startswith("cannot import 'shop': it raised\n\nTraceback")


@pytest.mark.parametrize("flag", [True, False])
def test_an_unreachable_redis_is_told_with_the_source_of_its_url(here: Path, flag: bool) -> None:
    (here / "shop.py").write_text("from taskq import TaskQ\napp = TaskQ()")
    url = "redis://:secret@localhost:1/0"
    flags, env = (["--url", url], {}) if flag else ([], {"TASKQ_URL": url})
    said = taskq("worker", "-A", "shop", "--procs", "2", "--log-format", "console", *flags, cwd=here, **env)
    assert (said.returncode, said.stdout) == (exit_codes.UNREACHABLE, "")
    assert said.stderr == (
        "error: cannot reach Redis at redis://:***@localhost:1/0 (connection refused)\n"
        f"  url from: {'the program or --url' if flag else 'TASKQ_URL'}\n"
        "  hint: start one (apt install redis-server), or use   embedded://   which brings its own\n"
    )


def test_no_app_at_all_is_an_error_of_usage(here: Path) -> None:
    said = taskq("worker", cwd=here)
    assert (said.returncode, said.stdout) == (exit_codes.USAGE, "")
    assert said.stderr.endswith("  hint: did you mean -A tasks (tasks.py is here)?\n")


# With a real worker


@pytest.fixture
def calling(redis_url: str) -> Iterator[tuple[str, ...]]:
    return ("call", "-A", "tests.process.jobs:app", "--url", redis_url)


def test_a_call_waits_for_the_result_of_a_real_worker(redis_url: str, calling: tuple[str, ...]) -> None:
    with worker(redis_url, "--procs", "1") as running:
        said = taskq(*calling, "tests.process.jobs.add", "2", "3", "--wait", "20")
        assert (said.returncode, said.stdout) == (exit_codes.OK, "5\n")
        assert taskq("health", "--url", redis_url).stdout == "ok: Redis answers, 1 worker process is alive\n"
        failed = taskq(*calling, "tests.process.jobs.fail", "value", "--wait", "20", "--job-id", "f1")
        assert failed.returncode == exit_codes.FAILED
        assert failed.stderr.startswith("job f1\nerror: job f1 failed: ValueError: bad image\n  Traceback")
        status = taskq("status", "--url", redis_url)
        assert status.returncode == exit_codes.FAILED
        assert " ! default: 1 job died in 10 min: taskq dead list --queue default\n" in status.stdout
        running.signal(signal.SIGTERM)
        assert running.end() == exit_codes.OK


def test_waiting_too_long_has_its_own_exit_code(calling: tuple[str, ...]) -> None:
    said = taskq(*calling, "tests.process.jobs.add", "2", "3", "--wait", "0.1")
    assert (said.returncode, said.stdout) == (exit_codes.TIMED_OUT, "")
    assert "has no outcome after 0.1 s of waiting\n  hint: taskq jobs show " in said.stderr


def test_an_interrupt_while_waiting_is_quiet(redis_url: str, calling: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "taskq", *calling, "tests.process.jobs.add", "2", "3", "--wait"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("job ")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read().strip() == ""


def test_a_worker_on_a_namespace_of_a_newer_taskq_says_so_and_ends(redis_url: str) -> None:
    assert ask(redis_url, "SET {taskq}:schema 2") == "+OK"
    said = taskq("worker", "-A", "tests.process.jobs:app", "--log-format", "console", TASKQ_URL=redis_url)
    assert said.returncode == exit_codes.FAILED
    assert said.stderr.startswith(
        "error: cannot work on namespace 'taskq': its data has schema 2 and this taskq speaks 1\n  hint: upgrade taskq"
    )
    assert said.stderr.count("error:") == 1
