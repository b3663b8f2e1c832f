"""`taskq bench`: what limits, how it is told, and what the system says of its processes. Nothing is measured here."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskq import exit_codes
from taskq.cli.bench import cost
from taskq.cli.bench.cost import Process, cpu_of, family, machine_cpu, memory_of, processes, read_ps
from taskq.cli.bench.figures import Bulk, Drain, Figures, Server, Single, Workforce, percentile, spread
from taskq.cli.bench.lab import LEAST_JOBS, MOST_JOBS, enough
from taskq.cli.bench.server import is_local
from taskq.cli.bench.verdict import Limit, Load, limit, load_of, verdict
from taskq.cli.bench.view import data, screen
from taskq.cli.bench.worker import words
from taskq.cli.cores import cores
from taskq.cli.output import to_json
from tests.support.console import Console

TIMES = spread([0.001, 0.002, 0.003, 0.0405])


def figures(**changes: Any) -> Figures:
    """Of a machine with two cores, which Redis shares."""
    known: dict[str, Any] = {
        "redis": Server(url="redis://:***@localhost:6379/0", version="7.0.15", local=True),
        "worker": Workforce(processes=2, threads=16, cores=2, memory=58 << 20),
        "ping": spread([0.00002] * 3),
        "single": Single(took=spread([0.00004, 0.00005]), rate=20755.4),
        "start": TIMES,
        "result": TIMES,
        "bulk": Bulk(jobs=50_000, seconds=0.5, memory=166.2),
        "drain": Drain(jobs=50_000, seconds=2.0, redis_cpu=0.5, worker_cpu=1.5, machine_cpu=3.0),
    }
    return Figures(**{**known, **changes})


def load(**changes: Any) -> Load:
    """Nothing is saturated; Redis is elsewhere."""
    known: dict[str, Any] = {"redis": 0.4, "worker": 0.8, "machine": 1.0, "processes": 2, "cores": 4, "local": False}
    return Load(**{**known, "ping": 0.0001, **changes})


# Numbers


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7.0], 0.5, 7.0),
        ([7.0], 0.99, 7.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 201)], 0.99, 198.0),
        ([1.0, 2.0], 1.0, 2.0),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_a_percentile_is_one_of_the_values(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_a_spread_is_in_order(values: list[float]) -> None:
    found = spread(values)
    assert (found.samples, found.most) == (len(values), max(values))
    assert min(values) <= found.p50 <= found.p99 <= found.most


@pytest.mark.parametrize(
    ("rate", "jobs"), [(10.0, LEAST_JOBS), (2000.0, 8000), (20_000.0, 80_000), (90_000.0, MOST_JOBS)]
)
def test_the_drain_has_as_many_jobs_as_take_some_seconds_within_bounds(rate: float, jobs: int) -> None:
    assert enough(Drain(jobs=2000, seconds=2000 / rate, redis_cpu=None, worker_cpu=None, machine_cpu=None)) == jobs


# What limits


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "nothing"),
        # Redis' one core
        ({"redis": 0.85}, "redis"),
        ({"redis": 0.849}, "nothing"),
        ({"redis": 0.95, "worker": 1.9, "machine": 4.0, "local": True}, "redis"),
        ({"redis": 0.95, "ping": 0.1}, "redis"),
        # The machine, by what it says itself
        ({"machine": 3.6}, "machine"),
        ({"machine": 3.59}, "nothing"),
        ({"machine": 3.6, "worker": 2.0}, "machine"),
        ({"machine": 3.6, "ping": 0.1}, "machine"),
        # The machine, where it says nothing
        ({"machine": None, "redis": 0.6, "worker": 1.25, "cores": 2, "local": True}, "machine"),
        ({"machine": None, "redis": 0.6, "worker": 1.1, "cores": 2, "local": True}, "nothing"),
        ({"machine": None, "redis": 0.6, "worker": 1.2, "cores": 2, "local": False}, "nothing"),
        ({"machine": None, "redis": None, "worker": 1.8, "cores": 2, "local": False}, "machine"),
        ({"machine": 0.5, "redis": 0.6, "worker": 1.25, "cores": 2, "local": True}, "machine"),
        # The worker's processes
        ({"worker": 1.7, "machine": 1.8}, "worker"),
        ({"worker": 1.69, "machine": 1.8}, "nothing"),
        ({"worker": 0.85, "processes": 1}, "worker"),
        ({"worker": 3.4, "machine": 3.5, "processes": 9}, "worker"),
        ({"worker": 1.7, "ping": 0.1}, "worker"),
        # The network
        ({"ping": 0.0011}, "network"),
        ({"ping": 0.001}, "nothing"),
        # What is not known does not limit
        ({"redis": None, "worker": None, "machine": None}, "nothing"),
        ({"redis": None, "worker": None, "machine": None, "local": True}, "nothing"),
        ({"redis": None, "worker": None, "machine": None, "ping": 0.1}, "network"),
    ],
)
def test_what_has_no_more_to_give_limits(changes: dict[str, Any], expected: Limit) -> None:
    assert limit(load(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "why", "then"),
    [
        (
            {"redis": 0.93},
            "Redis' one core: it was 93% busy",
            "a faster core for Redis, or several namespaces, each on a Redis of its own",
        ),
        (
            {"redis": 0.62, "worker": 1.3, "machine": 1.95, "cores": 2, "local": True},
            "this machine's cores, which Redis shares: 1.9 of 2 were busy (worker 1.3, Redis 0.6, others 0.0)",
            "Redis on a machine of its own, or a machine with more cores",
        ),
        (
            {"worker": 3.7, "machine": 3.8, "processes": 4},
            "this machine's cores: 3.8 of 4 were busy (worker 3.7, others 0.1)",
            "workers on more hosts, or a machine with more cores",
        ),
        (
            {"worker": 1.5, "machine": 4.0},
            "this machine's cores: 4.0 of 4 were busy (worker 1.5, others 2.5)",
            "the same again when nothing else runs here",
        ),
        (
            {"worker": 0.96, "processes": 1},
            "the worker's processes: they used 1.0 of the 1 core that they can use",
            "more processes: there are cores for --procs 4",
        ),
        (
            {"worker": 3.5, "machine": 3.5, "processes": 4},
            "the worker's processes: they used 3.5 of the 4 cores that they can use",
            "workers on more hosts, or a machine with more cores",
        ),
        (
            {"ping": 0.0123},
            "the network between here and Redis: a round trip takes 12.3ms",
            "workers nearer to Redis; or more --procs, or more hosts, which wait at the same time",
        ),
        (
            {},
            "nothing is saturated: Redis was 40% busy, the worker used 0.8 of 2 cores; "
            "a process waits for Redis between its batches",
            "more processes, whose waiting overlaps: --procs 3",
        ),
        (
            {"redis": None, "worker": None, "machine": None},
            "nothing is saturated: Redis was an unknown part busy, the worker used ? of 2 cores; "
            "a process waits for Redis between its batches",
            "more processes, whose waiting overlaps: --procs 3",
        ),
    ],
)
def test_a_verdict_says_why_and_what_to_do_next(changes: dict[str, Any], why: str, then: str) -> None:
    judged = verdict(load(**changes))
    assert (judged.why, judged.next) == (why, then)
    assert judged.limit == limit(load(**changes))


maybe_cores = st.none() | st.floats(0, 64)


@given(
    redis=maybe_cores,
    worker=maybe_cores,
    machine=maybe_cores,
    processes=st.integers(1, 64),
    cores=st.integers(1, 64),
    local=st.booleans(),
    ping=st.floats(0, 10),
)
def test_there_is_a_verdict_on_every_load(**used: Any) -> None:
    judged = verdict(Load(**used))
    assert judged.limit in get_args(Limit)
    assert judged.why
    assert judged.next


def test_the_load_is_that_of_the_drain() -> None:
    assert load_of(figures()) == Load(
        redis=0.25, worker=0.75, machine=1.5, processes=2, cores=2, local=True, ping=0.00002
    )


# How it is told


def test_people_see_aligned_tables_and_what_limits() -> None:
    assert screen(figures(), verdict(load_of(figures())), terminal=True).splitlines() == [
        " redis   redis://:***@localhost:6379/0   7.0.15   on this machine",
        " worker  --procs 2 --threads 16   on 2 cores",
        "",
        " MEASURE                          JOBS/s     p50      p99      MAX",
        " round trip (PING)                     -  0.02ms   0.02ms   0.02ms",
        " enqueue                          20 755  0.04ms   0.05ms   0.05ms",
        " enqueue_many                    100 000       -        -        -",
        " enqueue to start, idle worker         -  2.00ms  40.50ms  40.50ms",
        " enqueue to result, idle worker        -  2.00ms  40.50ms  40.50ms",
        " drain of 50 000 jobs             25 000       -        -        -",
        "",
        " DRAIN   us CPU/JOB  CORES  OF  MEMORY",
        " redis         10.0   0.25   1  166 bytes a queued job",
        " worker        30.0   0.75   2  58 MB",
        "",
        " limit   nothing is saturated: Redis was 25% busy, the worker used 0.8 of 2 cores; "
        "a process waits for Redis between its batches",
        " next    more processes, whose waiting overlaps: --procs 3",
    ]


def test_programs_see_tabs() -> None:
    lines = screen(figures(), verdict(load_of(figures())), terminal=False).splitlines()
    assert "enqueue\t20755\t0.04ms\t0.05ms\t0.05ms" in lines
    assert "worker\t30.0\t0.75\t2\t58 MB" in lines


@pytest.fixture
def untold() -> Figures:
    """Where neither Redis nor the machine says anything of itself."""
    return figures(
        redis=Server(url="redis://far", version=None, local=False),
        worker=Workforce(processes=1, threads=16, cores=1, memory=None),
        bulk=Bulk(jobs=10, seconds=1.0, memory=None),
        drain=Drain(jobs=10, seconds=1.0, redis_cpu=None, worker_cpu=None, machine_cpu=None),
    )


def test_what_is_not_known_is_a_dash(untold: Figures) -> None:
    lines = screen(untold, verdict(load_of(untold)), terminal=True).splitlines()
    assert lines[:2] == [
        " redis   redis://far   ?   on another machine",
        " worker  --procs 1 --threads 16   on 1 core",
    ]
    assert [line.split() for line in lines[-5:-3]] == [["redis", "-", "-", "1", "-"], ["worker", "-", "-", "1", "-"]]


def test_json_has_seconds_bytes_and_jobs_a_second() -> None:
    found = data(figures(), verdict(load_of(figures())))
    times = {"samples": 4, "p50_seconds": 0.002, "p99_seconds": 0.0405, "max_seconds": 0.0405}
    assert found == {
        "redis": {"url": "redis://:***@localhost:6379/0", "version": "7.0.15", "local": True},
        "worker": {"processes": 2, "threads": 16, "cores": 2},
        "ping": {"samples": 3, "p50_seconds": 0.00002, "p99_seconds": 0.00002, "max_seconds": 0.00002},
        "enqueue": {
            "jobs_per_second": 20755.4,
            "samples": 2,
            "p50_seconds": 0.00004,
            "p99_seconds": 0.00005,
            "max_seconds": 0.00005,
        },
        "enqueue_many": {"jobs": 50_000, "jobs_per_second": 100_000.0},
        "enqueue_to_start": times,
        "enqueue_to_result": times,
        "drain": {
            "jobs": 50_000,
            "seconds": 2.0,
            "jobs_per_second": 25_000.0,
            "redis_cpu_seconds_per_job": 0.00001,
            "worker_cpu_seconds_per_job": 0.00003,
            "redis_cores": 0.25,
            "worker_cores": 0.75,
            "machine_cores": 1.5,
        },
        "memory": {"redis_bytes_per_queued_job": 166.2, "worker_bytes": 58 << 20},
        "limit": {
            "name": "nothing",
            "why": "nothing is saturated: Redis was 25% busy, the worker used 0.8 of 2 cores; "
            "a process waits for Redis between its batches",
            "next": "more processes, whose waiting overlaps: --procs 3",
        },
    }


def test_json_has_the_same_keys_where_nothing_is_known(untold: Figures) -> None:
    def keys(value: Any) -> Any:
        return {name: keys(item) for name, item in value.items()} if isinstance(value, dict) else None

    full, empty = (data(each, verdict(load_of(each))) for each in (figures(), untold))
    assert keys(full) == keys(empty)
    assert to_json(empty).count("null") == 8


def test_a_url_cannot_command_the_terminal() -> None:
    wicked = replace(figures().redis, url="redis://\x1b[2J")
    assert "\x1b" not in screen(figures(redis=wicked), verdict(load()), terminal=True)


# Where Redis is


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost:6379/0", True),
        ("redis://", True),
        ("redis://:secret@127.0.0.1", True),
        ("redis://127.1.2.3:7000", True),
        ("rediss://[::1]:6379", True),
        ("unix:///tmp/redis.sock?db=0", True),
        ("embedded://", True),
        ("redis://redis:6379", False),
        ("redis://user:localhost@10.0.0.1", False),
        ("redis://localhost.example.com", False),
    ],
)
def test_a_redis_is_local_by_its_address(url: str, expected: bool) -> None:
    assert is_local(url) is expected


# What processes cost


def test_a_family_is_a_process_and_all_that_descend_from_it() -> None:
    rows = [Process(pid, parent, 0.0) for pid, parent in [(1, 0), (5, 1), (7, 5), (6, 5), (8, 7), (9, 1)]]
    assert [row.pid for row in family(5, rows)] == [5, 7, 6, 8]
    assert [row.pid for row in family(8, rows)] == [8]
    assert family(2, rows) == []


def fake_proc(root: Path) -> Path:
    """A /proc with a worker (7), its child (8) which may not be looked into, and a stranger (1)."""
    for pid, parent, ticks in [("1", 0, (9, 9, 9, 9)), ("7", 1, (100, 50, 30, 20)), ("8", 7, (10, 5, 0, 0))]:
        (root / pid).mkdir(parents=True)
        before = " ".join(["0"] * 9)
        after = " ".join(map(str, ticks))
        (root / pid / "stat").write_text(f"{pid} (a (b) c) S {parent} {before} {after} 0 0\n")
    (root / "self").symlink_to("1")
    (root / "7" / "smaps_rollup").write_text("Rss:  900 kB\nPss:  300 kB\nPss_Dirty: 5 kB\n")
    (root / "meminfo").write_text("")
    (root / "stat").write_text("cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 2 3\n")
    return root


def test_proc_says_what_processes_cost(tmp_path: Path) -> None:
    tick = os.sysconf("SC_CLK_TCK")
    rows = processes(fake_proc(tmp_path))
    assert {(row.pid, row.parent, round(row.cpu * tick)) for row in rows} == {(1, 0, 36), (7, 1, 200), (8, 7, 15)}
    assert memory_of(7, tmp_path) == 300 << 10
    assert memory_of(8, tmp_path) is None


def test_proc_says_how_busy_the_machine_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "cores", os.cpu_count)
    assert machine_cpu(fake_proc(tmp_path)) == pytest.approx(171 / os.sysconf("SC_CLK_TCK"))
    assert machine_cpu(tmp_path / "nowhere") is None
    monkeypatch.setattr(cost, "cores", lambda: (os.cpu_count() or 1) + 1)
    assert machine_cpu(tmp_path) is None


def test_ps_is_read_as_systems_write_it() -> None:
    said = "    1     0   0:01.25\n   42     1  12:34.50\n  43 42 01:02:03\n 44 42 2-00:00:01\n PID PPID TIME\n\n"
    assert list(read_ps(said)) == [
        Process(1, 0, 1.25),
        Process(42, 1, 754.5),
        Process(43, 42, 3723.0),
        Process(44, 42, 172801.0),
    ]


def test_without_proc_ps_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "ps"
    fake.write_text("#!/bin/sh\necho '7 1 0:02.50'\n")
    fake.chmod(0o700)
    monkeypatch.setattr(cost, "_PS", (str(fake),))
    assert processes(tmp_path) == [Process(7, 1, 2.5)]
    fake.write_text("#!/bin/sh\nexit 1\n")
    assert processes(tmp_path) == []
    fake.unlink()
    assert processes(tmp_path) == []


def test_of_a_process_that_is_not_there_nothing_is_known() -> None:
    assert (cpu_of(1 << 30), memory_of(1 << 30)) == (None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_this_process_has_used_cpu_and_memory() -> None:
    assert (cpu_of(os.getpid()) or 0) > 0
    assert (memory_of(os.getpid()) or 0) > 1 << 20


# The worker


def test_the_worker_gets_no_url_in_its_words_and_serves_the_queue_of_the_bench() -> None:
    said = " ".join(words(3, 4))
    assert "redis" not in said
    assert "--procs 3 --threads 4 --queues default" in said


# The command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What the command would measure with, instead of measuring."""
    found: list[Any] = []

    def refuse(*_: Any) -> Any:
        raise KeyboardInterrupt

    def order(**settings: Any) -> Any:
        found.append(tuple(settings.values()))

    monkeypatch.setattr("taskq.cli.bench.command.own_room", lambda _: _Room())
    monkeypatch.setattr("taskq.cli.bench.command.Order", order)
    monkeypatch.setattr("taskq.cli.bench.command.measure", refuse)
    return found


