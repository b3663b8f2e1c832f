"""`taskq worker`: which setting counts, and what is said of one that cannot be used."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from taskq import exit_codes
from taskq.cli.cores import cores
from taskq.config import Sourced, WorkerSettings
from taskq_workers.worker import Order
from tests.support.console import Console, Said

ALL = WorkerSettings(
    procs=3,
    threads=4,
    coroutines=50,
    queues=("mail", "default"),
    burst=True,
    grace=10.0,
    lease=5.0,
    boot_timeout=90.0,
    max_jobs=500,
    max_rss=512 << 20,
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Runs:
    """`taskq worker` with a `run_worker` that only notes its order."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    def run_worker(self, order: Order) -> int:
        self.orders.append(order)
        return exit_codes.GAVE_BACK

    def order(self, *flags: str, **env: str) -> Order:
        said = self.say(*flags, **env)
        assert (said.code, said.err) == (exit_codes.GAVE_BACK, "")
        return self.orders.pop()

    def say(self, *flags: str, **env: str) -> Said:
        before = flags[: flags.index("--")] if "--" in flags else ()
        after = flags[flags.index("--") + 1 :] if "--" in flags else flags
        return Console()(*before, "worker", *after, env=env)

    def settings(self, *flags: str, **env: str) -> WorkerSettings:
        return self.order("-A", "shop", *flags, **env).settings


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr("taskq_workers.worker.run_worker", runs.run_worker)
    return runs


def project(folder: Path, *lines: str) -> None:
    (folder / "pyproject.toml").write_text("\n".join(["[tool.taskq]", *lines]))


# Settings


def test_defaults_are_those_of_the_settings_but_one_process_for_each_core(worker: Runs) -> None:
    assert worker.settings() == WorkerSettings(procs=cores())


def test_every_setting_has_a_flag_with_its_help() -> None:
    text = " ".join(Console()("worker", "--help").out.split())
    for setting in fields(WorkerSettings):
        flag = {"coroutines": "async"}.get(setting.name, setting.name)
        assert f"--{flag.replace('_', '-')} " in text
        assert setting.metadata["help"] in text
        assert f"TASKQ_{flag.upper()}" in text


def test_flags_set_all_of_it(worker: Runs) -> None:
    flags = "--procs 3 --threads 4 --async 50 --queues mail,default --burst --grace 10 --lease 5s"
    limits = "--max-jobs 500 --max-rss 512M --boot-timeout 90s"
    assert worker.settings(*flags.split(), *limits.split()) == ALL


def test_the_environment_sets_all_of_it(worker: Runs) -> None:
    order = worker.order(
        TASKQ_APP="shop",
        TASKQ_PROCS="3",
        TASKQ_THREADS="4",
        TASKQ_ASYNC="50",
        TASKQ_QUEUES="mail, default",
        TASKQ_BURST="1",
        TASKQ_GRACE="10s",
        TASKQ_LEASE="5",
        TASKQ_MAX_JOBS="500",
        TASKQ_MAX_RSS="0.5G",
        TASKQ_BOOT_TIMEOUT="1.5m",
        TASKQ_LOG_FORMAT="json",
        TASKQ_LOG_LEVEL="warning",
    )
    assert order == Order(
        app=Sourced("shop", "TASKQ_APP"),
        url=None,
        settings=ALL,
        log_format="json",
        log_level="warning",
    )


def test_the_project_sets_all_of_it(worker: Runs, here: Path) -> None:
    project(
        here,
        'app = "shop:app"\nprocs = 3\nthreads = 4\nasync = 50\nqueues = ["mail", "default"]',
        'burst = true\ngrace = 10\nlease = 5\nlog-format = "json"\nlog_level = "error"',
        'max-jobs = 500\nmax_rss = "512M"\nboot-timeout = 90',
    )
    order = worker.order()
    assert order.app == Sourced("shop:app", "[tool.taskq] app")
    assert order.settings == ALL
    assert (order.log_format, order.log_level) == ("json", "error")


def test_flags_come_before_the_environment_and_that_before_the_project(worker: Runs, here: Path) -> None:
    project(here, "procs = 3", "threads = 3", "burst = true", 'queues = "c"')
    settings = worker.settings("--procs", "1", "--no-burst", TASKQ_PROCS="2", TASKQ_THREADS="2")
    assert settings == WorkerSettings(procs=1, threads=2, queues=("c",), burst=False)


@pytest.mark.parametrize("value", ['"auto"', "2"])
def test_processes_can_be_auto_anywhere(worker: Runs, here: Path, value: str) -> None:
    project(here, f"procs = {value}")
    assert worker.settings().procs == (cores() if "auto" in value else 2)
    assert worker.settings("--procs", "auto").procs == cores()
    assert worker.settings(TASKQ_PROCS="auto").procs == cores()


