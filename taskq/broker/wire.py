"""A wire: one connection to Redis, to which commands are written and from which replies are read.

redis-py connects it (TCP, TLS, Unix sockets, passwords). With hiredis the words then go straight to the socket, and
the replies come straight from it: redis-py's methods take a sixth of the CPU of a round trip. They carry the words
where there is no hiredis, or where the connection is of somebody's own class. Both raise what redis-py raises.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.exceptions import InvalidResponse
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from taskq.broker.connection import CONNECT_TIMEOUT


def _extra() -> Any:
    try:
        import hiredis
    except ImportError:
        return None
    return hiredis


hiredis = _extra()
CHUNK = 1 << 16
_DISCARD = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds: closing discards what was written and has not arrived."""
Words = tuple[Any, ...]
"""A command: its name and arguments, as bytes, str, int or float."""


class Wire:
    """By redis-py's methods. Not connected yet."""

    def __init__(self, connection: Any):
        self._connection = connection

    def limit(self, seconds: float) -> None:
        """Before it connects: let connecting and each answer take no longer than that."""
        self._connection.socket_timeout = seconds
        self._connection.socket_connect_timeout = min(seconds, CONNECT_TIMEOUT)

    def fileno(self) -> int:
        """The file descriptor while it is connected. redis-py has no public name for it."""
        return int(self._connection._sock.fileno())

    @property
    def connected(self) -> bool:
        return getattr(self._connection, "_sock", None) is not None

    def connect(self) -> None:
        """Nothing happens where it is connected."""
        if not self.connected:
            self._open()
            if isinstance(self._connection, redis.SSLConnection):
                # TLS sends tickets after its handshake. Who waits for the socket would take them for the reply, and
                # then wait in `read`: they are gone when this has an answer.
                self.converse([("PING",)])

    def _open(self) -> None:
        try:
            self._connection.connect()
        except UnicodeError as error:
            raise redis.ConnectionError(f"no host has such a name: {error}") from None
        except (ValueError, RecursionError) as error:
            raise _garbage(error) from None

    def disconnect(self) -> None:
        """Close it, for good: what was written and has not arrived never will.

        Else the kernel would go on sending it for minutes after the network was cut, and a call that is given up, and
        maybe was sent anew, would be carried out behind later ones.
        """
        socket_ = getattr(self._connection, "_sock", None)
        if isinstance(socket_, socket.socket):
            with suppress(OSError):  # not on every system like this
                socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD)
        self._connection.disconnect()

    def send(self, commands: Sequence[Words]) -> None:
        """Write `commands` at once."""
        self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)

    def read(self) -> Any:
        """The next reply. An error of the server is returned in its place."""
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            return error
        except (ValueError, RecursionError) as error:  # of redis-py's own parser
            raise _garbage(error) from None

    def converse(self, commands: Sequence[Words]) -> list[Any]:
        """Send `commands` in one write and read a reply for each."""
        self.send(commands)
        return [self.read() for _ in commands]


class FastWire(Wire):
    """By hiredis, on the socket that redis-py has connected."""

    def __init__(self, connection: Any):
        super().__init__(connection)
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        if self._socket is None:
            super().connect()

    def _open(self) -> None:
        super()._open()
        self._socket = self._connection._sock
        self._replies = hiredis.Reader(protocolError=InvalidResponse, replyError=redis.ResponseError)

    def disconnect(self) -> None:
        self._socket = None
        super().disconnect()

    def send(self, commands: Sequence[Words]) -> None:
        try:
            self._connected().sendall(b"".join(map(hiredis.pack_command, commands)))
        except OSError as error:
            raise _lost("writing to", error) from None

    def read(self) -> Any:
        reply = self._replies.gets()
        while reply is False:  # not a reply: RESP2 has no booleans
            self._replies.feed(self._receive())
            reply = self._replies.gets()
        return reply

    def _receive(self) -> bytes:
        try:
            data = self._connected().recv(CHUNK)
        except OSError as error:
            raise _lost("reading from", error) from None
        if not data:
            raise redis.ConnectionError("connection closed by server")
        return data

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise redis.ConnectionError("not connected")
        return self._socket


def _garbage(error: Exception) -> InvalidResponse:
    """What redis-py's own parser stumbled over."""
    return InvalidResponse(f"protocol error: {error}")


def _lost(doing: str, error: OSError) -> redis.RedisError:
    if isinstance(error, TimeoutError):
        return redis.TimeoutError(f"timeout {doing} socket")
    return redis.ConnectionError(f"error {error.errno} while {doing} socket. {error.strerror or error}")


_PLAIN = (
    *(redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection),
    *(SentinelManagedConnection, SentinelManagedSSLConnection),
)


def wire(connection: Any) -> Wire:
    """A wire over a connection of redis-py that is not connected yet."""
    fast = hasattr(hiredis, "pack_command") and type(connection) in _PLAIN
    return FastWire(connection) if fast else Wire(connection)
