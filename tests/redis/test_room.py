"""Waiting for room in a full queue: who waits, for how long, and what wakes him."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from taskq import TaskQ, room
from taskq.app import cancelled_record
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.records import JobRow
from taskq.codec import decode_job
from taskq.errors import BrokerError, BrokerUnavailable, QueueFull
from taskq.tasks import Task
from taskq_workers.limits import raise_in
from tests.support.census import ask, one_place, take_census
from tests.support.gate import Gate, reset
from tests.support.inline import Inline

PATIENCE = 20.0


def keep(n: int) -> int:
    return n


def an_app(url: str) -> TaskQ:
    app = TaskQ(url)
    app.queue("small", max_length=3)
    app.task(name="keep", queue="small")(keep)
    return app


@pytest.fixture
def app(redis_url: str) -> Iterator[TaskQ]:
    app = an_app(redis_url)
    yield app
    census = take_census(app.broker)
    app.close()
    assert one_place(census) == []


@pytest.fixture
def task(app: TaskQ) -> Task[[int], int]:
    return app.tasks["keep"]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(8)
    yield pool
    pool.shutdown(wait=False)  # where a test has failed, some wait until the app is closed


def until_waiting(app: TaskQ, many: int = 1) -> None:
    """Until so many of this process wait for room."""
    rooms = app.rooms
    with rooms._changed:
        assert rooms._changed.wait_for(lambda: len(rooms._waiting["small"]) == many, PATIENCE)


def consume(app: TaskQ, many: int) -> list[int]:
    """Take so many jobs, and return the arguments they had."""
    worker = Inline(app, ["small"])
    claim = app.broker.run(calls.claim(worker._epoch, 0, {"io": many}, ["small"]))
    worker.finish(claim.jobs)
    return [decode_job(job.body, app.size_limit).args[0] for job in claim.jobs]


def order(app: TaskQ) -> list[int]:
    """The arguments of the jobs in line."""
    return [decode_job(row.body, app.size_limit).args[0] for row in rows(app)]


def rows(app: TaskQ) -> list[JobRow]:
    return app.broker.run(calls.browse("queued", "small", 0, 100))


# Waiting


def test_an_enqueue_to_a_full_queue_waits_until_a_worker_has_taken_a_job(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor
) -> None:
    task.enqueue_many([(1,), (2,), (3,)])
    late = threads.submit(task.enqueue, 4)
    until_waiting(app)
    assert consume(app, 1) == [1]
    assert late.result(PATIENCE).status() == "queued"
    assert order(app) == [2, 3, 4]


def test_who_waits_is_woken_and_does_not_look_again_and_again(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BLOCK", 4.0)
    monkeypatch.setattr(room, "ANSWER_TIMEOUT", 10.0)
    task.enqueue_many([(1,), (2,), (3,)])
    late = threads.submit(task.enqueue, 4)
    until_waiting(app)
    began = time.monotonic()
    consume(app, 1)
    late.result(PATIENCE)
    assert time.monotonic() - began < 2


def test_all_who_wait_get_in_when_there_is_room_for_all(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One claim rings once: each who was woken wakes the next."""
    monkeypatch.setattr(room, "BLOCK", 30.0)
    monkeypatch.setattr(room, "ANSWER_TIMEOUT", 10.0)
    task.enqueue_many([(1,), (2,), (3,)])
    late = [threads.submit(task.enqueue, n) for n in (4, 5, 6)]
    until_waiting(app, 3)
    consume(app, 3)
    for job in late:
        job.result(PATIENCE)
    assert sorted(order(app)) == [4, 5, 6]