def test_threads_that_are_auto_are_as_many_as_without_a_word(worker: Runs) -> None:
    assert worker.settings("--threads", "auto").threads == WorkerSettings().threads
    assert worker.settings(TASKQ_THREADS="auto").threads == WorkerSettings().threads


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("-A shop", Sourced("shop", "-A")),
        ("-A shop --", Sourced("shop", "-A")),
        ("--app shop", Sourced("shop", "-A")),
        ("-A first -- --app last", Sourced("last", "-A")),
    ],
)
def test_the_app_may_stand_before_and_after_the_command(worker: Runs, flags: str, expected: Sourced) -> None:
    assert worker.order(*flags.split(), TASKQ_APP="other").app == expected


def test_a_url_counts_for_the_worker_only_as_a_flag(worker: Runs) -> None:
    assert worker.order("-A", "shop", TASKQ_URL="redis://env").url is None
    assert worker.order("-A", "shop", "--url", "redis://flag").url == "redis://flag"
    assert worker.order("--url", "redis://flag", "--", "-A", "shop").url == "redis://flag"


@pytest.mark.parametrize("text", ["a=6,b=1", " a = 6 , b=1 "])
def test_queues_may_have_weights(worker: Runs, here: Path, text: str) -> None:
    for settings in (worker.settings("--queues", text), worker.settings(TASKQ_QUEUES=text)):
        assert (settings.queues, settings.names) == (("a=6", "b=1"), ("a", "b"))
    project(here, f'queues = "{text}"')
    assert worker.settings().queues == ("a=6", "b=1")
    project(here, 'queues = ["a=6", "b=1"]')
    assert worker.settings().queues == ("a=6", "b=1")


# What cannot be used


@pytest.mark.parametrize(
    ("flags", "env", "error"),
    [
        ("--procs many", {}, "--procs: 'many' is not a whole number or auto\n  hint: taskq worker --help"),
        ("--async auto", {}, "--async: 'auto' is not a whole number\n"),
        ("--procs 0", {}, "--procs: procs is 0\n  hint: at least 1"),
        ("--grace soon", {}, "--grace: duration 'soon' is not a duration\n  hint: seconds, a timedelta, or"),
        ("--log-format pretty", {}, "--log-format: 'pretty' is not one of 'auto', 'console', 'json'\n"),
        ("--queues a,,b", {}, "--queues: queue '' cannot be used\n  hint: 1 to 100 of the characters"),
        (
            "--queues a=6,b",
            {},
            "--queues: cannot serve queue 'b' without a weight beside 'a=6'\n  hint: a weight for each",
        ),
        ("--queues a=0", {}, "--queues: weight of queue 'a' is '0'\n  hint: a whole number from 1 to 1000\n"),
        ("--queues =6", {}, "--queues: queue '' cannot be used\n"),
        ("", {"TASKQ_QUEUES": "a=x"}, "TASKQ_QUEUES: weight of queue 'a' is 'x'\n"),
        ("--max-jobs -1", {}, "--max-jobs: max_jobs is -1\n  hint: at least 0"),
        ("--max-rss much", {}, "--max-rss: size 'much' is not a size\n  hint: bytes, or '800K', '512M', '2G'"),
        ("--max-rss 512", {}, "--max-rss: max_rss is 512 bytes\n  hint: at least 16M, as in 512M or 2G; 0: any"),
        ("", {"TASKQ_MAX_RSS": "-1"}, "TASKQ_MAX_RSS: size '-1' is not a size\n"),
        ("", {"TASKQ_PROCS": "many"}, "TASKQ_PROCS: 'many' is not a whole number or auto\n"),
        ("", {"TASKQ_LEASE": "0.5"}, "TASKQ_LEASE: lease is 0.5\n  hint: at least 1"),
        ("", {"TASKQ_ASYNC": "-1"}, "TASKQ_ASYNC: coroutines is -1\n"),
        ("", {"TASKQ_BURST": "maybe"}, "TASKQ_BURST: 'maybe' is not a valid boolean"),
        ("--namespace x", {}, "--namespace is not for a worker: its namespace is that of its app\n  hint: TaskQ("),
    ],
)
def test_a_bad_value_is_told_with_its_source(worker: Runs, flags: str, env: dict[str, str], error: str) -> None:
    said = worker.say("-A", "shop", *flags.split(), **env)
    assert (said.code, said.out, worker.orders) == (exit_codes.USAGE, "", [])
    assert said.err.startswith(f"error: {error}")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('procs = "many"', "[tool.taskq] procs in pyproject.toml: 'many' is not a whole number or auto\n"),
        ("threads = true", "[tool.taskq] threads in pyproject.toml: True is not a whole number or auto\n"),
        ("async = 0", "[tool.taskq] async in pyproject.toml: coroutines is 0\n"),
        ("queues = 5", "[tool.taskq] queues in pyproject.toml: 5 is not a list of names\n"),
        ('queues = ["a b"]', "[tool.taskq] queues in pyproject.toml: queue 'a b' cannot be used\n"),
        ('queues = ["a=2", "a=3"]', "[tool.taskq] queues in pyproject.toml: cannot serve queue 'a' with two weights\n"),
        ("queues = []", "[tool.taskq] queues in pyproject.toml: cannot work on no queue\n  hint: --queues default"),
        (
            "thraeds = 3",
            "there is no setting 'thraeds' for [tool.taskq] in pyproject.toml\n  hint: did you mean threads?",
        ),
        ("xyzzy = 3", "there is no setting 'xyzzy' for [tool.taskq] in pyproject.toml\n  hint: there are app, url,"),
        ("procs = ", "cannot read "),
    ],
)
def test_a_bad_value_in_the_project_is_told_as_such(worker: Runs, here: Path, line: str, error: str) -> None:
    project(here, line)
    said = worker.say("-A", "shop")
    assert (said.code, said.out, worker.orders) == (exit_codes.USAGE, "", [])
    assert said.err.startswith(f"error: {error}")


