"""The rights in docs/acl.md, read from there: each user can do its work on a real server, and nothing else."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from taskq import BrokenBarrier, TaskQ, exit_codes
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.cli.probe import live_workers
from taskq.errors import NotPermitted, QueueFull, WorkerLost
from taskq.job import cancelled_record
from tests.process import jobs
from tests.support.bench import ROUTE, Bench, body, job_id, member
from tests.support.census import ask, one_place, take_census
from tests.support.clock import FakeClock
from tests.support.console import Console
from tests.support.journal import Journal
from tests.support.servers import ask as tell
from tests.support.servers import binaries, server_or_skip
from tests.support.until import until
from tests.support.workers import Worker, worker

PAGE = Path(__file__).parents[2] / "docs" / "acl.md"
NAMESPACE = "taskq"
WAIT = 30


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that has the users of the page. `major`: its version."""

    url: str
    major: int

    def of(self, user: str) -> str:
        """The URL for a user."""
        number = ["worker", "producer", "reader", "operator"].index(user) + 1
        return self.url.replace("unix://", f"unix://taskq-{user}:CHANGE-ME-{number}@")


def lines(major: int) -> list[str]:
    """The commands of the page for this version, ready to be pasted."""
    title = "Redis 7.0 and later" if major >= 7 else "Redis 6.2"
    found = re.search(rf"^## {title}.*?^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1].splitlines()


@pytest.fixture(params=sorted(binaries()) or ["none"], scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    with server_or_skip(binaries().get(request.param)) as started:
        version = re.search(r"redis_version:(\d+)", tell(started.url, "INFO server"))
        assert version is not None
        for line in lines(int(version[1])):
            assert tell(started.url, line) == "+OK"
        yield Guarded(started.url, int(version[1]))


@pytest.fixture
def guarded(server: Guarded) -> Guarded:
    tell(server.url, "FLUSHALL")
    return server


@pytest.fixture
def root(guarded: Guarded) -> Iterator[Broker]:
    """A broker that may do everything."""
    with closing(Broker(guarded.url, NAMESPACE)) as broker:
        yield broker


def broker_of(guarded: Guarded, user: str) -> Any:
    return closing(Broker(guarded.of(user), NAMESPACE))


@pytest.mark.parametrize("major", [6, 7])
def test_the_page_names_four_users(major: int) -> None:
    users = [line.split()[2] for line in lines(major)]
    assert users == [f"taskq-{name}" for name in ("worker", "producer", "reader", "operator")]
    assert all(line.startswith("ACL SETUSER") for line in lines(major))


# What each can do


def test_a_worker_runs_jobs_with_retries_deaths_and_losses_and_a_producer_has_their_results(
    guarded: Guarded, root: Broker, journal: Journal
) -> None:
    with broker_of(guarded, "producer") as broker, worker(guarded.of("worker"), "--procs", "2") as started:
        jobs.app.use(broker)
        assert jobs.add.enqueue(1, 2).result(WAIT) == 3
        assert jobs.add.options(delay=0.1).enqueue(1, 3).result(WAIT) == 4
        assert jobs.app.gather(jobs.add.enqueue_many([(n, n) for n in range(20)]), WAIT) == [2 * n for n in range(20)]
        assert asyncio.run(jobs.app.agather([jobs.third_time_lucky.enqueue()], WAIT)) == [3]
        with pytest.raises(ValueError, match="bad image"):
            jobs.fail.enqueue("value").result(WAIT)
        with pytest.raises(WorkerLost):
            jobs.exit_now.enqueue().result(WAIT)  # it was lost three times, and ran alone
        started.signal(signal.SIGTERM)
        assert started.end() == 0
        assert "NOPERM" not in started.log()
        assert "refused" not in started.log()
    jobs.app.close()
    assert one_place(take_census(root)) == []


def test_every_script_of_a_worker_is_allowed(guarded: Guarded, root: Broker) -> None:
    clock = FakeClock()
    with closing(Broker(guarded.of("worker"), NAMESPACE, now=clock.now)) as broker:
        bench = Bench(broker, clock)
        bench.hold("a b c d e f")
        bench.hold("x", route="default:io:9")
        bench.hold("l m")
        assert bench.run(calls.admit("w1", "t", 1, [member("l"), member("m")])) == (member("l"),)
        assert bench.run(calls.advance("", "t", 1)) == bench.run(calls.advance("w1", "t", 1, [job_id("l")])) == 1
        assert bench.claim() == "m"
        assert bench.commit("l m") == ""
        assert bench.commit("a") == bench.retry("b") == bench.bury("c") == bench.park("d") == ""
        assert bench.give_back("e") == 1
        assert bench.unpark("d") == "d"
        bench.wait_for("d")
        bench.run(calls.adopt("w1", 0, ["default"]))
        bench.run(calls.poke("w1"))
        for task in ("shop.a", "shop.b"):  # the second in the place of the first
            bench.run(calls.profile(60, 1, [(task, "io", "1 2 3")]))
        assert bench.run(calls.doorbell([broker.key("poke", "w1")], 0.1))
        bench.beat(w1="f")
        clock.advance(20)
        bench.promote()
        bench.register("w2")
        bench.beat(w2="")
        assert bench.reap("w1", "f").given_back == 3
        assert bench.run(calls.pending(["default"]))
        assert bench.cancel("e") == ["queued"]
        ask(broker, "INFO")


def test_a_producer_enqueues_waits_looks_and_cancels(guarded: Guarded, root: Broker) -> None:
    with broker_of(guarded, "producer") as broker, closing(TaskQ()) as app:
        app.use(broker)
        task = app.task(name="tasks.noop")(lambda: None)
        named = task.options(job_id="once").enqueue()
        assert named.status() == "queued"
        parked, waiting, failed = (task.enqueue() for _ in range(3))
        bench = Bench(root, FakeClock())
        members = [job.member for job in bench.claim_all(io=4).jobs]
        root.run(calls.give_back("w1", members[:1]))
        root.run(calls.park("w1", 600, members[1:2]))
        root.run(calls.retry("w1", [(members[2], 600, b"1")]))
        root.run(calls.bury("w1", [(members[3], b"record", b"1")]))
        assert [named.cancel(), parked.cancel(), waiting.cancel(), failed.cancel()] == [True, True, True, False]
        assert task.options(priority=9, delay=60).enqueue().cancel()
    assert one_place(take_census(root)) == []


@pytest.mark.parametrize("user", ["worker", "producer"])
def test_a_worker_and_a_producer_take_locks_wait_for_them_and_meet_at_barriers(
    guarded: Guarded, root: Broker, user: str
) -> None:
    with broker_of(guarded, user) as broker, closing(TaskQ()) as app, closing(TaskQ()) as theirs:
        app.use(broker)
        theirs.use(root)
        lock, barrier = app.lock("x"), app.barrier("x", 2)
        with ThreadPoolExecutor(1) as pool:
            with theirs.lock("x"):
                assert not lock.acquire(timeout=0)
                waiting = pool.submit(lock.acquire)
                until(lambda: ask(root, "ZCARD", root.key("waiters", "lock:x")) == 1)
            assert waiting.result(WAIT)
            lock.release()
            with pytest.raises(BrokenBarrier):
                barrier.wait(timeout=0.01)
            barrier.reset()
            waiting_there = pool.submit(barrier.wait, WAIT)
            assert {theirs.barrier("x", 2).wait(WAIT), waiting_there.result(WAIT)} == {0, 1}
        dead = calls.acquire("lock:x", "dead@500.1/1/1", 0.001, new=True, wait=False)
        assert root.run(dead).number
        with app.lock("x", lease=0.5):  # a dead holder is disposed of
            broker.run(calls.renew(app.stakes.book.process, None, 7))


def test_a_producer_fills_a_bounded_queue_and_waits_for_the_room_that_a_worker_makes(
    guarded: Guarded, root: Broker
) -> None:
    with broker_of(guarded, "producer") as broker, closing(TaskQ()) as app:
        app.use(broker)
        app.queue("small", order="lifo", max_length=2)
        task = app.task(name="tasks.noop", queue="small")(lambda: None)
        first, second = task.enqueue(), task.options(priority=9).enqueue()
        with pytest.raises(QueueFull):
            task.options(queue_timeout=0.1).enqueue()
        Bench(root, FakeClock())
        with broker_of(guarded, "worker") as worker:
            claim = worker.run(calls.claim("w1", 0, {"io": 1}, ["small=2", "default=1"]))
        assert [job.member[:16] for job in claim.jobs] == [second.raw]
        third = task.options(queue_timeout=WAIT).enqueue()
        assert [first.status(), second.status(), third.status()] == ["queued", "running", "queued"]


READS = [
    ["status"],
    ["queues", "list"],
    ["queues", "show", "default"],
    ["jobs", "list"],
    ["jobs", "list", "--state", "dead"],
    ["jobs", "show", "{id}"],
    ["jobs", "show", "{dead}"],
    ["workers", "list"],
    ["dead", "list"],
    ["dead", "show", "{dead}"],
    ["audit"],
    ["doctor"],
]


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_a_reader_has_every_command_that_only_looks(
    guarded: Guarded, root: Broker, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(TaskQ()) as app:
        app.use(root)
        task = app.task(name="tasks.noop")(lambda: None)
        dead = task.enqueue()
        root.run(calls.register("w1", 60, {"host": "h", "queues": "default", "version": "1", "started_at": 1}))
        (claimed,) = root.run(calls.claim("w1", 0, {"io": 1}, ["default"])).jobs
        root.run(calls.bury("w1", [(claimed.member, cancelled_record("x", 1.0), b"")]))
        waiting = [task.enqueue(), task.options(delay=60).enqueue(), task.options(priority=9).enqueue()]
    before = take_census(root)
    with broker_of(guarded, "reader") as broker:
        said = Console(broker)(*[word.format(id=waiting[0].id, dead=dead.id) for word in command])
        assert said.code in (exit_codes.OK, exit_codes.FAILED), said.err
        assert "error" not in said.err
        assert said.out
    assert take_census(root) == before


def test_a_reader_is_told_of_health(guarded: Guarded, root: Broker) -> None:
    root.run(calls.register("w1", 60, {}))
    assert live_workers(guarded.of("reader"), NAMESPACE) == 1


def test_a_reader_waits_for_results(guarded: Guarded, root: Broker) -> None:
    if guarded.major < 7:
        pytest.skip("before Redis 7 a reader cannot wait")
    with broker_of(guarded, "reader") as broker, closing(TaskQ()) as app, closing(TaskQ()) as theirs:
        theirs.use(root)
        job = theirs.task(name="tasks.noop")(lambda: None).enqueue()
        app.use(broker)
        bench = Bench(root, FakeClock())
        (claimed,) = bench.claim_all(io=1).jobs

        async def wait() -> None:
            waiting = asyncio.create_task(app.job(job.id).aresult(WAIT))
            while not ask(root, "EXISTS", root.key("awaited")):
                await asyncio.sleep(0.01)
            root.run(calls.delete([(claimed.member[:16], ROUTE)]))
            root.run(calls.give_back("w1", [claimed.member]))
            assert job.cancel()
            with pytest.raises(Exception, match="cancelled"):
                await waiting

        asyncio.run(wait())


def test_an_operator_has_the_rest(
    guarded: Guarded, root: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bench = Bench(root, FakeClock())
    bench.hold("a")
    bench.bury("a")
    bench.enqueue("b c")
    with broker_of(guarded, "operator") as broker:
        console = Console(broker)
        for command in (
            ["dead", "retry", "--all", "--yes"],
            ["queues", "pause", "default"],
            ["queues", "resume", "default"],
            ["queues", "purge", "default", "--yes"],
            ["audit", "--repair", "--yes"],
        ):
            said = console(*command)
            assert "refused" not in said.err, said.err
            assert said.code == exit_codes.OK, said.err


# What each cannot do

ANYBODY: dict[str, Call[Any]] = {
    "flush everything": Call("FLUSHALL", (), bool),
    "flush the database": Call("FLUSHDB", (), bool),
    "list keys": Call("KEYS", ("*",), bool),
    "read the configuration": Call("CONFIG", ("GET", "*"), bool),
    "change the configuration": Call("CONFIG", ("SET", "maxmemory", "1"), bool),
    "read another namespace": Call("GET", (b"{other}:schema",), bool),
    "write another namespace": Call("SET", (b"{other}:schema", "1"), bool),
    "run scripts of the server's": Call("SCRIPT", ("FLUSH",), bool),
    "make users": Call("ACL", ("SETUSER", "me"), bool),
    "stop the server": Call("SHUTDOWN", ("NOSAVE",), bool),
    "send everything elsewhere": Call("REPLICAOF", ("127.0.0.1", "1"), bool),
}


@pytest.mark.parametrize("user", ["worker", "producer", "reader", "operator"])
@pytest.mark.parametrize("what", ANYBODY)
def test_nobody_may(guarded: Guarded, user: str, what: str) -> None:
    with broker_of(guarded, user) as broker, pytest.raises(NotPermitted) as caught:
        broker.run(ANYBODY[what])
    assert f"refused a command of user 'taskq-{user}': " in str(caught.value)
    assert "docs/acl.md" in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        calls.enqueue(ROUTE, [(job_id("new"), body("new"))]),
        calls.enqueue(ROUTE, [(job_id("new"), body("new"))], delay=5),
        calls.cancel([(job_id("a"), ROUTE)], b"record", 60),
        calls.delete([(job_id("a"), ROUTE)]),
        calls.purge(ROUTE),
        calls.pause("default", "me"),
        calls.register("w2", 60, {}),
        calls.claim("w1", 0, {"io": 1}, ["default"]),
    ],
    ids=lambda call: call.name,
)
def test_a_reader_changes_nothing(guarded: Guarded, root: Broker, call: Call[Any]) -> None:
    bench = Bench(root, FakeClock())
    bench.enqueue("a")
    before = take_census(root)
    with broker_of(guarded, "reader") as broker, pytest.raises(NotPermitted):
        broker.run(call)
    assert take_census(root) == before


@pytest.mark.parametrize(
    "call",
    [
        calls.register("w2", 60, {}),
        calls.heartbeat(60, 9, {"w1": b""}),
        calls.claim("w1", 0, {"io": 1}, ["default"]),
        calls.commit("w1", [(job_id("held") + ROUTE.encode(), 60, "b3", b"forged")]),
        calls.pause("default", "me"),
        Call("SET", (b"{taskq}:schema", "99"), bool),
    ],
    ids=lambda call: call.name,
)
def test_a_producer_is_no_worker(guarded: Guarded, root: Broker, call: Call[Any]) -> None:
    if guarded.major < 7:
        pytest.skip("before Redis 7 keys cannot be made read only")
    bench = Bench(root, FakeClock())
    bench.hold("held")
    bench.enqueue("a")
    with broker_of(guarded, "producer") as broker, pytest.raises(NotPermitted):
        broker.run(call)
    assert (bench.line(), bench.held()) == ("a", "held")


# What is said of it


def test_an_error_from_a_script_names_the_user_and_the_page(guarded: Guarded) -> None:
    with broker_of(guarded, "reader") as broker, pytest.raises(NotPermitted) as caught:
        broker.run(calls.pause("default", "me"))
    text = str(caught.value)
    assert re.search(r"refused a command of user 'taskq-reader': .*(script|no permissions)", text)
    assert text.endswith("\n  hint: the rights of workers, producers and readers are in docs/acl.md")
    assert "CHANGE-ME" not in text


@pytest.mark.parametrize("user", ["producer", "reader"])
def test_a_worker_that_may_not_be_one_says_so_and_ends(guarded: Guarded, user: str) -> None:
    if guarded.major < 7 and user == "producer":
        pytest.skip("before Redis 7 keys cannot be made read only")
    with Worker(guarded.of(user), "--procs", "1") as started:
        said = started.wait_for("cannot start")
        assert f"of user 'taskq-{user}'" in said["error"]
        assert started.end() != 0


def test_a_worker_that_may_not_hold_leases_says_so_and_ends(guarded: Guarded) -> None:
    tell(guarded.url, "ACL SETUSER taskq-worker -zrangebyscore")
    try:
        with Worker(guarded.of("worker"), "--procs", "1") as started:
            said = started.wait_for("cannot start", worker="supervisor")
            assert "of user 'taskq-worker'" in said["error"]
            assert started.end() == exit_codes.FAILED
    finally:
        tell(guarded.url, "ACL SETUSER taskq-worker +zrangebyscore")


def test_a_worker_that_loses_a_right_goes_on_when_it_has_it_back(guarded: Guarded, root: Broker) -> None:
    with closing(TaskQ()) as app, worker(guarded.of("worker"), "--procs", "1", "--lease", "1") as started:
        app.use(root)
        task = app.task(name="tests.process.jobs.add")(lambda x, y: 0)
        assert task.options(delay=0.05).enqueue(1, 1).result(WAIT) == 2  # the supervisor has been let do its work
        tell(guarded.url, "ACL SETUSER taskq-worker -zrangebyscore -lpop")
        started.wait_for("redis", who="supervisor", note="trying again until it answers")
        tell(guarded.url, "ACL SETUSER taskq-worker +zrangebyscore +lpop")
        started.wait_for("redis", who="supervisor", note="answers again")
        assert task.enqueue(1, 2).result(WAIT) == 3
