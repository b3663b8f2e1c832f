"""Where settings come from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from taskq.app import TaskQ
from taskq.config import DEFAULT_URL, Sourced, WorkerSettings, advice, mask, project_root, project_settings, redis_url
from taskq.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a pyproject.toml that names a URL."""
    (tmp_path / "pyproject.toml").write_text('[tool.taskq]\nurl = "redis://project"\napp = "shop:app"\n')
    return tmp_path


# The URL


def test_the_program_comes_before_everything_else(project: Path) -> None:
    environ = {"TASKQ_URL": "redis://taskq", "REDIS_URL": "redis://redis"}
    assert redis_url("redis://mine", environ, project) == Sourced("redis://mine", "the program or --url")


def test_taskq_url_comes_before_redis_url(project: Path) -> None:
    environ = {"REDIS_URL": "redis://redis", "TASKQ_URL": "redis://taskq"}
    assert redis_url(None, environ, project) == Sourced("redis://taskq", "TASKQ_URL")


def test_redis_url_comes_before_the_project(project: Path) -> None:
    assert redis_url(None, {"REDIS_URL": "redis://redis"}, project) == Sourced("redis://redis", "REDIS_URL")


def test_the_project_comes_before_the_default(project: Path) -> None:
    assert redis_url(None, {}, project) == Sourced("redis://project", "[tool.taskq] url")


def test_the_default_is_the_redis_of_this_machine(tmp_path: Path) -> None:
    expected = Sourced("redis://localhost:6379/0", "default (no --url, TASKQ_URL or [tool.taskq] url)")
    assert redis_url(None, {}, tmp_path) == expected
    assert expected.value == DEFAULT_URL


def test_an_empty_variable_counts_as_none(project: Path) -> None:
    environ = {"TASKQ_URL": "", "REDIS_URL": "redis://redis"}
    assert redis_url("", environ, project).source == "REDIS_URL"


@pytest.mark.parametrize("url", ["7", "true", '""', '["redis://a"]'])
def test_a_url_in_the_project_that_is_no_text_counts_as_none(tmp_path: Path, url: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.taskq]\nurl = {url}\n")
    assert redis_url(None, {}, tmp_path).value == DEFAULT_URL


def test_the_environment_and_the_current_folder_are_asked_when_nothing_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASKQ_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.chdir(project)
    assert redis_url().value == "redis://project"
    monkeypatch.setenv("TASKQ_URL", "redis://taskq")
    assert redis_url().value == "redis://taskq"


def test_an_app_looks_for_its_url_when_it_first_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKQ_URL", "redis://early")
    app = TaskQ()
    monkeypatch.setenv("TASKQ_URL", "redis://late")
    assert app.broker.url == "redis://late"
    monkeypatch.setenv("TASKQ_URL", "redis://later")
    assert app.broker.url == "redis://late"
    app.close()


