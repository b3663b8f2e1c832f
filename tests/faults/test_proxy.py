"""The proxy does to the bytes what it says: otherwise the faults that it is used for would not be tested."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from tests.faults.proxy import Proxy, Trap, Weather


def echo(listener: socket.socket) -> None:
    """Send back what comes, on each connection; ends with its listener."""
    while True:
        try:
            end, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(end,), daemon=True).start()


def answer(end: socket.socket) -> None:
    with end:
        try:
            while data := end.recv(4096):
                end.sendall(data.upper())
        except OSError:
            return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with TemporaryDirectory(prefix="taskq-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "echo.sock"
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        with closing(Proxy(path)) as proxy:
            yield proxy
        listener.shutdown(socket.SHUT_RDWR)


def connect(proxy: Proxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port), 10)
    client.settimeout(10)
    return client


def say(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    said = b""
    while len(said) < len(words):
        portion = client.recv(4096)
        if not portion:
            break
        said += portion
    return said


def test_bytes_pass_and_come_back(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert say(client, b"hello") == b"HELLO"


def test_a_reset_ends_every_connection_and_new_ones_work(proxy: Proxy) -> None:
    with connect(proxy) as client:
        say(client, b"hello")
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError):
            client.recv(10)
    with connect(proxy) as client:
        assert say(client, b"again") == b"AGAIN"


def test_a_half_open_connection_is_silent(proxy: Proxy) -> None:
    with connect(proxy) as client:
        say(client, b"hello")
        assert proxy.half_open() == 1
        client.sendall(b"anybody?")
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(10)


def test_what_is_sent_while_it_stalls_arrives_afterwards(proxy: Proxy) -> None:
    with connect(proxy) as client:
        with proxy.stalled():
            client.sendall(b"late")
            client.settimeout(0.05)
            with pytest.raises(TimeoutError):
                client.recv(10)
        client.settimeout(10)
        assert client.recv(10) == b"LATE"


def test_while_it_refuses_nobody_listens(proxy: Proxy) -> None:
    with proxy.refusing(), pytest.raises(ConnectionRefusedError):
        connect(proxy)
    with connect(proxy) as client:
        assert say(client, b"back") == b"BACK"


def test_bytes_drip(proxy: Proxy) -> None:
    with proxy.slow(Weather(delay=0.01, drip=1)), connect(proxy) as client:
        client.sendall(b"drop by drop")
        assert b"DROP BY DROP".startswith(client.recv(8))
        client.settimeout(10)
        assert say(client, b"") == b""


@pytest.mark.parametrize("way", ["request", "reply"])
def test_a_cut_lets_a_part_of_the_next_bytes_through(proxy: Proxy, way: str) -> None:
    with connect(proxy) as client:
        say(client, b"hello")
        cut = 0
        while not cut:
            cut = proxy.cut_some(way, Random(7))  # type: ignore[arg-type]
        with pytest.raises((ConnectionResetError, AssertionError)):
            assert say(client, b"0123456789" * 10) == b"0123456789" * 10


def test_a_trap_lets_the_request_be_carried_out_and_cuts_its_reply(proxy: Proxy) -> None:
    seen: list[bytes] = []
    with connect(proxy) as client, proxy.trap(Trap("request", b"bait", cut=True, spring=seen.append)) as trap:
        assert say(client, b"other") == b"OTHER"
        client.sendall(b"the bait")
        with pytest.raises(ConnectionResetError):
            client.recv(10)
        assert trap.sprung.wait(10)
    assert seen == [b"THE BAIT"]


def test_a_trap_that_does_not_cut_only_looks(proxy: Proxy) -> None:
    with connect(proxy) as client, proxy.trap(Trap("reply", b"BAIT", cut=False)) as trap:
        assert say(client, b"the bait") == b"THE BAIT"
        assert trap.sprung.is_set()
        assert say(client, b"the bait") == b"THE BAIT"
