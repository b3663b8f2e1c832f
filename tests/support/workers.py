"""Real workers for tests: started as people start them, watched through their log, waited for by events."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]


TASKQ = (sys.executable, "-m", "taskq")
"""How the command line is started."""


def python_path() -> str:
    """PYTHONPATH for programs that these tests start elsewhere: they import what the tests do."""
    return os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "workers"), os.environ.get("PYTHONPATH")]))


class Worker:
    """One `taskq worker` in a process of its own. Its log is read line by line as it comes."""

    def __init__(
        self,
        url: str,
        *flags: str,
        app: str = "tests.process.jobs:app",
        taskq: Sequence[str] = TASKQ,
        **environ: str,
    ):
        command = [*taskq, "worker", "-A", app, "--log-format", "json", *flags]
        environment = {**os.environ, **environ, "TASKQ_URL": url}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self.lines: list[str] = []
        self._arriving: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._arriving.put(line)
        self._arriving.put(None)

    def wait_for(self, event: str, timeout: float = 20.0, **fields: Any) -> dict[str, Any]:
        """The next log line with this event and these fields. Fails where the worker ends, or says none in time."""
        until = time.monotonic() + timeout
        while (line := self._arriving.get(timeout=max(0.01, until - time.monotonic()))) is not None:
            self.lines.append(line)
            with suppress(json.JSONDecodeError):
                said = json.loads(line)
                if said.get("event") == event and all(said.get(key) == value for key, value in fields.items()):
                    return dict(said)
        raise AssertionError(f"the worker ended without saying {event!r}:\n{''.join(self.lines)}")

    def children(self) -> list[int]:
        """The pids of its processes."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = 20.0) -> int:
        """Wait until it has ended by itself; its exit code. `lines` is then its whole log."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        self.lines_so_far()
        return code

    def log(self) -> str:
        return "".join(self.lines_so_far())

    def lines_so_far(self) -> list[str]:
        """All that it has said by now."""
        with suppress(queue.Empty):
            while (line := self._arriving.get_nowait()) is not None:
                self.lines.append(line)
            self._arriving.put(None)
        return self.lines

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(20)
        assert self.process.stderr is not None
        self.process.stderr.close()
        if kind is not None:
            print(self.log())


@contextmanager
def worker(url: str, *flags: str, **options: Any) -> Iterator[Worker]:
    """A worker that is ready to work."""
    with Worker(url, *flags, **options) as started:
        started.wait_for("ready")
        yield started
