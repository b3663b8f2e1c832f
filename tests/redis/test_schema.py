"""Two versions of taskq on one namespace: whose data model is another one reads and writes nothing there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskq import TaskQ, exit_codes
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.keys import SCHEMA
from taskq.errors import SchemaMismatch
from tests.support.bench import Bench
from tests.support.census import ask, take_census
from tests.support.clock import FakeClock
from tests.support.console import Console

NEWER = rf"cannot work on namespace 'taskq': its data has schema {SCHEMA + 1} and this taskq speaks {SCHEMA}"


def add(x: int, y: int) -> int:
    return x + y


@pytest.fixture
def app(broker: Broker) -> Iterator[TaskQ]:
    app = TaskQ()
    app.use(broker)
    yield app
    app.close()


def set_schema(broker: Broker, schema: object) -> None:
    ask(broker, "SET", broker.key("schema"), str(schema))


def test_the_first_worker_writes_the_schema(broker: Broker) -> None:
    assert broker.run(calls.schema(broker.key("schema"))) == "1"
    assert broker.run(calls.register("w1", 15, {})) == str(SCHEMA)
    assert take_census(broker)["schema"] == {"": str(SCHEMA).encode()}


def test_data_from_before_there_was_a_schema_is_that_of_the_first(bench: Bench) -> None:
    bench.enqueue("a")
    bench.ask("DEL", bench.broker.key("schema"))
    bench.register("w2")
    assert bench.claim("w2") == "a"


@pytest.mark.parametrize("schema", [SCHEMA + 1, 0, "", "x" * 100, "1 "])
def test_a_worker_that_speaks_another_schema_is_not_registered_and_writes_nothing(
    broker: Broker, schema: object
) -> None:
    set_schema(broker, schema)
    before = take_census(broker)
    found = broker.run(calls.register("w1", 15, {"host": "h"}))
    assert found == str(schema)
    assert take_census(broker) == before
    assert broker.run(calls.claim("w1", 0, {"io": 1}, ["default"])).lease == "fenced"
    with pytest.raises(SchemaMismatch) as caught:
        broker.demand(found)
    assert len(str(caught.value)) < 250


def test_a_producer_sends_nothing_to_a_newer_namespace(broker: Broker, app: TaskQ) -> None:
    set_schema(broker, SCHEMA + 1)
    task = app.task(name="t")(add)
    for _ in range(2):
        with pytest.raises(SchemaMismatch, match=NEWER + r"\n  hint: upgrade taskq here, or another namespace"):
            task.enqueue(2, 3)
    with pytest.raises(SchemaMismatch, match=NEWER):
        asyncio.run(task.aenqueue(2, 3))
    assert not take_census(broker)["jobs"]
    set_schema(broker, SCHEMA)
    asyncio.run(task.aenqueue(2, 3))
    task.enqueue(2, 3)


def test_a_producer_asks_once_and_never_again(broker: Broker, app: TaskQ) -> None:
    task = app.task(name="t")(add)
    asked: list[str] = []
    run = broker.run
    broker.run = lambda call: asked.append(call.name) or run(call)  # type: ignore[method-assign, func-returns-value]
    task.enqueue(1, 2)
    task.enqueue(1, 2)
    assert asked == ["GET", "enqueue", "enqueue"]


@pytest.mark.parametrize("words", ["status", "jobs list", "dead retry --all --yes", "queues list"])
def test_a_command_refuses_a_newer_namespace(
    broker: Broker, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    set_schema(broker, SCHEMA + 1)
    said = Console(broker, clock)(*words.split())
    assert (said.code, said.out) == (exit_codes.FAILED, "")
    assert said.err.startswith("error: cannot work on namespace 'taskq'")


def test_who_may_not_ask_for_the_schema_goes_on(redis_url: str) -> None:
    admin = Broker(redis_url)
    ask(admin, "ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-get")
    try:
        blind = Broker(f"{redis_url}{'&' if '?' in redis_url else '?'}username=blind&password=pw")
        blind.check()
        assert blind.checked
        assert blind.run(calls.ping())
        blind.close()
    finally:
        ask(admin, "ACL", "DELUSER", "blind")
        admin.close()
