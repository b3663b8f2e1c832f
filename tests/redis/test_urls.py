"""Every form of a Redis URL leads to the server it means: TLS, users, sockets, sentinels, one node of a cluster."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import redis

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.connection import pool_for
from taskq.broker.link import Link, values
from taskq.broker.sentinels import parse
from taskq.broker.wire import FastWire, Wire
from taskq.clock import SYSTEM_CLOCK
from taskq.config import mask
from taskq.errors import BrokerError, BrokerUnavailable, ConfigError
from taskq_workers.waiting import readable
from tests.redis.test_cli_health import free_port
from tests.redis.test_exchange import Stage
from tests.support.bench import ROUTE, body, job_id
from tests.support.census import ask
from tests.support.servers import ask as tell
from tests.support.servers import server_or_skip

ENQUEUE = calls.enqueue(ROUTE, [(job_id("a"), body("a"))])


# TLS


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A URL of a server that speaks TLS, and the certificate to check it by."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate, port = folder / "key.pem", folder / "cert.pem", free_port()
    command = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([openssl, *command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    settings = {"tls_port": port, "tls_cert_file": certificate, "tls_key_file": key, "tls_ca_cert_file": certificate}
    with ExitStack() as stack:
        try:
            stack.enter_context(
                server_or_skip(tls_auth_clients="no", **{name: str(value) for name, value in settings.items()})
            )
        except ConfigError as error:
            pytest.skip(f"a server without TLS: {error}")
        yield f"rediss://localhost:{port}/0", certificate


@pytest.fixture(params=[FastWire, Wire], ids=["hiredis", "redis-py"])
def over_tls(request: pytest.FixtureRequest, secure: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A broker over TLS, by each kind of wire."""
    if request.param is Wire:
        monkeypatch.setattr("taskq.broker.wire._PLAIN", ())
    else:
        pytest.importorskip("hiredis")
    url, certificate = secure
    pool = pool_for(f"{url}?ssl_ca_certs={quote(str(certificate))}")
    # Some versions of redis-py ask nothing when they connect.
    pool.connection_kwargs["redis_connect_func"] = lambda connection: connection._parser.on_connect(connection)
    broker = Broker(url, pool=pool)
    assert type(broker.wire()) is request.param
    ask(broker, "FLUSHALL")
    yield broker
    broker.close()


def test_tls_carries_calls_and_pipelines_of_many_records(over_tls: Broker) -> None:
    jobs = [(job_id(f"job{number}"), bytes(60_000)) for number in range(40)]
    assert over_tls.run(calls.enqueue(ROUTE, jobs)) == 40
    with closing(Link(over_tls)) as link:
        _, claim = values(link.exchange(calls.register("w1", 60, {}), calls.claim("w1", 0, {"io": 40}, ["default"])))
        assert [len(job.body) for job in claim.jobs] == [60_000] * 40


def test_nothing_can_be_read_from_a_tls_connection_before_the_reply(over_tls: Broker) -> None:
    """TLS has words of its own for a new connection; who took them for the reply would stand still until it comes."""
    bell = over_tls.key("wake", "timer")
    with closing(Link(over_tls)) as link:
        link.send(calls.doorbell([bell], 2.0))
        assert readable([link], 0.3) == []
        ask(over_tls, "RPUSH", bell, b"1")
        assert readable([link], 2.0) == [link]
        assert link.receive() == [bell]


def test_the_loop_of_a_worker_process_works_over_tls(over_tls: Broker) -> None:
    with closing(Stage(over_tls, SYSTEM_CLOCK)) as stage:
        stage.step()
        for _ in range(3):
            enqueued = stage.enqueue("io", 1)
            while not stage.io.jobs:
                stage.exchange.step()
            stage.finish(stage.io, "io")
            while enqueued[0] not in stage.written_members:
                stage.step()


def test_a_certificate_that_nobody_trusts_is_refused(secure: tuple[str, Path]) -> None:
    url, _ = secure
    with closing(Broker(url)) as broker, pytest.raises(BrokerUnavailable, match="certificate verify failed"):
        broker.run(calls.ping())
    with closing(Broker(f"{url}?ssl_cert_reqs=none")) as broker:
        assert broker.run(calls.ping())


def test_a_certificate_for_another_host_is_refused(secure: tuple[str, Path]) -> None:
    url, certificate = secure
    other = url.replace("localhost", "127.0.0.1") + f"?ssl_ca_certs={quote(str(certificate))}"
    with closing(Broker(other)) as broker, pytest.raises(BrokerUnavailable, match=r"not valid for .127\.0\.0\.1."):
        broker.run(calls.ping())


def test_plain_words_to_a_tls_port_are_a_clear_error(secure: tuple[str, Path]) -> None:
    url, _ = secure
    plain = url.replace("rediss", "redis")
    with closing(Broker(plain)) as broker, pytest.raises(BrokerUnavailable, match=f"cannot reach Redis at {plain}"):
        broker.run(calls.ping())


# Users


@pytest.fixture
def user(redis_url: str) -> Iterator[str]:
    tell(redis_url, "ACL SETUSER anna on >s@f/e:1 ~* +@all")
    yield f"anna:{quote('s@f/e:1', safe='')}"
    tell(redis_url, "ACL DELUSER anna")


def test_a_user_and_a_password_may_stand_in_the_url_of_a_socket(redis_url: str, user: str) -> None:
    with closing(Broker(redis_url.replace("unix://", f"unix://{user}@"))) as broker:
        assert ask(broker, "ACL", "WHOAMI") == b"anna"