# Showing it


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@host/0", "redis://:***@host/0"),
        ("rediss://user:secret@host:1/0", "rediss://user:***@host:1/0"),
        ("redis://user:se@cr:et@host/0", "redis://user:***@host/0"),
        ("unix:///run/redis.sock?password=secret&db=1", "unix:///run/redis.sock?password=***&db=1"),
        ("redis://secret@host/0", "redis://***@host/0"),
        ("redis://:sec/ret@host/0", "redis://:***@host/0"),
        ("redis://:sec?ret#@host/0", "redis://:***@host/0"),
        ("redis://:sec%40ret@host/0", "redis://:***@host/0"),
        ("redis://sec/ret:x@host/0", "redis://***@host/0"),
        ("redis://host:6379/0?db=1&password=sec@ret:x", "redis://host:6379/0?db=1&password=***"),
        ("redis://host:6379/0?PASSWORD=secret#x", "redis://host:6379/0?PASSWORD=***"),
        ("redis://u:secret@host?password=secret", "redis://u:***@host?password=***"),
        ("redis://:secret", "redis://:***"),
        ("redis://user:sec/ret", "redis://user:***"),
        (":secret@host:6379", ":***@host:6379"),
        ("redis://host", "redis://host"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        (
            "sentinel://:secret@h1:1,h2:2/primary?sentinel_password=secret",
            "sentinel://:***@h1:1,h2:2/primary?sentinel_password=***",
        ),
        ("sentinel://h1:1,h2:2/primary", "sentinel://h1:1,h2:2/primary"),
        ("rediss://h/0?ssl_password=secret&ssl_ca_certs=x", "rediss://h/0?ssl_password=***&ssl_ca_certs=x"),
        ("unix:///run/@x/redis.sock", "unix:///run/@x/redis.sock"),
        ("embedded:///srv/@data", "embedded:///srv/@data"),
        ("redis://user:sec/r:e@t&x?y", "redis://user:***"),
        ("shop:app", "shop:app"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert mask(url) == shown


def test_advice_says_where_the_url_is_from_and_what_to_do() -> None:
    assert advice(Sourced("redis://h", "REDIS_URL")).splitlines() == [
        "  url from: REDIS_URL",
        "  hint: start one (apt install redis-server), or use   embedded://   which brings its own",
    ]


# The project


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git", ".taskq"])
def test_the_root_of_a_project_is_the_nearest_folder_with_a_mark(tmp_path: Path, mark: str) -> None:
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a" / mark).touch()
    assert project_root(inner) == (tmp_path / "a").resolve()


def test_a_folder_without_a_project_is_its_own_root() -> None:
    assert project_root(Path("/proc/self")) == Path("/proc/self").resolve()


def test_the_root_is_looked_for_from_the_current_folder_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "inner").mkdir()
    monkeypatch.chdir(project / "inner")
    assert project_root() == project.resolve()


def test_settings_come_from_the_nearest_pyproject_alone(project: Path) -> None:
    inner = project / "inner"
    inner.mkdir()
    assert project_settings(inner) == {"url": "redis://project", "app": "shop:app"}
    (inner / "pyproject.toml").write_text('[project]\nname = "inner"\n')
    assert project_settings(inner) == {}


@pytest.mark.parametrize("text", ["", "[tool]\n", "[tool.taskq]\n", "[tool.other]\nurl = 1\n"])
def test_a_project_that_says_nothing_has_no_settings(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert project_settings(tmp_path) == {}


@pytest.mark.parametrize("text", [b"[tool.taskq\n", b"\xff\xfe", b"[tool]\ntaskq = 7\n", b"tool = 7\n"])
def test_a_pyproject_that_cannot_be_read_is_named(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=f"^cannot read {path.resolve()}: "):
        project_settings(tmp_path)


# One worker


def test_the_defaults_of_a_worker_can_be_used() -> None:
    settings = WorkerSettings()
    assert (settings.procs, settings.threads, settings.coroutines, settings.queues) == (2, 16, 1000, ("default",))
    assert (settings.burst, settings.grace, settings.lease) == (False, 30.0, 15.0)
    assert (settings.beat, settings.outage_gap) == (3.0, 9.0)


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("procs", 0, 1),
        ("threads", 0, 1),
        ("threads", -5, 1),
        ("coroutines", 0, 1),
        ("grace", -0.5, 0),
        ("grace", float("nan"), 0),
        ("lease", 0.5, 1),
        ("lease", float("nan"), 1),
    ],
)
def test_a_setting_below_its_least_value_is_refused(name: str, value: Any, least: int) -> None:
    with pytest.raises(ConfigError) as caught:
        WorkerSettings(**{name: value})
    assert str(caught.value) == f"{name} is {value}\n  hint: at least {least}"


def test_a_worker_on_no_queue_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^cannot work on no queue\n  hint: --queues default$"):
        WorkerSettings(queues=())


def test_the_least_settings_are_enough() -> None:
    settings = WorkerSettings(procs=1, threads=1, coroutines=1, grace=0, lease=1)
    assert settings.beat == 0.2


def test_every_setting_of_a_worker_says_what_it_is() -> None:
    for field in fields(WorkerSettings):
        assert field.metadata["help"].endswith("."), field.name
