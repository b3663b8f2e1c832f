"""Words between a child and its supervisor: JSON lines on a socket pair. An end of file means the other is gone.

child -> supervisor    {"ready": {...}}   {"error": text, "code": n}
                       {"spent": why}   {"retiring": why}   {"hung": why}   {"hint": fields}
supervisor -> child    {"stop": true}
"""

from __future__ import annotations

import json
import socket
from typing import Any

Message = dict[str, Any]


class Channel:
    """One end. Sending may block for a moment, receiving never does."""

    def __init__(self, end: socket.socket):
        self._end = end
        self._rest = b""

    @staticmethod
    def pair() -> tuple[Channel, Channel]:
        """Two ends that talk to each other."""
        one, other = socket.socketpair()
        return Channel(one), Channel(other)

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, message: Message) -> bool:
        """False where the other end is gone."""
        try:
            self._end.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def receive(self) -> list[Message] | None:
        """What has arrived whole; None once the other end is gone and all is read."""
        try:
            data = self._end.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self._end.close()