def test_a_wrong_password_says_whose_and_is_an_error_at_once(redis_url: str, user: str) -> None:
    with closing(Broker(redis_url.replace("unix://", "unix://anna:wrong@"))) as broker:
        with pytest.raises(BrokerError, match=r"refused user 'anna': .*invalid username-password") as caught:
            broker.run(ENQUEUE)
        assert not isinstance(caught.value, BrokerUnavailable)
        assert "wrong" not in str(caught.value)


# Sentinels


@pytest.mark.parametrize(
    ("url", "hosts", "server", "sentinel"),
    [
        ("sentinel://s1/main", [("s1", 26379)], "redis://h:1/", "redis://h:1/"),
        (
            "sentinel://u:p%40@s1:7,[::1]:8/main/3?sentinel_username=a&sentinel_password=b%26&socket_timeout=1",
            [("s1", 7), ("::1", 8)],
            "redis://u:p%40@h:1/3?socket_timeout=1",
            "redis://h:1/?username=a&password=b%26",
        ),
        (
            "sentinels://s1,s2/main?ssl_ca_certs=/ca",
            [("s1", 26379), ("s2", 26379)],
            "rediss://h:1/?ssl_ca_certs=%2Fca",
            "rediss://h:1/?ssl_ca_certs=%2Fca",
        ),
    ],
)
def test_a_sentinel_url_says_whom_to_ask_and_how_to_log_in(url: str, hosts: Any, server: str, sentinel: str) -> None:
    whom = parse(url)
    assert (list(whom.hosts), whom.service) == (hosts, "main")
    assert whom.server("h", 1).replace("/ca", "%2Fca") == server
    assert whom.sentinel("h", 1).replace("/ca", "%2Fca") == sentinel
    assert pool_for(url).make_connection()


def test_sentinels_and_servers_are_spoken_to_by_tls_where_the_url_says_so() -> None:
    pool: Any = pool_for("sentinels://s1,s2/main?ssl_ca_certs=/ca")
    asked = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
    assert [issubclass(each.connection_class, redis.SSLConnection) for each in (pool, *asked)] == [True] * 3
    assert {each.connection_kwargs["ssl_ca_certs"] for each in (pool, *asked)} == {"/ca"}
    assert all(each.connection_kwargs["ssl_check_hostname"] for each in (pool, *asked))


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://me:s3cret@s1:1",
        "sentinel:///main",
        "sentinel://me:s3/cret@s1/main",
        "sentinel://s1/main/s3cret",
        "sentinel://s1:s3cret/main",
        "sentinel://s1/main?sentinel_s3cret=1",
    ],
)
def test_a_sentinel_url_that_cannot_be_used_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"hint: sentinel://\[user:password@\]host:port,host:port/service"):
        Broker(url)


def test_a_sentinel_url_is_shown_without_its_passwords() -> None:
    shown = mask("sentinel://me:s3cret@s1:1,s2/main/0?sentinel_password=s3cret&sentinel_username=you")
    assert shown == "sentinel://me:***@s1:1,s2/main/0?sentinel_password=***&sentinel_username=you"


def test_sentinels_that_cannot_be_reached_are_one_line() -> None:
    why = r"by sentinel://:\*\*\*@localhost.*: no sentinel that answers"
    broker = Broker(f"sentinel://:s3cret@localhost:{free_port()}/main")
    with closing(broker), pytest.raises(BrokerUnavailable, match=why):
        broker.run(ENQUEUE)


# A cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, str]]:
    """The URLs of two nodes; the first has all slots."""
    ports = free_port(), free_port()
    urls = [f"redis://127.0.0.1:{port}/0" for port in ports]
    with ExitStack() as stack, closing(Broker(urls[0])) as first, closing(Broker(urls[1])) as second:
        for port in ports:
            stack.enter_context(server_or_skip(port=str(port), cluster_enabled="yes", cluster_port=str(free_port())))
        ask(first, "CLUSTER", "ADDSLOTS", *range(16384))
        ask(second, "CLUSTER", "MEET", "127.0.0.1", ports[0], _bus(first))
        _until_ok(first)
        _until_ok(second)
        yield urls[0], urls[1]


def _bus(node: Broker) -> int:
    return int(ask(node, "CONFIG", "GET", "cluster-port")[1])


def _until_ok(node: Broker) -> None:
    until = SYSTEM_CLOCK.monotonic() + 30
    while b"cluster_state:ok" not in ask(node, "CLUSTER", "INFO"):
        assert SYSTEM_CLOCK.monotonic() < until
        time.sleep(0.02)


def test_the_node_of_a_cluster_that_keeps_the_namespace_serves_it(cluster: tuple[str, str]) -> None:
    with closing(Broker(cluster[0])) as broker, closing(Link(broker)) as link:
        assert broker.run(ENQUEUE) == 1
        bells = [broker.key("wake", "default:cpu"), broker.key("wake", ROUTE)]
        _, bell, claim = values(
            link.exchange(
                calls.register("w1", 60, {}), calls.doorbell(bells, 1), calls.claim("w1", 0, {"io": 1}, ["default"])
            )
        )
        assert (bell, [job.body for job in claim.jobs]) == (bells[1], [body("a")])


@pytest.mark.parametrize("kind", [FastWire, Wire])
def test_another_node_of_the_cluster_says_where_the_namespace_is(
    cluster: tuple[str, str], kind: type[Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind is Wire:
        monkeypatch.setattr("taskq.broker.wire._PLAIN", ())
    address = urlsplit(cluster[0]).netloc
    why = rf"this namespace is kept by another: {address}\n  hint: give the URL"
    with closing(Broker(cluster[1])) as broker, pytest.raises(BrokerError, match=why):
        broker.run(ENQUEUE)
