"""Settings: flag > TASKQ_* > [tool.taskq] in pyproject.toml > default. Nothing is read at import."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskq.errors import ConfigError
from taskq.served import name_of, weights_of

DEFAULT_URL = "redis://localhost:6379/0"


@dataclass(frozen=True, slots=True)
class Sourced:
    """A value and where it came from, as it is shown to people."""

    value: str
    source: str

    def __repr__(self) -> str:
        return f"Sourced({mask(self.value)!r}, {self.source!r})"


def redis_url(
    explicit: str | None = None, environ: Mapping[str, str] | None = None, start: Path | None = None
) -> Sourced:
    """The Redis URL: `explicit`, TASKQ_URL, REDIS_URL, `url` in [tool.taskq] from `start` upward, or the default."""
    environ = os.environ if environ is None else environ
    if explicit:
        return Sourced(explicit, "the program or --url")
    for name in ("TASKQ_URL", "REDIS_URL"):
        if environ.get(name):
            return Sourced(environ[name], name)
    url = project_settings(start).get("url")
    if isinstance(url, str) and url:
        return Sourced(url, "[tool.taskq] url")
    return Sourced(DEFAULT_URL, "default (no --url, TASKQ_URL or [tool.taskq] url)")


_SECRET = re.compile(r"([?&;][^=&]*(?:pass|pwd|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)
_PLAUSIBLE = re.compile(r"[\w.\-\[\]:,]*(?:[/?#]|$)")
_HOSTS = re.compile(r"(?:(?:\[[^\]]*\]|[^:/?#,]*)(?::\d*)?(?:,|(?=[/?#])|$))*(?=[/?#]|$)")


def mask(url: str) -> str:
    """`url` without its password, as it may be shown and logged: also where the URL is not one, or wrongly quoted.

    A name without a password is hidden too: it may be a password that lost its colon.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    rest = _SECRET.sub(r"\1***", rest)
    user, at, hosts = rest.rpartition("@")
    if at and not rest.startswith("/"):
        name, colon, _ = user.partition(":")
        shown = f"{name}:***" if colon and not re.search("[/?#@]", name) else "***"
        rest = f"{shown}@{hosts}" if _PLAUSIBLE.match(hosts) else shown
    elif separator and not rest.startswith("/") and not _HOSTS.match(rest):
        rest = f"{rest.partition(':')[0]}:***"  # what should be a port is none
    return f"{scheme}{separator}{rest}"


def advice(url: Sourced) -> str:
    """What to add to the error where Redis cannot be reached: where the URL is from, and what to do."""
    return (
        f"  url from: {url.source}\n"
        "  hint: start one (apt install redis-server), or use   embedded://   which brings its own"
    )


def project_root(start: Path | None = None) -> Path:
    """The nearest folder from `start` (default: here) upward with pyproject.toml, .git or .taskq, else `start`."""
    start = (start or Path.cwd()).resolve()
    for folder in _upward(start):
        if any((folder / name).exists() for name in ("pyproject.toml", ".git", ".taskq")):
            return folder
    return start


def project_settings(start: Path | None = None) -> dict[str, Any]:
    """The table [tool.taskq] of the nearest pyproject.toml, or {}. Raises ConfigError where it is not TOML."""
    for folder in _upward((start or Path.cwd()).resolve()):
        path = folder / "pyproject.toml"
        if path.is_file():
            return _tool_table(path)
    return {}


def _tool_table(path: Path) -> dict[str, Any]:
    try:
        tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except ValueError as error:  # not TOML, or not even text
        raise ConfigError(f"cannot read {path}: {error}") from None
    table = tools.get("taskq", {}) if isinstance(tools, dict) else tools
    if not isinstance(table, dict):
        raise ConfigError(f"cannot read {path}: tool.taskq is not a table")
    return table


def _upward(start: Path) -> Iterator[Path]:
    yield start
    yield from start.parents


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


_LEAST = (
    ("procs", 1),
    ("threads", 1),
    ("coroutines", 1),
    ("grace", 0),
    ("lease", 1),
    ("boot_timeout", 1),
    ("max_jobs", 0),
    ("max_rss", 0),
)
LEAST_RSS = 16 << 20
"""No process with an app is smaller: a number below it was meant in another unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """One worker: everything that can be set about it. The flags of `taskq worker` are made from these fields."""

    procs: int = _setting(2, "Processes; auto: one for each core that this container may use.")
    threads: int = _setting(
        16, "Threads for io jobs in each process; auto: 16. `taskq advise` says how many your jobs need."
    )
    coroutines: int = _setting(1000, "async jobs at a time in each process.")
    queues: tuple[str, ...] = _setting(
        ("default",), "Queues to work on; those named first are served first. Or by weight: a=6,b=1."
    )
    burst: bool = _setting(default=False, text="End when nothing is ready or running (delayed jobs do not count).")
    grace: float = _setting(30.0, "Seconds that running jobs get to finish when the worker is told to stop.")
    lease: float = _setting(15.0, "Seconds without a heartbeat until a host's jobs are given to others.")
    boot_timeout: float = _setting(300.0, "Seconds that a process gets to import the app and enter its lifespans.")
    max_jobs: int = _setting(0, "Runs of jobs after which a process is replaced by a new one; 0: never.")
    max_rss: int = _setting(0, "Memory beyond which a process is replaced by a new one (Linux); 0: any.")

    def __post_init__(self) -> None:
        for name, least in _LEAST:
            if not getattr(self, name) >= least:
                raise ConfigError(f"{name} is {getattr(self, name)}\n  hint: at least {least}")
        if not self.queues:
            raise ConfigError("cannot work on no queue\n  hint: --queues default")
        weights_of(self.queues)
        if 0 < self.max_rss < LEAST_RSS:
            raise ConfigError(f"max_rss is {self.max_rss} bytes\n  hint: at least 16M, as in 512M or 2G; 0: any")

    @property
    def names(self) -> tuple[str, ...]:
        """The queues without their weights."""
        return tuple(map(name_of, self.queues))

    @property
    def beat(self) -> float:
        """Seconds between heartbeats: five in a lease."""
        return self.lease / 5

    @property
    def outage_gap(self) -> float:
        """Seconds without anybody's heartbeat that mean Redis was away, not that everybody died: three beats."""
        return self.beat * 3

    @property
    def patience(self) -> float:
        """Seconds until a heartbeat without an answer is sent anew: the lease must not run out of it."""
        return min(5.0, self.lease / 3)
