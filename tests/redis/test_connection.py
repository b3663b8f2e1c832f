"""What travels, and what happens when the connection does not hold."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
import redis

from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.connection import pool_for
from taskq.broker.failures import translate
from taskq.broker.link import Link, values
from taskq.broker.reconnect import Reconnect
from taskq.config import mask
from taskq.errors import BrokerError, BrokerUnavailable, ConfigError, QueueFull
from tests.support.bench import ROUTE, Bench, body, job_id
from tests.support.census import ask
from tests.support.clock import FakeClock
from tests.support.servers import ask as tell
from tests.support.servers import server_or_skip

ENQUEUE = calls.enqueue(ROUTE, [(job_id("a"), body("a"))])
CLAIM = calls.claim("w1", 0, {"io": 1}, ["default"])


def echo(text: bytes) -> Call[bytes]:
    return Call("ECHO", (text,), bytes)


class Faults:
    """Replies that go wrong: each of `planned` is called in place of reading one, with what would read it."""

    def __init__(self) -> None:
        self.planned: list[Callable[[Callable[[], object]], object]] = []

    def pool(self, url: str) -> redis.ConnectionPool:
        """A pool whose connections have these faults, but not while they connect."""
        pool, faults = pool_for(url), self

        class Faulty(pool.connection_class):
            asked = 0

            def pack_commands(self, commands: Iterable[object]) -> object:
                self.asked += len(commands := list(commands))
                return super().pack_commands(commands)

            def read_response(self, *args: object, **options: object) -> object:
                def read() -> object:
                    return super(Faulty, self).read_response(*args, **options)

                if not self.asked:
                    return read()
                self.asked -= 1
                return faults.planned.pop(0)(read) if faults.planned else read()

        pool.connection_class = Faulty
        return pool


def lost(read: Callable[[], object]) -> object:
    """The server did what it was told to, but its answer got lost on the way."""
    read()
    raise redis.ConnectionError("the reply was cut")


def interrupted(read: Callable[[], object]) -> object:
    """Somebody stopped this thread before the answer came."""
    raise KeyboardInterrupt


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def faulty(redis_url: str, clock: FakeClock, faults: Faults) -> Iterator[Bench]:
    """A bench on a real server whose replies can be cut. The server knows the scripts already."""
    broker = Broker(redis_url, pool=faults.pool(redis_url), now=clock.now)
    bench = Bench(broker, clock)
    bench.hold("warm")
    bench.commit("warm")
    yield bench
    broker.close()


def kill(link: Link, broker: Broker) -> None:
    """Have the server close the connection of `link`."""
    (number,) = link.exchange(Call("CLIENT", ("ID",), int))
    assert broker.run(Call("CLIENT", ("KILL", "ID", number), int)) == 1


# Broker.run


def test_a_call_that_may_be_repeated_is_repeated_when_its_reply_is_lost(faulty: Bench, faults: Faults) -> None:
    faults.planned = [lost]
    assert faulty.run(ENQUEUE) == 0
    assert faulty.line() == "a"


def test_a_call_is_repeated_until_patience_is_over(faulty: Bench, faults: Faults) -> None:
    faults.planned = [lost] * 5
    assert faulty.run(echo(b"hello")) == b"hello"
    faults.planned = [lost] * 1000
    faulty.broker.patience = 0.3
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=r"the reply was cut\), and did not come back within 0\.3 s"):
        faulty.run(echo(b"hello"))
    assert time.monotonic() - began < 1
    assert 0 < len(faults.planned) < 999


def test_a_claim_is_not_repeated(faulty: Bench, faults: Faults) -> None:
    faulty.enqueue("a b")
    faults.planned = [lost]
    with pytest.raises(BrokerUnavailable):
        faulty.run(CLAIM)
    assert (faulty.held(), faulty.line()) == ("a", "b")


def test_a_pooled_connection_that_the_server_closed_is_replaced(faulty: Bench) -> None:
    assert faulty.run(calls.ping())
    other = redis.Redis.from_url(faulty.broker.url)
    assert other.client_kill_filter(_type="normal", skipme=True) >= 1
    other.close()
    assert faulty.enqueue("a") == 1


def test_an_interrupted_call_leaves_no_reply_for_the_next_caller(faulty: Bench, faults: Faults) -> None:
    faults.planned = [interrupted]
    with pytest.raises(KeyboardInterrupt):
        faulty.run(calls.doorbell([faulty.broker.key("wake", "silent:io")], block=0.05))
    assert faulty.run(echo(b"mine")) == b"mine"


def test_the_servers_refusal_is_an_error_in_our_words(broker: Broker) -> None:
    ask(broker, "SET", broker.key("jobs"), b"a string")
    with pytest.raises(
        BrokerError, match=r"cannot use the key .{taskq}:jobs.: it is a string, and taskq keeps a hash there"
    ):
        broker.run(ENQUEUE)
    assert broker.run(calls.ping())


def test_a_connection_to_a_primary_that_was_demoted_is_not_used_again() -> None:
    with server_or_skip() as server:
        broker = Broker(server.url)
        assert broker.run(calls.ping())
        tell(server.url, "REPLICAOF 127.0.0.1 1")
        broker.patience = 0.1
        with pytest.raises(BrokerUnavailable, match="read only"):
            broker.run(ENQUEUE)
        assert broker._idle == []
        tell(server.url, "REPLICAOF NO ONE")
        assert broker.run(ENQUEUE) == 1
        broker.close()


def test_a_link_to_a_primary_that_was_demoted_connects_anew() -> None:
    with server_or_skip() as server:
        broker = Broker(server.url)
        link = Link(broker)
        who: Call[int] = Call("CLIENT", ("ID",), int)
        (before,) = link.exchange(who)
        tell(server.url, "REPLICAOF 127.0.0.1 1")
        (refused,) = link.exchange(ENQUEUE)
        assert isinstance(refused, BrokerUnavailable)
        (after,) = link.exchange(who)
        assert after != before
        link.close()
        broker.close()


def test_a_flush_of_the_scripts_is_invisible(bench: Bench) -> None:
    bench.enqueue("a b")
    ask(bench.broker, "SCRIPT", "FLUSH")
    assert bench.claim() == "a b"
    ask(bench.broker, "SCRIPT", "FLUSH")
    assert bench.commit("a") == ""


def test_two_namespaces_on_one_server_know_nothing_of_each_other(redis_url: str) -> None:
    one, other = Broker(redis_url, "one"), Broker(redis_url, "other")
    assert (one.run(ENQUEUE), other.run(ENQUEUE)) == (1, 1)
    one.run(calls.purge(ROUTE))
    assert other.run(calls.locate(job_id("a"), ROUTE)).place == "queued"
    one.close()
    other.close()


def test_without_a_clock_of_the_tests_time_is_the_servers(redis_url: str) -> None:
    broker = Broker(redis_url)
    broker.run(calls.register("w1", 15, {}))
    seconds, _ = ask(broker, "TIME")
    assert float(ask(broker, "ZSCORE", broker.key("workers"), "w1")) / 1000 == pytest.approx(int(seconds) + 15, abs=2)
    broker.run(calls.enqueue(ROUTE, [(job_id("past"), b"")], eta=int(seconds) - 5))
    broker.run(calls.enqueue(ROUTE, [(job_id("future"), b"")], eta=int(seconds) + 500))
    assert broker.run(calls.promote(b"")) == pytest.approx(500, abs=2)
    assert [job.member for job in broker.run(CLAIM).jobs] == [job_id("past") + ROUTE.encode()]
    broker.close()


# Out of reach


@pytest.fixture
def nobody_listens() -> int:
    """A TCP port that refuses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unreachable(url: str) -> list[Callable[[], object]]:
    return [lambda: Broker(url).run(calls.ping()), lambda: Link(Broker(url)).exchange(calls.ping())]


