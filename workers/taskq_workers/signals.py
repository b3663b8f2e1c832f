"""Signals of the supervisor: a handler only notes the signal, `step` deals with it."""

from __future__ import annotations

import signal
import socket
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD)


class Signals:
    """Signals that arrived, in order. `fileno` is readable when there are any."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, _note)

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> list[signal.Signals]:
        try:
            return [signal.Signals(number) for number in self._reader.recv(4096)]
        except BlockingIOError:
            return []


def _note(number: int, frame: FrameType | None) -> None:
    """Nothing: Python has written the number to the wakeup socket."""
