"""`taskq health`: it speaks to Redis itself, over whatever the URL says."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from taskq import exit_codes
from taskq.broker import calls, embedded
from taskq.broker.broker import Broker
from taskq.cli.probe import live_workers
from taskq.clock import SYSTEM_CLOCK
from taskq.errors import BrokerError, BrokerUnavailable, ConfigError
from tests.support.console import Console
from tests.support.servers import free_port, server_or_skip

PASSWORD = "s/e:c@r&et"


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.chdir(tmp_path)
    return Console()


@contextmanager
def registered(url: str, *epochs: str, namespace: str = "taskq", lease: float = 60) -> Iterator[Broker]:
    """A namespace with these worker processes."""
    broker = Broker(url, namespace)
    try:
        for epoch in epochs:
            assert broker.run(calls.register(epoch, lease, {"started_at": SYSTEM_CLOCK.now()}))
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="module")
def guarded() -> Iterator[int]:
    """The TCP port of a server with a password, and a user with another."""
    port = free_port()
    with server_or_skip(port=str(port), requirepass=PASSWORD):
        broker = Broker(f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}")
        broker.run(calls.Call("ACL", ("SETUSER", "probe", "on", ">pw", "~*", "+@all"), lambda reply: reply))
        broker.close()
        yield port


# What it says


def test_a_living_worker_is_health(console: Console, redis_url: str) -> None:
    with registered(redis_url, "a", "b"):
        said = console("health", "--url", redis_url)
        assert (said.code, said.out, said.err) == (0, "ok: Redis answers, 2 worker processes are alive\n", "")
        data = console("health", "--json", "--url", redis_url).data
        assert {"ok": True, "redis": True, "workers": 2}.items() <= data.items()


def test_no_living_worker_is_none_unless_only_redis_is_asked_for(console: Console, redis_url: str) -> None:
    with registered(redis_url, "late", lease=-1), registered(redis_url, "other", namespace="other"):
        said = console("health", env={"TASKQ_URL": redis_url})
        assert (said.code, said.out) == (exit_codes.FAILED, "not ok: Redis answers, no worker process is alive\n")
        assert console("health", "--json", env={"TASKQ_URL": redis_url}).data["ok"] is False
        assert console("health", "--redis-only", "--url", redis_url).code == exit_codes.OK
        assert console("health", "--url", redis_url, "--namespace", "other").code == exit_codes.OK


def test_an_unreachable_redis_is_one_line(console: Console) -> None:
    said = console("health", "--url", "redis://:secret@localhost:1/0")
    assert (said.code, said.out) == (exit_codes.UNREACHABLE, "")
    assert said.err == "error: cannot reach Redis at redis://:***@localhost:1/0 (connection refused)\n"
    said = console("health", "--json", "--url", "redis://:secret@localhost:1/0")
    assert said.code == exit_codes.UNREACHABLE
    assert said.data == {"ok": False, "redis": False, "url": "redis://:***@localhost:1/0", "workers": None}


# Over what


@pytest.mark.parametrize(
    "url",
    [
        "redis://:{password}@127.0.0.1:{port}",
        "redis://:{password}@127.0.0.1:{port}/3",
        "redis://:{password}@localhost:{port}?db=3",
        "redis://default:{password}@127.0.0.1:{port}/0",
        "redis://probe:pw@127.0.0.1:{port}/1",
        "redis://127.0.0.1:{port}?password={password}",
        "redis://127.0.0.1:{port}/2?username=probe&password=pw",
    ],
)
def test_it_finds_what_a_worker_finds_at_the_same_url(guarded: int, url: str) -> None:
    url = url.format(password=quote(PASSWORD, safe=""), port=guarded)
    with registered(url, "a") as broker:
        assert live_workers(url, "taskq") == 1
        broker.run(calls.Call("FLUSHDB", (), lambda reply: reply))
        assert live_workers(url, "taskq") == 0


def test_a_socket_has_databases_too(redis_url: str) -> None:
    url = redis_url.replace("db=0", "db=2")
    with registered(url, "a") as broker:
        assert (live_workers(redis_url, "taskq"), live_workers(url, "taskq")) == (0, 1)
        broker.run(calls.Call("FLUSHDB", (), lambda reply: reply))


def test_the_embedded_server_is_asked_but_not_started(console: Console, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    url = f"embedded://{folder}"
    said = console("health", "--url", url)
    assert said.code == exit_codes.UNREACHABLE
    assert not folder.exists()
    if embedded.find_server() is None:
        pytest.skip(embedded.HINT)
    server = embedded.Server(folder)
    server.start()
    try:
        assert console("health", "--redis-only", "--url", url).code == exit_codes.OK
    finally:
        server.kill()
        server.leave()
        server.wait()


def test_tls_is_spoken_and_checked(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([openssl, *command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with speaking(key, certificate) as port:
        url = f"rediss://localhost:{port}"
        assert live_workers(f"{url}?ssl_ca_certs={quote(str(certificate))}", "taskq") == 7
        assert live_workers(f"{url}?ssl_cert_reqs=none", "taskq") == 7
        with pytest.raises(BrokerUnavailable, match="certificate verify failed"):
            live_workers(url, "taskq")


@contextmanager
def speaking(key: Path, certificate: Path) -> Iterator[int]:
    """The port of what speaks TLS and always has seven workers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    replies = {b"PING": b"+PONG\r\n", b"TIME": b"*2\r\n$1\r\n9\r\n$1\r\n0\r\n", b"ZCOUNT": b":7\r\n"}

    def serve() -> None:
        while True:
            try:
                line, _ = listener.accept()
                with context.wrap_socket(line, server_side=True) as secure, secure.makefile("rwb") as file:
                    for word in iter(file.readline, b""):
                        file.write(replies.get(word.rstrip(), b""))
                        file.flush()
            except ssl.SSLError:
                line.close()
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


# What goes wrong


def test_who_does_not_answer_in_time_counts_as_unreachable() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(BrokerUnavailable, match=r"cannot reach Redis at redis://127.0.0.1:\d+ \(no answer"),
    ):
        live_workers(f"redis://127.0.0.1:{silent.getsockname()[1]}", "taskq", patience=0.05)


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        (b"-LOADING Redis is loading\r\n", BrokerUnavailable, "cannot use Redis at .* now .LOADING"),
        (b"-NOAUTH Authentication required.\r\n", BrokerError, "refused a command: NOAUTH"),
        (b"HTTP/1.1 400 Bad Request\r\n", BrokerUnavailable, "what answers is no Redis"),
        (b"", BrokerUnavailable, "it hung up"),
    ],
)
def test_a_reply_that_is_none_is_an_error(said: bytes, error: type[Exception], text: str) -> None:
    def serve() -> None:
        line, _ = listener.accept()
        with line:
            line.recv(4096)
            line.sendall(said)
            line.shutdown(socket.SHUT_WR)
            line.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(error, match=text):
            live_workers(f"redis://127.0.0.1:{listener.getsockname()[1]}", "taskq")
        thread.join()


def test_a_wrong_password_is_refused_and_not_shown(guarded: int) -> None:
    with pytest.raises(BrokerError, match="refused a command: WRONGPASS") as caught:
        live_workers(f"redis://:wrong@127.0.0.1:{guarded}", "taskq")
    assert not isinstance(caught.value, BrokerUnavailable)
    assert ":wrong" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis://:pass/word@localhost:6379/0"])
def test_a_url_that_cannot_be_used_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot use the Redis URL"):
        live_workers(url, "taskq")