# Without an app


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({}, "pass -A module:app, or set [tool.taskq] app"),
        ({"setup.py": "import os"}, "pass -A module:app, or set [tool.taskq] app"),
        ({"tasks.py": ""}, "did you mean -A tasks (tasks.py is here)?"),
        ({"a.py": "import taskq", "tasks.py": ""}, "did you mean -A tasks (tasks.py is here)?"),
        ({"a.py": "", "shop.py": "from taskq import TaskQ"}, "did you mean -A shop (shop.py is here)?"),
    ],
)
def test_without_an_app_the_hint_looks_at_what_is_here(
    worker: Runs, here: Path, files: dict[str, str], hint: str
) -> None:
    for name, text in files.items():
        (here / name).write_text(text)
    said = worker.say()
    assert (said.code, said.out) == (exit_codes.USAGE, "")
    assert said.err == (
        "error: cannot start a worker: no app was named\n"
        "  looked in: -A, TASKQ_APP, [tool.taskq] app\n"
        f"  hint: {hint}\n"
    )


# Cores


@pytest.mark.parametrize(
    ("group", "limits", "most"),
    [
        ("/", {}, 64),
        ("/", {"": "max 100000"}, 64),
        ("/", {"": "100000 100000"}, 1),
        ("/", {"": "50000 100000"}, 1),
        ("/", {"": "150000 100000"}, 2),
        ("/", {"": "12800000 100000"}, 64),
        ("/a/b", {"a/b": "max 100000", "a": "300000 100000"}, 3),
        ("/a/b", {"a/b": "300000 100000", "a": "max 100000"}, 3),
        ("/not/seen/here", {"": "300000 100000"}, 3),
        ("/../a", {"": "300000 100000"}, 3),
        ("/", {"": "nonsense"}, 64),
        ("/", {"": "100000 0"}, 64),
    ],
)
def test_cores_are_limited_by_the_quota_of_any_group_above(
    tmp_path: Path, group: str, limits: dict[str, str], most: int
) -> None:
    groups(tmp_path, f"1:name=x:/y\n0::{group}\n", {f"{path}/cpu.max": limit for path, limit in limits.items()})
    assert cores(tmp_path, 64) == most


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
@pytest.mark.parametrize(
    ("group", "quotas", "most"),
    [
        ("/", {"": -1}, 64),
        ("/", {"": 250_000}, 3),
        ("/a/b", {"a/b": -1, "a": 400_000, "": -1}, 4),
        ("/a/b", {"a/b": 50_000, "a": 400_000}, 1),
        ("/docker/0123", {"": 200_000}, 2),
    ],
)
def test_groups_of_version_1_limit_them_too(
    tmp_path: Path, mount: str, group: str, quotas: dict[str, int], most: int
) -> None:
    files = {f"{mount}/{path}/cpu.cfs_quota_us": str(quota) for path, quota in quotas.items()}
    periods = {f"{mount}/{path}/cpu.cfs_period_us": "100000" for path in quotas}
    groups(tmp_path, f"7:blkio:/x\n3:{mount}:{group}\n0::/\n", files | periods)
    assert cores(tmp_path, 64) == most


def groups(root: Path, mine: str, files: dict[str, str]) -> None:
    """A /proc and a /sys: the control groups of this process, and files in the folders of groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(mine)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")


def test_without_a_quota_they_are_those_that_the_scheduler_allows(tmp_path: Path) -> None:
    assert cores(tmp_path) == len(os.sched_getaffinity(0))