@pytest.mark.parametrize("way", [0, 1], ids=["run", "link"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_port_where_nobody_listens_is_reported_within_two_seconds(nobody_listens: int, way: int, host: str) -> None:
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        unreachable(f"redis://me:s3cret@{host}:{nobody_listens}/0")[way]()
    assert time.monotonic() - started < 2
    assert str(caught.value) == f"cannot reach Redis at redis://me:***@{host}:{nobody_listens}/0 (connection refused)"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # redis-py 5.0 leaves a socket open
@pytest.mark.parametrize("way", [0, 1], ids=["run", "link"])
def test_a_socket_that_is_not_there_is_reported(way: int) -> None:
    with pytest.raises(BrokerUnavailable, match=r"unix:///nowhere/redis\.sock \(no such file or directory\)"):
        unreachable("unix:///nowhere/redis.sock")[way]()


def test_a_link_connects_only_when_it_is_used(nobody_listens: int) -> None:
    link = Link(Broker(f"redis://localhost:{nobody_listens}"))
    with pytest.raises(BrokerUnavailable):
        link.exchange(calls.ping())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost/0", "redis://localhost/0"),
        ("redis://:s3cret@localhost", "redis://:***@localhost"),
        ("redis://me:s3@cr:t@localhost:1/0", "redis://me:***@localhost:1/0"),
        ("redis://localhost?password=s3cret&db=1", "redis://localhost?password=***&db=1"),
        ("unix://:s3cret@/tmp/redis.sock", "unix://:***@/tmp/redis.sock"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert mask(url) == shown


@pytest.mark.parametrize("url", ["http://me:s3cret@localhost", "redis://me:s3/cret@localhost"])
def test_a_url_that_cannot_be_used_is_a_config_error_without_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Broker(url)
    assert "s3" not in str(caught.value)


# Link


@pytest.fixture
def link(broker: Broker) -> Iterator[Link]:
    link = Link(broker)
    yield link
    link.close()


def test_a_link_answers_several_calls_in_order(bench: Bench, link: Link) -> None:
    enqueued, claim, dropped = link.exchange(ENQUEUE, CLAIM, calls.bury("w1", []))
    assert (enqueued, len(claim.jobs), dropped) == (1, 1, ())


def test_an_error_stands_in_the_place_of_the_value_it_belongs_to(broker: Broker, link: Link) -> None:
    ask(broker, "SET", broker.key("jobs"), b"a string")
    first, refused, last = link.exchange(echo(b"1"), ENQUEUE, echo(b"3"))
    assert (first, last) == (b"1", b"3")
    assert isinstance(refused, BrokerError)
    with pytest.raises(BrokerError):
        values([first, refused, last])


def test_a_flush_of_the_scripts_is_invisible_to_a_link(bench: Bench, link: Link) -> None:
    link.exchange(ENQUEUE)
    ask(bench.broker, "SCRIPT", "FLUSH")
    (claim,) = link.exchange(CLAIM)
    assert [job.body for job in claim.jobs] == [body("a")]


def test_a_link_waits_only_while_a_reply_is_to_come(link: Link) -> None:
    assert not link.waiting
    link.send(calls.ping())
    assert link.waiting
    assert link.receive() == [True]
    assert not link.waiting


def test_a_link_can_be_waited_for_by_its_file_number(redis_url: str) -> None:
    link = Link(Broker(redis_url))
    assert link.files() == []
    link.send(calls.ping())
    assert link.fileno() > 0
    assert link.receive() == [True]
    assert link.files() == [link.fileno()]
    link.close()
    assert link.files() == []


def test_a_link_that_is_killed_repeats_nothing_and_connects_again(faulty: Bench) -> None:
    link = Link(faulty.broker)
    faulty.enqueue("a")
    kill(link, faulty.broker)
    with pytest.raises(BrokerUnavailable):
        link.exchange(CLAIM)
    assert not link.waiting
    assert faulty.held() == ""
    (claim,) = link.exchange(CLAIM)
    assert [job.body for job in claim.jobs] == [body("a")]
    link.close()


def test_a_claim_whose_reply_was_lost_is_found_by_adopt(faulty: Bench, faults: Faults) -> None:
    link = Link(faulty.broker)
    link.exchange(ENQUEUE)
    faults.planned = [lost]
    with pytest.raises(BrokerUnavailable):
        link.exchange(CLAIM)
    (adopted,) = link.exchange(calls.adopt("w1", 0, ["default"]))
    assert adopted.held == (job_id("a") + ROUTE.encode(),)
    link.close()


def test_the_wait_before_another_try_doubles_up_to_two_seconds() -> None:
    backoff = Reconnect()
    assert [round(backoff.failed(chance=1), 2) for _ in range(9)] == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2, 2]
    backoff.succeeded()
    assert backoff.failed(chance=0) == pytest.approx(0.01)


def test_a_doorbell_that_rings_is_named(bench: Bench, link: Link) -> None:
    bells = [bench.broker.key("wake", "default:cpu"), bench.broker.key("wake", ROUTE)]
    bench.enqueue("a")
    assert link.exchange(calls.doorbell(bells, 1)) == [bells[1]]
    assert link.exchange(calls.doorbell(bells, 0.01)) == [None]


def test_a_client_takes_what_it_was_told_in_two_calls(bench: Bench, link: Link) -> None:
    reply = bench.broker.key("reply", b"client-1")
    bench.hold("a b c")
    bench.wait_for("a b c")
    bench.commit("a b c")
    assert link.exchange(calls.told(reply, 1), calls.told_more(reply)) == [[job_id("a")], [job_id("b"), job_id("c")]]
    assert link.exchange(calls.told(reply, 0.01), calls.told_more(reply)) == [[], []]


def test_a_poke_wakes_the_fetcher_of_one_process(bench: Bench, link: Link) -> None:
    bell = bench.broker.key("poke", "w1")
    bench.run(calls.poke("w1"))
    assert link.exchange(calls.doorbell([bell], 1)) == [bell]


def test_info_is_a_dict_of_text(redis_url: str) -> None:
    broker = Broker(redis_url)
    assert broker.run(calls.info())["redis_mode"] == "standalone"
    broker.close()


# Errors of the server


def refused_with(reply: str) -> Call[None]:
    return Call("EVAL", (f"return redis.error_reply('{reply}')", 0), lambda _: None, again=False)


@pytest.mark.parametrize(
    "code",
    ["READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "BUSY", "UNBLOCKED", "MISCONF", "NOREPLICAS"],
)
def test_a_server_that_cannot_serve_just_now_is_unavailable(broker: Broker, code: str) -> None:
    with pytest.raises(BrokerUnavailable):
        broker.run(refused_with(f"{code} come back later"))


def test_a_server_without_memory_is_a_full_queue(broker: Broker) -> None:
    with pytest.raises(QueueFull):
        broker.run(refused_with("OOM command not allowed"))


def test_an_error_of_a_command_in_a_script_is_told_as_redis_6_wraps_it() -> None:
    wrapped = "Error running script (call to f_00ff): @user_script:49: @user_script: 49: -"
    full = translate(
        redis.ResponseError(wrapped + "OOM command not allowed when used memory > 'maxmemory'."), "redis://r"
    )
    passing = translate(
        redis.ResponseError(wrapped + "READONLY You can't write against a read only replica."), "redis://r"
    )
    assert (type(full), type(passing)) == (QueueFull, BrokerUnavailable)
