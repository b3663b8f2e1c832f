"""A child process as its supervisor sees it: forked, waited for by a file descriptor, killed; who dies with whom."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True, eq=False)
class Process:
    """A forked child. `fileno` is readable once it has ended."""

    pid: int
    _fd: int
    _status: int | None = None

    def fileno(self) -> int:
        return self._fd

    def kill(self) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """The exit code, negative for a signal; waits until the process has ended."""
        if self._status is None:
            try:
                self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            except ChildProcessError:  # somebody else has collected it (PID 1 collects all)
                self._status = -signal.SIGKILL
            os.close(self._fd)
        return self._status

    def is_stopped(self) -> bool:
        """Is it in state T (SIGSTOP)? False where there is no /proc."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] in ("T", "t")

    def rss(self) -> int | None:
        """Bytes of memory that it takes, what it shares with others included. None where there is no /proc."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
        except (OSError, IndexError):
            return None


def fork(target: Callable[[], int]) -> Process:
    """Run `target` in a child; its return value is the exit code. The caller must have one thread only.

    Raises OSError where there can be no more processes or files. The child dies when its parent does: by
    PR_SET_PDEATHSIG on Linux; elsewhere it has to watch a pipe.
    """
    _flush()
    parent, (alive, held) = os.getpid(), os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(alive)
        os.close(held)
        raise
    if pid == 0:
        os.close(alive)
        _be_child(target, parent)
    os.close(held)
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):
            fd = os.pidfd_open(pid)
            os.close(alive)
            return Process(pid, fd)
    return Process(pid, alive)  # its other end closes with the child


def _be_child(target: Callable[[], int], parent: int) -> None:
    code = 1
    try:
        die_with(parent)
        code = target()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            _flush()
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` (its parent) dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
