"""What a command is given to work with: where Redis is and who said so, the app, the clock, and a way to ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from taskq.cli import output
from taskq.clock import SYSTEM_CLOCK, Clock
from taskq.config import Sourced, advice, project_settings, redis_url
from taskq.errors import BrokerUnavailable, TaskqError

if TYPE_CHECKING:
    from taskq.app import TaskQ
    from taskq.broker.broker import Broker
    from taskq.broker.call import Call

T = TypeVar("T")


def connect(url: str, namespace: str) -> Broker:
    """A broker at `url`; `embedded://` starts its server."""
    from taskq.broker.opening import open_broker

    return open_broker(url, namespace)


@dataclass(slots=True, kw_only=True)
class Session:
    """One run of the command line. `given`: what flags or the environment said of "app", "url" and "namespace"."""

    given: dict[str, Sourced] = field(default_factory=dict)
    debug: bool = False
    clock: Clock = SYSTEM_CLOCK
    connect: Callable[[str, str], Broker] = connect
    sleep: Callable[[float], None] = time.sleep
    terminal_out: Callable[[], bool] = output.is_terminal_out
    terminal_in: Callable[[], bool] = output.is_terminal_in
    _broker: Broker | None = None
    _url: Sourced | None = None

    # Redis

    def ask(self, call: Call[T]) -> T:
        """Carry out `call`. Only a URL and a namespace are needed, unless a flag names an app to take them from."""
        if self._broker is None:
            self._url, namespace = self.target()
            self._broker = self.connect(self._url.value, namespace)
        try:
            if not self._broker.checked:
                self._broker.check()
            return self._broker.run(call)
        except BrokerUnavailable as error:
            assert self._url is not None
            raise BrokerUnavailable(f"{error}\n{advice(self._url)}") from None

    def target(self) -> tuple[Sourced, str]:
        """The URL and the namespace: of their flags, else of the app that a flag names, else as they are set."""
        app = self.given.get("app")
        if app is not None and app.source == "-A":
            loaded = self.load_app("look")
            return redis_url(loaded.url), loaded.namespace
        return self.redis(), self.namespace()

    def redis(self) -> Sourced:
        url = self.given.get("url")
        return redis_url(url.value if url else None)

    def namespace(self) -> str:
        given = self.given.get("namespace")
        return given.value if given else str(project_settings().get("namespace", "taskq"))

    # The app

    def app(self, purpose: str) -> Sourced:
        """The reference of the app. Raises UsageError, with what might have been meant, where there is none."""
        given = self.given.get("app")
        if given is not None:
            return given
        setting = project_settings().get("app")
        if isinstance(setting, str) and setting:
            return Sourced(setting, "[tool.taskq] app")
        raise click.UsageError(
            f"cannot {purpose}: no app was named\n  looked in: -A, TASKQ_APP, [tool.taskq] app\n  hint: {_app_here()}"
        )

    def load_app(self, purpose: str) -> TaskQ:
        """The app, imported, at the URL and the namespace that flags say instead of its own."""
        reference = self.app(purpose).value
        app = _import(reference)
        flags = {name: given.value for name, given in self.given.items() if given.source in ("--url", "--namespace")}
        if flags:
            app.close()  # it may have connected while it was imported
            app.url = flags.get("url", app.url)
            app.namespace = flags.get("namespace", app.namespace)
        return app


def _import(reference: str) -> TaskQ:
    from taskq_workers.loader import AppNotFound, import_failure, load_app

    try:
        return load_app(reference)
    except TaskqError:
        raise
    except (Exception, SystemExit) as error:
        raise AppNotFound(import_failure(reference, error)) from None


def _app_here() -> str:
    """What to type, with a look at the files of the current directory."""
    here = sorted(Path.cwd().glob("*.py"), key=lambda path: (path.name != "tasks.py", path.name))
    found = next((path.stem for path in here[:100] if path.name == "tasks.py" or _mentions_taskq(path)), None)
    return f"did you mean -A {found} ({found}.py is here)?" if found else "pass -A module:app, or set [tool.taskq] app"


def _mentions_taskq(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"taskq" in file.read(20_000)
    except OSError:
        return False