def test_producers_of_several_processes_take_turns(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BLOCK", 30.0)
    monkeypatch.setattr(room, "ANSWER_TIMEOUT", 10.0)
    other = an_app(redis_url)
    task.enqueue_many([(1,), (2,), (3,)])
    late = [threads.submit(each.tasks["keep"].enqueue, n) for n, each in enumerate((app, other), start=4)]
    until_waiting(app)
    until_waiting(other)
    consume(app, 2)
    for job in late:
        job.result(PATIENCE)
    other.close()
    assert sorted(order(app)) == [3, 4, 5]


def test_many_jobs_go_in_as_there_is_room_in_their_order(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor
) -> None:
    sending = threads.submit(task.enqueue_many, [(n,) for n in range(10)])
    done: list[int] = []
    while len(done) < 10:
        done += consume(app, 2)
    assert done == list(range(10))
    assert app.gather(sending.result(PATIENCE), PATIENCE) == list(range(10))


def test_coroutines_wait_without_blocking_their_loop(app: TaskQ, task: Task[[int], int]) -> None:
    async def produce() -> list[int]:
        await asyncio.gather(*[task.aenqueue(n) for n in range(3)])
        late = [asyncio.create_task(task.aenqueue(n)) for n in range(3, 9)]
        done: list[int] = []
        while len(done) < 9:
            done += await asyncio.to_thread(consume, app, 2)
        await asyncio.gather(*late)
        return done

    assert sorted(asyncio.run(produce())) == list(range(9))


def test_a_coroutine_that_is_cancelled_does_not_enqueue_and_holds_nobody_up(app: TaskQ, task: Task[[int], int]) -> None:
    async def produce() -> None:
        await asyncio.to_thread(task.enqueue_many, [(1,), (2,), (3,)])
        first, second = asyncio.create_task(task.aenqueue(4)), asyncio.create_task(task.aenqueue(5))
        await asyncio.to_thread(until_waiting, app, 2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.to_thread(consume, app, 1)
        await second

    asyncio.run(produce())
    assert order(app) == [2, 3, 5]


def test_who_did_not_declare_the_bound_is_held_back_too(task: Task[[int], int], redis_url: str) -> None:
    task.enqueue_many([(1,), (2,), (3,)])
    stranger = TaskQ(redis_url)
    elsewhere = stranger.task(name="keep", queue="small")(keep)
    with pytest.raises(QueueFull):
        elsewhere.options(queue_timeout=0).enqueue(4)
    stranger.close()


def test_a_name_that_is_there_needs_no_room(task: Task[[int], int]) -> None:
    named = task.options(job_id="one", queue_timeout=0)
    first = named.enqueue(1)
    task.enqueue_many([(2,), (3,)])
    assert named.enqueue(1).raw == first.raw


def test_a_delayed_job_needs_no_room(task: Task[[int], int]) -> None:
    task.enqueue_many([(1,), (2,), (3,)])
    assert task.options(delay=60, queue_timeout=0).enqueue(4).status() == "delayed"


def test_a_purge_makes_room(app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor) -> None:
    task.enqueue_many([(1,), (2,), (3,)])
    late = threads.submit(task.enqueue, 4)
    until_waiting(app)
    app.broker.run(calls.purge("small:io"))
    late.result(PATIENCE)
    assert order(app) == [4]


def test_what_is_submitted_to_an_executor_waits_there_for_room(app: TaskQ, task: Task[[int], int]) -> None:
    with app.executor() as executor:
        futures = [executor.submit(task, n) for n in range(10)]
        done: list[int] = []
        while len(done) < 10:
            done += consume(app, 2)
        assert [future.result(PATIENCE) for future in futures] == done == list(range(10))


def test_what_waits_in_an_executor_for_room_can_be_cancelled(app: TaskQ, task: Task[[int], int]) -> None:
    task.enqueue_many([(1,), (2,), (3,)])
    with app.executor() as executor:
        first, second = executor.submit(task, 4), executor.submit(task, 5)
        until_waiting(app)
        assert first.cancel()
        done: list[int] = []
        while len(done) < 4:
            done += consume(app, 1)
        assert second.result(PATIENCE) == 5
    assert done == [1, 2, 3, 5]
    assert first.cancelled()


# Giving up


@pytest.mark.parametrize("way", ["thread", "coroutine"])
def test_who_does_not_want_to_wait_is_told_at_once(task: Task[[int], int], way: str) -> None:
    task.enqueue_many([(1,), (2,), (3,)])
    hasty = task.options(queue_timeout=0)
    with pytest.raises(QueueFull) as caught:
        hasty.enqueue(4) if way == "thread" else asyncio.run(hasty.aenqueue(4))
    assert str(caught.value) == (
        "cannot enqueue to queue 'small': it is full, 3 jobs are in line and its max_length is 3\n"
        "  hint: more workers for it, a larger max_length, or options(queue_timeout=...) to wait longer"
    )


@pytest.mark.parametrize("way", ["thread", "coroutine"])
def test_the_wait_ends_when_its_time_is_over(app: TaskQ, task: Task[[int], int], way: str) -> None:
    task.enqueue_many([(1,), (2,), (3,)])
    patient, began = task.options(queue_timeout="300ms"), time.monotonic()
    with pytest.raises(QueueFull, match="it is full after 300ms, 3 jobs"):
        patient.enqueue(4) if way == "thread" else asyncio.run(patient.aenqueue(4))
    assert 0.3 <= time.monotonic() - began < 5
    assert order(app) == [1, 2, 3]


def test_the_time_is_for_all_jobs_of_a_call_and_the_error_names_those_that_were_sent(
    app: TaskQ, task: Task[[int], int]
) -> None:
    with pytest.raises(QueueFull) as caught:
        task.options(queue_timeout="50ms").enqueue_many([(n,) for n in range(5)])
    assert order(app) == [0, 1, 2]
    assert [job.status() for job in caught.value.sent] == ["queued"] * 3
    assert {job.raw for job in caught.value.sent} == {row.member[:16] for row in rows(app)}


def test_who_tries_a_last_time_when_his_time_is_over_may_still_get_in(
    app: TaskQ, task: Task[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token of the room that he waits for went to another, who has died with it."""
    task.enqueue_many([(1,), (2,), (3,)])

    def nobody_rings(queue: str, seconds: float | None) -> bool:
        consume(app, 1)
        return False

    monkeypatch.setattr(app.rooms, "wait", nobody_rings)
    assert task.options(queue_timeout=1).enqueue(4).status() == "queued"


def test_a_token_that_comes_when_nobody_waits_here_any_more_goes_to_another(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BLOCK", 30.0)
    monkeypatch.setattr(room, "ANSWER_TIMEOUT", 10.0)
    other = an_app(redis_url)
    task.enqueue_many([(1,), (2,), (3,)])
    with pytest.raises(QueueFull):  # its connection goes on listening, ahead of all others
        other.tasks["keep"].options(queue_timeout="200ms").enqueue(4)
    late = threads.submit(task.enqueue, 5)
    until_waiting(app)
    consume(app, 1)
    late.result(PATIENCE)
    other.close()
    assert order(app) == [2, 3, 5]


def test_room_for_which_nobody_rings_is_found_all_the_same(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of an older taskq made it; or the token went to one who died with it."""
    monkeypatch.setattr(room, "BLOCK", 0.3)
    first, *_ = task.enqueue_many([(1,), (2,), (3,)])
    late = threads.submit(task.enqueue, 4)
    until_waiting(app)
    assert app.broker.run(calls.cancel([(first.raw, "small:io")], cancelled_record("1", 0.0), 60)) == ["queued"]
    assert ask(app.broker, "HDEL", app.broker.key("cancelled"), first.raw)
    assert ask(app.broker, "LPOP", app.broker.key("ready", "small:io"))
    assert late.result(PATIENCE).status() == "queued"


# Trouble


def test_a_connection_that_breaks_while_somebody_waits_is_made_anew(
    redis_url: str, threads: ThreadPoolExecutor
) -> None:
    gate = Gate(redis_url)
    app = an_app(gate.url)
    task: Task[[int], int] = app.tasks["keep"]
    task.enqueue_many([(1,), (2,), (3,)])
    late = threads.submit(task.enqueue, 4)
    until_waiting(app)
    with gate.shut(reset):
        pass
    consume(app, 1)
    assert late.result(PATIENCE).status() == "queued"
    assert order(app) == [2, 3, 4]
    app.close()
    gate.close()


@pytest.mark.parametrize("way", ["thread", "coroutine"])
def test_who_waits_hears_that_redis_is_gone(
    redis_url: str, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(Broker, "patience", 0.5)
    gate = Gate(redis_url)
    app = an_app(gate.url)
    task: Task[[int], int] = app.tasks["keep"]
    task.enqueue_many([(1,), (2,), (3,)])
    late: Future[Any] = (
        threads.submit(task.enqueue, 4) if way == "thread" else threads.submit(lambda: asyncio.run(task.aenqueue(4)))
    )
    until_waiting(app)
    with gate.refusing(), pytest.raises(BrokerUnavailable):
        late.result(PATIENCE)
    app.close()
    gate.close()


def test_who_waits_hears_that_the_app_was_closed(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor
) -> None:
    task.enqueue_many([(1,), (2,), (3,)])
    late = threads.submit(task.enqueue, 4)
    until_waiting(app)
    app.rooms.close()
    with pytest.raises(BrokerError, match="the app was closed"):
        late.result(PATIENCE)
    with pytest.raises(BrokerError, match="the app was closed"):
        task.enqueue(5)


def test_a_wait_is_interrupted_by_a_time_limit_when_somebody_is_woken(app: TaskQ, task: Task[[int], int]) -> None:
    """An exception that is set on a thread comes when its call returns: then nothing was sent."""
    task.enqueue_many([(1,), (2,), (3,)])
    raised: list[BaseException] = []

    def job() -> None:
        try:
            task.options(queue_timeout="1s").enqueue(4)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=job)
    thread.start()
    until_waiting(app)
    raise_in(thread.ident or 0)
    thread.join(PATIENCE)
    assert [type(error).__name__ for error in raised] == ["TimeLimit"]
    assert order(app) == [1, 2, 3]
    assert len(app.rooms._waiting["small"]) == 0


def test_a_cancelled_job_gives_its_place_away_once_a_worker_has_passed_it(
    app: TaskQ, task: Task[[int], int], threads: ThreadPoolExecutor
) -> None:
    jobs = task.enqueue_many([(1,), (2,), (3,)])
    assert app.broker.run(calls.cancel([(jobs[0].raw, "small:io")], cancelled_record("1", 0.0), 60)) == ["queued"]
    late = threads.submit(task.enqueue, 4)
    until_waiting(app)
    consume(app, 1)
    late.result(PATIENCE)
