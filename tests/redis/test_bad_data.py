"""What somebody else wrote into the namespace: no member, field or key of his stops a queue, and no job is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskq.app import TaskQ
from taskq.broker import calls, keys
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import MODEL, member_id, member_lane, member_route
from taskq.broker.link import Link
from taskq.broker.records import Beat
from taskq.codec import Envelope, encode_job
from taskq.errors import BrokerError, MalformedJob, TaskqError
from taskq.ids import show
from taskq.job import Job, cancelled_record
from taskq_workers.courier import Courier
from taskq_workers.waiting import readable
from tests.support.bench import Bench, body, job_id, member
from tests.support.clock import FakeClock
from tests.support.console import Console
from tests.support.fake import fake_broker

BROKEN_ROUTES = {
    "none": b"",
    "one word": b"default",
    "no lane": b"default:",
    "no queue": b":io",
    "unknown lane": b"default:gpu",
    "another line": b"other:cpu:9",
    "too many parts": b"default:io:5:5",
    "no UTF-8": b"\xff\xfe:\x80",
    "NUL and newline": b"de\0fault:i\no",
    "1 MB": b"q" * (1 << 20) + b":io",
}
MEMBERS = {
    "empty": b"",
    "short": b"short",
    "15 bytes": b"x" * 15,
    "an id": b"x" * 16,
    "no UTF-8": b"\xff" * 40,
    "1 MB": b"\xff" * (1 << 20),
}
each_route = pytest.mark.parametrize("route", BROKEN_ROUTES.values(), ids=BROKEN_ROUTES)
each_member = pytest.mark.parametrize("bad", MEMBERS.values(), ids=MEMBERS)
ZSETS = ("delayed", "parked", "dead")


@pytest.fixture
def bench(broker: Broker, clock: FakeClock) -> Bench:
    """Without the look at the end: what somebody else wrote contradicts the model."""
    return Bench(broker, clock)


def store(bench: Bench, name: str) -> None:
    """A body without a place."""
    bench.ask("HSET", bench.broker.key("jobs"), job_id(name), body(name))


# Members in ready lists


@each_member
def test_a_member_without_a_body_is_passed_over_and_gone(bench: Bench, bad: bytes) -> None:
    bench.ask("RPUSH", bench.broker.key("ready", "default:io"), bad, bad)
    bench.enqueue("a")
    assert bench.claim() == "a"
    assert bench.line() == ""


def test_an_id_of_fewer_than_16_bytes_is_no_job_even_with_a_body(bench: Bench) -> None:
    bench.ask("HSET", bench.broker.key("jobs"), b"short", b"body")
    bench.ask("RPUSH", bench.broker.key("ready", "default:io"), b"short")
    assert bench.claim() == ""
    assert bench.held() == ""


@each_route
def test_a_job_in_line_under_a_broken_route_has_that_of_its_line(bench: Bench, route: bytes) -> None:
    store(bench, "a")
    bench.ask("RPUSH", bench.broker.key("ready", "default:io"), job_id("a") + route)
    (job,) = bench.claim_all().jobs
    assert (job.member, job.body) == (member("a"), body("a"))
    assert bench.commit("a") == ""
    assert bench.place("a") == "done"


def test_a_member_that_stands_in_line_twice_has_one_outcome(bench: Bench) -> None:
    bench.enqueue("a")
    bench.ask("RPUSH", bench.broker.key("ready", "default:io"), member("a"), member("a"))
    assert bench.claim() == "a a a"
    assert bench.commit("a") == ""
    assert bench.commit("a", record=b"another") == "a"
    assert bench.stored("result", "a") == b"ok"


# Members elsewhere


HERE = {name: route for name, route in BROKEN_ROUTES.items() if name != "another line"}
each_unserved_route = pytest.mark.parametrize("route", HERE.values(), ids=HERE)


@each_unserved_route
def test_a_job_held_under_a_broken_route_comes_back_in_a_line_that_is_served(bench: Bench, route: bytes) -> None:
    store(bench, "a")
    bench.register("w2")
    bench.ask("ZADD", bench.broker.key("held", "w2"), 0, job_id("a") + route)
    assert bench.reap("w2").given_back == 1
    assert bench.claim() == "a"


@each_unserved_route
def test_a_job_delayed_under_a_broken_route_comes_in_a_line_that_is_served(bench: Bench, route: bytes) -> None:
    store(bench, "a")
    bench.ask("ZADD", bench.broker.key("delayed", "default"), 0, job_id("a") + route)
    bench.ask("SADD", bench.broker.key("queues"), b"default")
    assert bench.promote() is None
    assert bench.claim() == "a"


@each_member
def test_what_no_job_is_leaves_the_hands_of_a_worker(bench: Bench, bad: bytes) -> None:
    bench.register("w2")
    bench.hold("a", "w2")
    bench.ask("ZADD", bench.broker.key("held", "w2"), -1, bad)
    assert bench.run(calls.give_back("w2", [bad])) == 1
    bench.ask("ZADD", bench.broker.key("held", "w2"), -1, bad)
    assert bench.reap("w2", started="a").left == 0
    assert bench.claim() == "a"
    assert bench.line() == ""


@each_member
@pytest.mark.parametrize("write", ["commit", "retry", "bury", "park"])
def test_whatever_is_held_can_be_settled(bench: Bench, write: str, bad: bytes) -> None:
    bench.ask("ZADD", bench.broker.key("held", "w1"), 0, bad)
    call = {
        "commit": calls.commit("w1", [(bad, 60, "b1", b"r")]),
        "retry": calls.retry("w1", [(bad, 1, b"h")]),
        "bury": calls.bury("w1", [(bad, b"r", b"h")]),
        "park": calls.park("w1", 600, [bad]),
    }[write]
    assert bench.run(call) == ()
    assert bench.held() == ""


@each_member
def test_a_member_aside_that_is_no_job_neither_stops_promotion_nor_stays(bench: Bench, bad: bytes) -> None:
    bench.enqueue("a", delay=1)
    for row in ("delayed", "parked"):
        bench.ask("ZADD", bench.broker.key(row, "default"), 0, bad)
    bench.clock.advance(2)
    assert bench.promote() is None
    assert bench.claim() == "a"
    assert bench.line() == ""


@each_member
def test_a_parked_member_that_is_no_job_can_be_looked_at(bench: Bench, bad: bytes) -> None:
    bench.ask("ZADD", bench.broker.key("parked", "default"), 1e15, bad)
    (found,) = bench.run(calls.adopt("w1", 0, ["default"])).parked
    assert found == (bad, b"")
    assert member_lane(bad) == "io"
    assert bench.run(calls.unpark("w1", 0, [bad])).jobs == ()


@each_route
def test_python_and_lua_read_a_broken_route_alike(bench: Bench, route: bytes) -> None:
    bad = job_id("a") + route
    bench.ask("ZADD", bench.broker.key("held", "w1"), 0, bad)
    bench.run(calls.park("w1", 600, [bad]))
    queue = keys.route_queue(member_route(bad))
    assert bench.ask("ZSCORE", bench.broker.key("parked", queue), bad) is not None


# Fields that are no numbers


@pytest.mark.parametrize("garbage", [b"", b"many", b"-1", b"nan", b"inf", b"1e999", b"9" * 400, b"\xff\0"])
def test_no_field_that_should_be_a_number_stops_anything(bench: Bench, garbage: bytes) -> None:
    bench.enqueue("a b")
    bench.hold("c", "w1", route="other:io")
    minute = f"{int(bench.clock.now() // 60)}"
    for queue in ("default", "other"):
        for field in ("done", "dead", "enqueued", "retried", "b3"):
            bench.ask("HSET", bench.broker.key("stats", f"{queue}:{minute}"), field, garbage)
    for name in "abc":
        bench.ask("HSET", bench.broker.key("losses"), job_id(name), garbage)
    bench.ask("HSET", bench.broker.key("clock"), "beat", garbage)
    assert bench.beat(w1="c").lost == ()
    assert bench.reap("w1", started="c").given_back == 1
    assert bench.stored("losses", "c") == b"1"
    bench.register("w2")
    assert [job.losses for job in bench.claim_all("w2").jobs] == [0, 0]
    assert (bench.commit("a", "w2"), bench.bury("b", "w2")) == ("", "")
    assert bench.run(calls.locate(job_id("c"), "other:io")).losses == 1
    assert {row.name for row in bench.run(calls.overview())} == {"default", "other"}


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"x" * 100_000])
def test_names_of_no_text_are_read_and_sent_back_as_they_are(bench: Bench, garbage: bytes) -> None:
    bench.ask("ZADD", bench.broker.key("workers"), 1, garbage)
    bench.ask("HSET", bench.broker.key("worker", garbage), "started", garbage, garbage, garbage)
    bench.ask("SADD", bench.broker.key("queues"), garbage)
    bench.ask("HSET", bench.broker.key("config", garbage), "paused", garbage)
    bench.ask("HSET", bench.broker.key("awaited"), job_id("a"), garbage)
    bench.hold("a")
    assert len(bench.run(calls.holdings())) == 2
    assert len(bench.run(calls.overview())) == 2
    assert bench.commit("a") == ""
    victim = bench.beat(w1="").victim
    assert garbage == b"" or victim is not None
    bench.reap(victim or "")
    assert [row.epoch for row in bench.run(calls.holdings())] == ["w1"] or garbage == b""


# Records and histories


@pytest.mark.parametrize("stored", [b"no record", b"\x90", cancelled_record("a", 1.0)[:-1], b"\xff" * 1000])
def test_a_record_that_cannot_be_decoded_is_a_clear_error(bench: Bench, stored: bytes) -> None:
    app = TaskQ(clock=bench.clock)
    app.use(bench.broker)
    bench.ask("SET", bench.broker.key("result", job_id("a")), stored)
    job: Job[Any] = Job(app, job_id("a"), "default:io")
    for ask in (lambda: job.result(1), job.status):
        with pytest.raises(MalformedJob, match="cannot decode"):
            ask()
    app.use(fake_broker())
    app.close()


# Keys of another type

USED = {
    "jobs": lambda b: b.run(calls.enqueue("default:io", [(job_id("z"), b"z")])),
    "ready": lambda b: b.claim(),
    "held": lambda b: b.run(calls.give_back("w1", [member("a")])),
    "delayed": lambda b: b.promote(),
    "parked": lambda b: b.run(calls.adopt("w1", 0, ["default"])),
    "dead": lambda b: b.bury("h"),
    "losses": lambda b: b.reap("w1", started="h"),
    "attempts": lambda b: b.retry("h"),
    "workers": lambda b: b.beat(w1=""),
    "worker": lambda b: b.beat(w1=""),
    "fenced": lambda b: b.beat(w1=""),
    "clock": lambda b: b.beat(w1=""),
    "queues": lambda b: b.run(calls.overview()),
    "config": lambda b: b.claim(),
    "levels": lambda b: b.enqueue("z", route="default:io:9"),
    "profiles": lambda b: b.run(calls.profile(60.0, 10, [("shop.t", "io", "1 2 3")])),
}
AFTER = {"ready": "default:io", "held": "w1", "worker": "w1", **dict.fromkeys((*ZSETS, "config"), "default")}


@pytest.mark.parametrize("row", USED)
def test_a_key_of_another_type_is_named_and_nothing_is_lost(bench: Bench, row: str) -> None:
    use: Callable[[Bench], object] = USED[row]
    bench.hold("h")
    bench.enqueue("a")
    key, aside = bench.broker.key(row, AFTER.get(row, "")), b"{taskq}-aside"
    there = bench.ask("EXISTS", key)
    if there:
        bench.ask("RENAME", key, aside)
    bench.ask("SETEX", key, 1000, b"mine") if MODEL[row].type != "string" else None
    with pytest.raises(BrokerError) as caught:
        use(bench)
    assert str(caught.value).startswith(f"cannot use the key {key.decode()!r}: it is a string, and taskq keeps a")
    bench.ask("DEL", key)
    if there:
        bench.ask("RENAME", aside, key)
    use(bench)
    bench.reap("w1")
    bench.clock.advance(60)
    bench.promote()
    bench.register("w2")
    left = bench.claim("w2")
    assert "a" in left
    assert "h" in left or bench.place("h") == "dead"


def test_a_doorbell_of_another_type_is_named_too(bench: Bench) -> None:
    bell = bench.broker.key("wake", "default:io")
    bench.ask("SET", bell, b"mine")
    with pytest.raises(BrokerError, match=r"cannot use the key .*wake:default:io.*: it is a string"):
        bench.run(calls.doorbell([bell], 0.05))


def test_a_client_whose_list_is_none_stops_no_job(bench: Bench) -> None:
    bench.hold("a b")
    bench.wait_for("a", b"client-1")
    bench.wait_for("b", b"client-2")
    bench.ask("SET", bench.broker.key("reply", b"client-1"), b"mine")
    assert bench.commit("a b") == ""
    assert bench.told(b"client-2") == "b"


def test_a_call_that_redis_refuses_does_not_keep_the_others_of_a_supervisor_waiting(
    redis_url: str, clock: FakeClock
) -> None:
    bench = Bench(Broker(redis_url, now=clock.now), clock)
    bench.hold("a")
    bench.ask("SET", bench.broker.key("losses"), b"mine")
    told: list[object] = []
    courier = Courier(bench.broker, clock, 5.0, lambda _: None)
    courier.post(calls.reap("w1", b"lost", job_id("a")), told.append)
    courier.post(calls.heartbeat(15, 9, {}), told.append)
    while not told:
        if courier.waiting:
            readable([courier], 10)
            courier.read()
        clock.advance(2)
        courier.go()
    assert isinstance(told[0], Beat)
    assert courier.busy
    bench.broker.close()


# Answers that cannot be read


def test_an_answer_that_cannot_be_read_is_an_error_of_ours(broker: Broker) -> None:
    strange: Call[int] = Call("PING", (), int)
    with pytest.raises(BrokerError, match=r"cannot read what Redis answered to PING \(ValueError: "):
        broker.run(strange)
    link = Link(broker)
    (answer,) = link.exchange(strange)
    assert isinstance(answer, TaskqError)
    link.close()


# The command line


@pytest.fixture
def console(broker: Broker, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.chdir(tmp_path)
    return Console(broker, clock)


@pytest.mark.parametrize("terminal", [False, True])
def test_every_command_shows_what_is_no_job_without_an_error(bench: Bench, console: Console, terminal: bool) -> None:
    console.terminal = terminal
    bodies = [b"\xff", b"", encode_job(Envelope(task="t", args=(), kwargs={}, enqueued_at=1e300, route="q:io:x"))]
    for data in bodies:
        for index, route in enumerate(BROKEN_ROUTES.values()):
            bad = os.urandom(15) + bytes([index]) + route[:1000]
            bench.ask("HSET", bench.broker.key("jobs"), bad[:16], data)
            bench.ask("SET", bench.broker.key("result", bad[:16]), b"\xff")
            bench.ask("HSET", bench.broker.key("attempts"), bad[:16], b"\xff")
            bench.ask("RPUSH", bench.broker.key("ready", "default:io"), bad)
            for row in ZSETS:
                bench.ask("ZADD", bench.broker.key(row, "default"), 1e300, bad)
            bench.ask("ZADD", bench.broker.key("held", "w1"), index, bad)
    bench.ask("SADD", bench.broker.key("queues"), b"default", b"\xff\n\x1b[2J")
    bench.ask(
        "HSET", bench.broker.key("worker", "w1"), b"slots", b"\xff" * 9, b"started_at", b"soon", b"pid", b"\x1b[2J"
    )
    ids = list(bench.ask("HKEYS", bench.broker.key("jobs")))
    commands = [
        ["status"],
        ["queues", "list"],
        ["queues", "show", "default"],
        ["workers", "list"],
        ["dead", "list"],
        ["audit"],
        ["doctor"],
        *(["jobs", "list", "--state", state] for state in ("queued", "delayed", "parked", "dead", "running")),
        *(["jobs", "show", show(member_id(bad))] for bad in ids[:5]),
    ]
    for command in commands:
        for extra in ([], ["--json"]):
            said = console(*command, *extra)
            assert "fault of taskq" not in said.err, (command, said.err)
            assert said.code in (0, 1, 5), (command, said.err)
            assert all(line.isprintable() for line in said.out.replace("\t", " ").splitlines()), said.out
