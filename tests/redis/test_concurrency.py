"""Tasks that have a limit: which of their jobs may run, in which order, and what death and repetition do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NoReturn

import pytest

from taskq import TaskQ
from taskq.broker import calls
from taskq.broker.call import Call
from taskq.clock import SYSTEM_CLOCK
from taskq.codec import decode_job
from taskq.errors import BrokerUnavailable, ConfigError
from taskq.executor.chunks import ChunkTask
from taskq_workers.admission import Limits
from taskq_workers.runner import Runner, declaration_of
from tests.redis.test_exchange import EPOCH, Stage
from tests.redis.test_hot_path import billed
from tests.support.bench import ROUTE, Bench, ids, members, names
from tests.support.census import one_place, take_census
from tests.support.until import until

TASK = "tasks.limited"


class Door:
    """Two may run at a time, where nothing else is said."""

    def __init__(self, bench: Bench):
        self.bench = bench

    def admit(self, jobs: str, epoch: str = "w1", limit: int = 2, route: str = ROUTE) -> str:
        return names(self.bench.run(calls.admit(epoch, TASK, limit, members(jobs, route))))

    def advance(self, jobs: str = "", epoch: str = "w1", limit: int = 2) -> int:
        return self.bench.run(calls.advance(epoch, TASK, limit, ids(jobs)))

    def end(self, jobs: str, epoch: str = "w1") -> None:
        self.advance(jobs, epoch)
        assert self.bench.commit(jobs, epoch) == ""

    def waiting(self) -> str:
        return names(self.bench.ask("ZRANGE", self.bench.broker.key("limited", TASK), 0, -1))

    def permits(self) -> int:
        return int(self.bench.ask("HLEN", self.bench.broker.key("permits", TASK)))


@pytest.fixture
def door(bench: Bench) -> Door:
    return Door(bench)


def test_as_many_as_the_limit_may_run_and_the_others_wait_as_delayed(bench: Bench, door: Door) -> None:
    bench.hold("a b c d")
    assert door.admit("a b c d") == "a b"
    assert (bench.held(), set(bench.aside("delayed")), door.waiting()) == ("a b", {"c", "d"}, "c d")


def test_when_one_ends_the_next_goes_to_the_head_of_its_line_and_has_its_place(bench: Bench, door: Door) -> None:
    bench.hold("a b c d")
    door.admit("a b c d")
    bench.enqueue("new")
    bench.hear()
    door.end("a")
    assert (bench.line(), door.waiting()) == ("c new", "d")
    assert bench.hear()
    bench.enqueue("other")
    assert bench.claim(io=3) == "c new other"
    assert door.admit("new other") == ""
    assert door.admit("c") == "c"
    assert door.waiting() == "d new other"


def test_many_that_end_at_once_call_in_as_many_in_order(bench: Bench, door: Door) -> None:
    bench.hold("a b c d e")
    door.admit("a b c d e")
    door.end("a b")
    assert (bench.line(), door.waiting()) == ("c d", "e")


def test_a_free_place_is_not_given_away_twice(bench: Bench, door: Door) -> None:
    bench.hold("a b c d e")
    door.admit("a b c d e")
    door.end("a")
    door.end("b")
    door.advance()
    assert (bench.line(), door.permits()) == ("d c", 2)


def test_calls_that_are_sent_twice_change_nothing(bench: Bench, door: Door) -> None:
    bench.hold("a b c d")
    assert door.admit("a b c d") == door.admit("a b c d") == "a b"
    assert (door.advance("a"), door.advance("a")) == (2, 2)
    assert (bench.line(), door.waiting()) == ("c", "d")
    assert bench.commit("a") == ""


def test_what_is_not_held_any_more_is_not_admitted(bench: Bench, door: Door) -> None:
    bench.hold("a b")
    bench.give_back("a")
    assert door.admit("a b") == "b"
    assert bench.line() == "a"


def test_a_job_whose_outcome_comes_too_late_does_not_end_the_permit_of_its_second_run(bench: Bench, door: Door) -> None:
    bench.register("w2")
    bench.hold("a")
    door.admit("a", limit=1)
    bench.reap("w1", "")
    assert bench.claim("w2") == "a"
    assert door.admit("a", "w2", limit=1) == "a"
    door.advance("a", "w1", limit=1)
    bench.hold("b", "w2")
    assert door.admit("b", "w2", limit=1) == ""


def test_jobs_of_a_process_that_died_keep_their_places_at_the_head_of_the_line(bench: Bench, door: Door) -> None:
    bench.register("w2")
    bench.hold("a b c d")
    door.admit("a b c d")
    bench.reap("w1", "a b")
    door.advance(epoch="")
    assert (bench.line(), door.waiting()) == ("a b", "c d")
    assert bench.claim("w2") == "a b"
    assert door.admit("a b", "w2") == "a b"


def test_a_place_that_is_kept_for_a_job_of_a_dead_process_is_free_if_that_does_not_come(
    bench: Bench, door: Door
) -> None:
    bench.register("w2")
    bench.hold("a")
    door.admit("a", limit=1)
    bench.reap("w1", "")
    door.advance(epoch="", limit=1)
    bench.hold("b", "w2", route="default:cpu")
    assert door.admit("b", "w2", limit=1, route="default:cpu") == ""
    bench.clock.advance(61)
    bench.beat(w2="")
    door.advance(epoch="", limit=1)
    assert bench.line("default:cpu") == "b"


def test_a_job_that_was_buried_with_its_process_leaves_its_place_to_the_next(bench: Bench, door: Door) -> None:
    bench.register("w2")
    bench.hold("a b c d")
    door.admit("a b c d")
    bench.ask("HSET", bench.broker.key("losses"), ids("a")[0], 2)
    bench.reap("w1", "a")
    door.advance(epoch="")
    assert bench.line() == "c b"


def test_nobody_has_to_say_that_a_process_died(bench: Bench, door: Door) -> None:
    bench.register("w2")
    bench.hold("a b c")
    door.admit("a b c")
    bench.reap("w1", "a b")
    bench.cancel("a b")
    bench.hold("d", "w2")
    assert door.admit("d", "w2") == "d"
    assert (bench.line().split()[-1], door.permits()) == ("c", 2)


def test_one_that_was_cancelled_while_it_waited_is_passed_over(bench: Bench, door: Door) -> None:
    bench.hold("a b c d")
    door.admit("a b c d")
    assert bench.cancel("c") == ["delayed"]
    door.end("a")
    assert (bench.line(), door.waiting()) == ("d", "")


def test_one_that_was_cancelled_when_its_turn_had_come_gives_it_up_as_soon_as_another_asks(
    bench: Bench, door: Door
) -> None:
    bench.hold("a b c d")
    door.admit("a b c d")
    door.end("a")
    bench.cancel("c")
    bench.hold("e")
    assert door.admit("e") == ""
    assert bench.line().split() == ["d"]


def test_those_that_wait_come_back_by_themselves_one_after_another_and_keep_their_turn(
    bench: Bench, door: Door
) -> None:
    jobs = [f"j{n}" for n in range(10)]
    bench.hold("a b " + " ".join(jobs))
    door.admit("a b " + " ".join(jobs))
    due = bench.aside("delayed")
    now = bench.clock.now()
    assert [round(due[job] - now) for job in jobs] == list(range(61, 71))
    bench.clock.advance(62)
    bench.beat(w1="")
    bench.promote()
    assert bench.claim() == "j0 j1"
    assert door.admit("j0 j1") == ""
    assert door.waiting() == " ".join(jobs)
    door.end("a")
    assert bench.line() == "j0"


def test_a_promise_to_who_does_not_come_runs_out(bench: Bench, door: Door) -> None:
    bench.hold("a b c d")
    door.admit("a b c d")
    door.end("a")
    assert bench.line() == "c"
    bench.clock.advance(61)
    bench.beat(w1="")
    bench.hold("e", route="default:cpu")
    door.admit("e", route="default:cpu")
    assert (bench.line(), door.permits()) == ("d c", 2)


# A worker process


@pytest.fixture
def app(redis_url: str) -> Iterator[TaskQ]:
    app = TaskQ(redis_url)
    yield app
    app.close()


class Works:
    """A limited task, another one, and a worker process that knows them and has eight slots."""

    def __init__(self, app: TaskQ):
        self.app = app
        self.limited = app.task(name=TASK, concurrency=2)(lambda number: number)
        self.free = app.task(name="tasks.free")(lambda: None)
        self.runner = Runner(app.tasks, EPOCH, size_limit=app.size_limit, clock=SYSTEM_CLOCK)
        limits = Limits({TASK: 2}, lambda body: declaration_of(app.tasks, decode_job(body, app.size_limit)))
        self.stage = Stage(app.broker, SYSTEM_CLOCK, 8, limits)

    def begun(self) -> list[str]:
        """What lies in the lane: the arguments of limited jobs, and "free"."""
        runs = [self.runner.open(job) for job in self.stage.io.jobs]
        return [str(run.envelope.args[0]) if run.envelope.args else "free" for run in runs]

    def has_begun(self, these: list[str]) -> bool:
        """Do these lie in the lane, after one more round?"""
        return self.step() == these

    def step(self, times: int = 1) -> list[str]:
        for _ in range(times):
            self.stage.step()
        return self.begun()


@pytest.fixture
def works(app: TaskQ) -> Iterator[Works]:
    works = Works(app)
    yield works
    works.stage.close()
    assert one_place(take_census(app.broker)) == []


def test_a_process_begins_no_more_than_the_limit_and_goes_on_with_other_tasks(works: Works) -> None:
    jobs = works.limited.enqueue_many([(n,) for n in range(20)])
    works.free.enqueue_many([()] * 3)
    assert works.step(6) == ["0", "1", "free", "free", "free"]
    assert [job.status() for job in jobs[:3]] == ["running", "running", "delayed"]


def test_the_next_begins_when_one_ends(works: Works) -> None:
    works.limited.enqueue_many([(n,) for n in range(5)])
    works.step(3)
    for left in (["1", "2"], ["2", "3"], ["3", "4"], ["4"], []):
        works.stage.finish(works.stage.io, "io")
        until(partial(works.has_begun, left))


def test_a_chunk_of_a_limited_task_counts_as_one_of_its_jobs(works: Works) -> None:
    works.limited.enqueue_many([(n,) for n in range(2)])
    chunk = ChunkTask(works.limited).enqueue([(7,), (8,)])
    assert works.step(3) == ["0", "1"]
    assert chunk.status() == "delayed"


def test_thousands_that_wait_cost_nothing_while_others_run(works: Works, redis_url: str) -> None:
    works.limited.enqueue_many([(n,) for n in range(2000)])
    works.step(400)
    assert works.step() == ["0", "1"]
    assert len(take_census(works.app.broker)["delayed"]["default"]) == 1998
    with billed(redis_url) as bill:
        works.step(20)
    assert bill.scripts == 0


def test_where_no_task_has_a_limit_no_body_is_looked_at(app: TaskQ) -> None:
    def refuse(_: bytes) -> NoReturn:
        raise AssertionError

    stage = Stage(app.broker, SYSTEM_CLOCK, 8, Limits({}, refuse))
    stage.enqueue("io", 3)
    stage.step()
    assert len(stage.io.jobs) == 3
    stage.close()


def test_jobs_whose_admission_was_not_heard_go_back_in_line_and_run_later(works: Works) -> None:
    works.limited.enqueue_many([(n,) for n in range(4)])
    exchange, ask = works.stage.exchange, works.stage.exchange._link.exchange
    lost = []

    def lose(*requests: Call[Any]) -> list[Any]:
        answers = ask(*requests)
        if requests[0].name == "admit" and not lost:
            lost.append(requests)
            raise BrokerUnavailable("the connection broke")
        return answers

    exchange._link.exchange = lose  # type: ignore[method-assign]
    works.step()
    assert lost
    assert works.begun() == []
    exchange._resume_at = 0.0
    until(partial(works.has_begun, ["0", "1"]))


@pytest.mark.parametrize("limit", [0, -1, 1001, 1.5, "2", True])
def test_a_limit_that_cannot_be_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"concurrency of task '.*' is .*\n  hint: 1 to 1000"):
        TaskQ().task(concurrency=limit)(lambda: None)
