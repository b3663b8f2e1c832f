"""The command line in this process: `console("jobs", "list")` runs it and has its output and exit code."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from click.testing import CliRunner

from taskq.broker.broker import Broker
from taskq.cli.root import root
from taskq.cli.session import Session
from taskq.clock import SYSTEM_CLOCK, Clock

_OLD: dict[str, Any] = {"mix_stderr": False} if version("click").startswith("8.1") else {}
_SETTINGS = ("REDIS_URL", "NO_COLOR", "FORCE_COLOR")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the table that it printed for a program."""
        return [line.split("\t") for line in self.out.splitlines()]


class Console:
    """`broker` is the one that commands ask, whatever URL they are given. TASKQ_* of the environment is not seen."""

    def __init__(self, broker: Broker | None = None, clock: Clock = SYSTEM_CLOCK):
        self._broker, self._clock = broker, clock
        self.terminal = False
        self.asked: list[tuple[str, str]] = []
        self.slept: list[float] = []

    def __call__(self, *args: str, answer: str = "", env: dict[str, str] | None = None) -> Said:
        """Run `taskq ARGS`. `answer` is what is typed; `terminal` says whether there is somebody to type and look."""
        clean = {name: None for name in os.environ if name.startswith("TASKQ_") or name in _SETTINGS}
        result = CliRunner(**_OLD).invoke(root, args, input=answer, obj=self._session(), env={**clean, **(env or {})})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def _session(self) -> Session:
        settings: dict[str, Any] = {"connect": self._connect} if self._broker is not None else {}
        return Session(
            clock=self._clock,
            sleep=self._sleep,
            terminal_out=lambda: self.terminal,
            terminal_in=lambda: self.terminal,
            **settings,
        )

    def _connect(self, url: str, namespace: str) -> Broker:
        self.asked.append((url, namespace))
        assert self._broker is not None
        return self._broker

    def _sleep(self, seconds: float) -> None:
        """Whoever sleeps twice is interrupted."""
        self.slept.append(seconds)
        if len(self.slept) == 2:
            raise KeyboardInterrupt
