"""What a job costs on its way, counted and not timed: scripts, commands inside them, and bytes to and from Redis.

These are the figures that a careless line changes first, and that no noise of a machine hides. Who makes them smaller
changes them here; who makes them larger has to say why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from taskq import TaskQ
from taskq.clock import SYSTEM_CLOCK
from taskq.tasks import BATCH, Task
from taskq_workers.runner import Runner
from tests.redis.test_exchange import EPOCH, Stage
from tests.support.clock import FakeClock
from tests.support.inline import Inline
from tests.support.servers import ask

_OUTPUT, _LENGTH = "total_net_output_bytes", "length of the text"


@dataclass
class Bill:
    """What Redis was asked to do. `scripts`: calls of scripts. `commands`: what those called, and what came bare."""

    scripts: int = 0
    commands: Counter[str] = field(default_factory=Counter)
    to_redis: int = 0
    from_redis: int = 0


@contextmanager
def billed(url: str) -> Iterator[Bill]:
    """The bill for what is done in the block. Two questions in a row tell what the questions themselves cost."""
    bill = Bill()
    _read(url)
    first, second = _read(url), _read(url)
    yield bill
    third = _read(url)
    cost = {name: 2 * second.get(name, 0) - first.get(name, 0) for name in second}
    cost[_OUTPUT] += second[_LENGTH] - first[_LENGTH]  # its text grows with the numbers in it
    grown = {name: value - cost.get(name, 0) for name, value in third.items() if name != _LENGTH}
    bill.to_redis, bill.from_redis = grown.pop("total_net_input_bytes"), grown.pop(_OUTPUT)
    bill.scripts = grown.pop("evalsha", 0)
    grown.pop("expire", None)  # where a new minute of counters has begun
    bill.commands = Counter({name: calls for name, calls in grown.items() if calls})


def _read(url: str) -> dict[str, int]:
    """The server's counters: calls by command, and bytes; and how long the text was in which it told them."""
    text = ask(url, "INFO ALL")
    lines = [line.partition(":") for line in text.splitlines()]
    found = {
        name: int(value) for name, _, value in lines if name.startswith("total_net_") and name.endswith("put_bytes")
    }
    found[_LENGTH] = len(text)
    for name, _, value in lines:
        if name.startswith("cmdstat_"):
            found[name.removeprefix("cmdstat_")] = int(value.partition(",")[0].removeprefix("calls="))
    return found


@pytest.fixture
def app(redis_url: str) -> Iterator[TaskQ]:
    app = TaskQ(redis_url)
    yield app
    app.close()


@pytest.fixture
def noop(app: TaskQ) -> Task[[], None]:
    """A task whose queue exists, whose script is loaded, and whose doorbell is silent."""

    def noop() -> None: ...

    task = app.task(name="tasks.noop")(noop)
    task.enqueue()
    ask(app.broker.url, "DEL {taskq}:wake:default:io")
    return task


def test_enqueue_is_one_script_of_nine_commands(redis_url: str, noop: Task[[], None]) -> None:
    with billed(redis_url) as bill:
        noop.enqueue()
    assert bill.scripts == 1
    assert bill.commands == {"exists": 3, "hsetnx": 1, "time": 1, "rpush": 2, "hexists": 1, "hincrby": 1}
    assert bill.to_redis < 210
    assert bill.from_redis < 10


def test_enqueue_many_is_a_script_for_five_hundred_and_two_commands_a_job(redis_url: str, noop: Task[[], None]) -> None:
    with billed(redis_url) as bill:
        noop.enqueue_many([()] * 2 * BATCH)
    assert bill.scripts == 2
    assert bill.commands.total() < 2 * 2 * BATCH + 20
    assert bill.to_redis / (2 * BATCH) < 80
    assert bill.from_redis < 20


def test_five_hundred_jobs_are_enqueued_claimed_and_committed_by_a_script_each_and_three_commands_a_job(
    redis_url: str, app: TaskQ, noop: Task[[], None]
) -> None:
    stage = Stage(app.broker, FakeClock(), io_slots=BATCH)
    runner = Runner(app.tasks, EPOCH, size_limit=app.size_limit, clock=SYSTEM_CLOCK)

    def work(jobs: int) -> None:
        """Until so many are written."""
        until = len(stage.written_members) + jobs
        while len(stage.written_members) < until:
            stage.step()
            for job in stage.io.jobs:
                run = runner.open(job)
                stage.outcomes.put(runner.settle(run, runner.call(run)))
            stage.io.jobs.clear()

    work(1)  # loads the scripts
    with billed(redis_url) as bill:
        noop.enqueue_many([()] * (BATCH - 1))
        work(BATCH - 1)
    stage.close()
    assert bill.scripts <= 4  # one more claim goes out to wait for the next jobs
    assert bill.commands["set"] == BATCH - 1
    assert bill.commands.total() < 3 * BATCH + 60
    assert bill.to_redis / BATCH < 200
    assert bill.from_redis / BATCH < 110


def test_results_of_five_hundred_jobs_are_one_script_and_a_command_each(
    redis_url: str, app: TaskQ, noop: Task[[], None]
) -> None:
    jobs = noop.enqueue_many([()] * BATCH)
    Inline(app).work()
    app.gather(jobs[:1], 10)  # loads the script
    with billed(redis_url) as bill:
        assert app.gather(jobs, 10) == [None] * BATCH
    assert bill.scripts == 1
    assert bill.commands.total() < BATCH + 10
    assert bill.from_redis / BATCH < 80