class _Room:
    def __enter__(self) -> str:
        return "taskq-bench-x"

    def __exit__(self, *_: object) -> None:
        return None


@pytest.mark.parametrize(
    ("flags", "env", "lines", "expected"),
    [
        ("", {}, "", (cores(), 16, None)),
        ("--procs 3 --threads 4 --jobs 500", {"TASKQ_PROCS": "9"}, "procs = 8", (3, 4, 500)),
        ("", {"TASKQ_PROCS": "5", "TASKQ_THREADS": "6"}, "procs = 8", (5, 6, None)),
        ("", {}, "procs = 8\nthreads = 7\nqueues = 'mail'", (8, 7, None)),
    ],
)
def test_the_worker_is_as_large_as_it_would_be(
    orders: list[Any], here: Path, flags: str, env: dict[str, str], lines: str, expected: tuple[int, int, int | None]
) -> None:
    (here / "pyproject.toml").write_text(f"[tool.taskq]\n{lines}\n")
    assert Console()("bench", *flags.split(), env=env).code == 130
    assert orders == [expected]


@pytest.mark.parametrize("jobs", ["0", "100001", "many"])
def test_the_number_of_jobs_is_bounded(orders: list[Any], jobs: str) -> None:
    said = Console()("bench", "--jobs", jobs)
    assert (said.code, said.out, orders) == (exit_codes.USAGE, "", [])
    assert said.err.startswith("error: --jobs: ")


def test_help_says_that_it_puts_load_on_redis_and_how_much_it_takes() -> None:
    text = " ".join(Console()("bench", "--help").out.split())
    for said in ("puts load on the Redis", "a minute at most", "50 MB", "removes what it wrote", "[1<=x<=100000]"):
        assert said in text


def test_without_redis_nothing_is_started() -> None:
    said = Console()("bench", "--url", "redis://:secret@localhost:1/0")
    assert (said.code, said.out) == (exit_codes.UNREACHABLE, "")
    assert said.err == (
        "bench of redis://:***@localhost:1/0: puts load on it, for a minute at most; Ctrl-C ends it\n"
        "error: cannot reach Redis at redis://:***@localhost:1/0 (connection refused)\n"
        "  url from: the program or --url\n"
        "  hint: start one (apt install redis-server), or use   embedded://   which brings its own\n"
    )
