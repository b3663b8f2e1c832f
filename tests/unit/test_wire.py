"""The fast wire on a socket whose other end the test holds: what redis-py would have raised, it raises."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis

from taskq.broker.wire import FastWire, Wire, wire

pytest.importorskip("hiredis")


class Connected:
    """A redis-py connection as far as a wire uses it."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None
        self.connects = 0

    def connect(self) -> None:
        self._sock, self.server = socket.socketpair()
        self._sock.settimeout(0.05)
        self.connects += 1

    def disconnect(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self.server.close()
        self._sock = None


@pytest.fixture
def connection() -> Iterator[Connected]:
    connection = Connected()
    yield connection
    connection.disconnect()


@pytest.fixture
def line(connection: Connected) -> FastWire:
    line = FastWire(connection)
    line.connect()
    return line


def test_commands_go_out_in_one_write_and_replies_come_in_order(line: FastWire, connection: Connected) -> None:
    connection.server.sendall(b"+OK\r\n*2\r\n:1\r\n$1\r\nx\r\n")
    assert line.converse([("PING",), ("EVALSHA", b"\xff", 2.0, 7)]) == [b"OK", [1, b"x"]]
    assert (
        connection.server.recv(1000)
        == b"*1\r\n$4\r\nPING\r\n*4\r\n$7\r\nEVALSHA\r\n$1\r\n\xff\r\n$3\r\n2.0\r\n$1\r\n7\r\n"
    )


def test_a_reply_may_come_in_pieces(line: FastWire, connection: Connected) -> None:
    class Slow:
        pieces = iter([b"$11\r\nhel", b"lo wor", b"ld\r\n:5\r\n"])

        def recv(self, _: int) -> bytes:
            return next(self.pieces)

    slow: Any = Slow()
    line._socket = slow
    assert (line.read(), line.read()) == (b"hello world", 5)


def test_an_error_of_the_server_is_returned_in_its_place(line: FastWire, connection: Connected) -> None:
    connection.server.sendall(b"-NOSCRIPT No matching script\r\n$-1\r\n")
    error, nothing = line.converse([("EVALSHA", "x", 0), ("GET", "x")])
    assert isinstance(error, redis.ResponseError)
    assert (str(error), nothing) == ("NOSCRIPT No matching script", None)


def test_a_closed_connection_is_a_connection_error(line: FastWire, connection: Connected) -> None:
    connection.server.close()
    with pytest.raises(redis.ConnectionError, match="closed by server"):
        line.read()
    with pytest.raises(redis.ConnectionError, match="writing to socket"):
        line.send([("PING",)])


def test_a_reply_that_does_not_come_is_a_timeout_and_no_connection_error(line: FastWire) -> None:
    with pytest.raises(redis.TimeoutError, match="reading from socket"):
        line.read()
    assert not issubclass(redis.TimeoutError, redis.ConnectionError)  # such a call is not sent again


def test_bytes_that_are_no_reply_are_refused(line: FastWire, connection: Connected) -> None:
    connection.server.sendall(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(redis.exceptions.InvalidResponse):
        line.read()


def test_what_was_left_unread_is_gone_after_a_reconnect(line: FastWire, connection: Connected) -> None:
    connection.server.sendall(b":1\r\n:2\r\n")
    assert line.read() == 1
    line.disconnect()
    line.connect()
    connection.server.sendall(b":3\r\n")
    assert line.read() == 3
    line.connect()
    assert connection.connects == 2


def test_a_wire_that_is_not_connected_says_so(connection: Connected) -> None:
    with pytest.raises(redis.ConnectionError, match="not connected"):
        FastWire(connection).send([("PING",)])


def test_connections_of_somebodys_own_class_are_left_to_redis_py() -> None:
    class Own(redis.Connection):
        pass

    assert type(wire(Own())) is Wire
    assert type(wire(redis.Connection())) is FastWire
    assert type(wire(redis.UnixDomainSocketConnection(path="/x"))) is FastWire


@pytest.mark.parametrize("kind", [Wire, FastWire])
def test_words_that_could_not_be_delivered_are_not_delivered_once_they_are_given_up(
    connection: Connected, kind: type[Wire]
) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # most of it stays with the sender
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        connection._sock = socket.create_connection(listener.getsockname())
        connection._sock.sendall(bytes(12_000))
        server, _ = listener.accept()
    connection.server = server.dup()
    kind(connection).disconnect()
    arrived = 0
    with server, suppress(ConnectionResetError):
        server.settimeout(10)
        while some := server.recv(4096):
            arrived += len(some)
    assert arrived < 12_000
