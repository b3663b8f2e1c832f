"""An executor and its Redis: what is sent when, who is told of what, what becomes of futures where Redis is lost."""

from __future__ import annotations

import concurrent.futures as cf
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest

from taskq import TaskQ, TaskQExecutor
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.codec import Envelope, encode_job
from taskq.errors import (
    BadArguments,
    BrokerError,
    BrokerUnavailable,
    ConfigError,
    JobCancelled,
    JobNotFound,
    NotSerializable,
    ResultNotStored,
    TaskFailed,
    TooLarge,
    UnknownTask,
)
from taskq.executor.functions import enlist
from taskq.executor.future import JobFuture
from taskq.ids import new_id
from taskq.job import read
from taskq.lifecycle import PATIENCE as PARKED_FOR
from taskq.results import Mailbox
from taskq.tasks import BATCH
from taskq_workers.obituaries import UNKNOWN
from tests.process.calls import add, big, double, echo, fail, forget, is_prime, note, reciprocal, triple, unportable
from tests.support.census import one_place, take_census
from tests.support.clock import FakeClock
from tests.support.gate import Gate, silence
from tests.support.inline import Inline
from tests.support.servers import free_port

T = TypeVar("T")
WAIT = 20.0
MODULE = "tests.process.calls"


class SeenApp(TaskQ):
    """Tells of each call when it was carried: its name, and how many jobs there were then."""

    seen: SimpleQueue[tuple[str, int]]
    lost: frozenset[str] = frozenset()

    def carry(self, call: Call[T]) -> T:
        if call.name in self.lost:
            raise BrokerUnavailable(f"no {call.name} today")
        answer = super().carry(call)
        self.seen.put((call.name, len(take_census(self.broker)["jobs"].get("", {}))))
        return answer

    def until(self, name: str) -> int:
        """Wait until a call of this name was carried."""
        while True:
            call, jobs = self.seen.get(timeout=WAIT)
            if call == name:
                return jobs


@pytest.fixture
def app(broker: Broker, clock: FakeClock) -> Iterator[SeenApp]:
    app = SeenApp(executor_modules=[MODULE], clock=clock)
    app.seen = SimpleQueue()
    app.use(broker)
    enlist(app, "main")
    yield app
    assert one_place(take_census(broker)) == []
    app.close()


@contextmanager
def executor_of(app: TaskQ, *args: Any, **kwargs: Any) -> Iterator[TaskQExecutor]:
    """As `with app.executor()`; where the test fails it does not wait, so that the others get their turn."""
    executor = app.executor(*args, **kwargs)
    try:
        yield executor
        executor.shutdown()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def worker(app: SeenApp, clock: FakeClock) -> Inline:
    return Inline(app, clock=clock)


def stored(app: SeenApp) -> int:
    return len(take_census(app.broker)["jobs"].get("", {}))


def sent(app: SeenApp, executor: TaskQExecutor, *args: Any) -> JobFuture[Any]:
    """The future of a call that Redis has, and whose outcome is waited for."""
    future = executor.submit(*args)
    app.until("await")
    assert isinstance(future, JobFuture)
    return future


def error_of(future: Future[Any]) -> BaseException | None:
    """The error of a call for which nothing was sent."""
    assert future.done()
    return future.exception()


# What is sent


def test_a_call_is_a_job_and_its_future_has_the_handle(app: SeenApp, worker: Inline) -> None:
    with executor_of(app) as executor:
        future = sent(app, executor, add, 2, 3)
        assert (stored(app), future.job.status(), future.job.queue) == (1, "queued", "default")
        worker.work()
        assert (future.result(WAIT), future.job.result(WAIT)) == (5, 5)


def test_what_gathers_while_one_call_is_under_way_goes_in_the_next(app: SeenApp, worker: Inline) -> None:
    went, may_go = threading.Event(), threading.Event()

    class Slow(SeenApp):
        def carry(self, call: Call[T]) -> T:
            if call.name == "enqueue":
                went.set()
                assert may_go.wait(WAIT)
            return super().carry(call)

    slow = Slow(executor_modules=[MODULE], clock=app._clock)
    slow.seen = SimpleQueue()
    slow.use(app.broker)
    with executor_of(slow) as executor:
        first = executor.submit(add, 1)
        assert went.wait(WAIT)
        rest = [executor.submit(add, n) for n in range(BATCH)]
        may_go.set()
        with worker.serving():
            assert first.result(WAIT) == 1
            assert [future.result(WAIT) for future in rest] == list(range(BATCH))
    names = []
    while not slow.seen.empty():
        names.append(slow.seen.get()[0])
    assert names.count("enqueue") <= 3


def test_no_more_jobs_are_in_redis_than_max_workers(app: SeenApp, worker: Inline) -> None:
    with executor_of(app, 3) as executor:
        results = executor.map(add, range(50), timeout=WAIT)
        while app.until("await") < 3:
            pass
        with worker.serving():
            assert list(results) == list(range(50))
    depths = []
    while not app.seen.empty():
        name, jobs = app.seen.get()
        if name == "enqueue":
            depths.append(jobs)
    assert max(depths) <= 3


def test_arguments_are_taken_as_they_are_when_submitted(app: SeenApp, worker: Inline) -> None:
    with executor_of(app, 1) as executor:
        words = ["first"]
        first, second = executor.submit(echo, words), executor.submit(echo, words)
        words.append("later")
        with worker.serving():
            assert first.result(WAIT) == second.result(WAIT) == ((["first"],), {})


def test_tasks_keep_their_queue_and_options_and_functions_take_the_lane_of_the_executor(app: SeenApp) -> None:
    urgent: Any = app.task(name="mail", queue="mail")(note)
    with executor_of(app, pool="cpu") as executor, executor_of(app) as other:
        futures = [executor.submit(urgent.options(priority=9), "f", "x"), executor.submit(is_prime, 7)]
        futures += [executor.submit(triple, 7), other.submit(triple, 7), other.submit(is_prime, 7)]
        assert isinstance(error_of(futures[2]), ConfigError), "an async def has no place in the cpu lane"
        lines = [future.job.awaited[1] if isinstance(future, JobFuture) else "" for future in futures]
        for future in futures:
            future.cancel()
    assert lines == ["mail:io:9", "default:cpu", "", "default:async", "default:io"]


def test_async_functions_and_tasks_give_what_their_coroutine_returns(app: SeenApp, worker: Inline) -> None:
    task = app.task(double.declaration.func)
    with worker.serving(), executor_of(app) as executor:
        assert executor.submit(task, 2).result(WAIT) == 4
        assert executor.submit(triple, 2).result(WAIT) == 6
        assert list(executor.map(triple, range(5), chunksize=2)) == [0, 3, 6, 9, 12]


def test_a_chunk_is_one_job(app: SeenApp, worker: Inline) -> None:
    with executor_of(app) as executor:
        results = executor.map(add, range(10), range(10), chunksize=4)
        while app.until("await") < 3:
            pass
        assert worker.work() == 3
        assert list(results) == [2 * n for n in range(10)]


def test_the_function_of_a_registered_task_is_that_task(app: SeenApp, worker: Inline) -> None:
    task = app.task(retries=5)(reciprocal)
    with executor_of(app) as executor:
        future = sent(app, executor, reciprocal, 0)
        worker.work()
        assert (task.declaration.retries, future.job.status(), future.done()) == (5, "delayed", False)
        assert future.cancel()


def test_a_function_that_is_no_task_is_not_retried(app: SeenApp, worker: Inline) -> None:
    with executor_of(app) as executor:
        future = sent(app, executor, reciprocal, 0)
        worker.work()
        assert isinstance(future.exception(WAIT), ZeroDivisionError)
        assert future.job.status() == "dead"


# What is not sent


def test_a_call_that_cannot_be_sent_says_why_and_nothing_is_sent(app: SeenApp) -> None:
    app.size_limit = 1000
    other = TaskQ().task(name="add")(add)
    with executor_of(app) as executor, Path(__file__).open() as file, socket.socket() as line:
        for call, kind, text in [
            ((add,), BadArguments, "task 'tests.process.calls.add' got bad arguments"),
            ((add, [object()]), NotSerializable, "argument 'x' of tests.process.calls.add holds an object at [0]"),
            ((add, file), NotSerializable, "argument 'x' of tests.process.calls.add is a TextIOWrapper, open in this"),
            ((add, line), NotSerializable, "argument 'x' of tests.process.calls.add is a socket, open in this process"),
            ((big, "x" * 2000), TooLarge, "its largest argument is 'size' with 2003 bytes"),
            ((other, 1), ConfigError, "cannot submit task 'add': it is of another app"),
            ((app.task(result_ttl=0)(forget.declaration.func),), ConfigError, "its result_ttl is 0"),
            ((app.task(name="a")(add).options(job_id="a"), 1), ConfigError, "with a job_id"),
        ]:
            error = error_of(executor.submit(*call))
            assert type(error) is kind
            assert text in str(error)
    assert app.seen.empty()
    assert stored(app) == 0


def test_a_chunk_that_cannot_be_sent_says_why_when_it_is_its_turn(app: SeenApp, worker: Inline) -> None:
    with worker.serving(), executor_of(app) as executor:
        results = executor.map(add, [1, 2, object(), 4], chunksize=2)
        assert [next(results), next(results)] == [1, 2]
        with pytest.raises(NotSerializable, match=r"argument 'calls' of tests.process.calls.add\[\] holds an object"):
            next(results)
        with pytest.raises(BadArguments):
            next(executor.map(add, [1, 2], [1, 2], [1, 2], chunksize=2))


# What comes back


def test_exceptions_of_the_executor_s_modules_are_raised_as_they_are(app: SeenApp, worker: Inline) -> None:
    with worker.serving(), executor_of(app) as executor:
        error = executor.submit(fail, "own", "bad image").exception(WAIT)
        assert (type(error).__name__, error and error.args) == ("BadImageError", ("bad image",))
        assert "in fail" in str(error and error.__cause__)
        app.exceptions.clear()
        assert isinstance(executor.submit(fail, "own", "bad image").exception(WAIT), TaskFailed)


def test_a_result_that_cannot_travel_says_which_and_why(app: SeenApp, worker: Inline) -> None:
    with worker.serving(), executor_of(app) as executor:
        error = executor.submit(unportable).exception(WAIT)
        assert isinstance(error, ResultNotStored)
        assert "the result of tests.process.calls.unportable is a generator" in str(error)


def test_a_job_that_was_deleted_is_the_future_s_error(app: SeenApp) -> None:
    with executor_of(app) as executor:
        future = sent(app, executor, add, 1)
        app.carry(calls.delete([future.job.awaited]))
        assert isinstance(future.exception(WAIT), JobNotFound)


def test_a_job_that_somebody_else_cancels_is_a_cancelled_future(app: SeenApp) -> None:
    with executor_of(app) as executor:
        future = sent(app, executor, add, 1)
        assert future.job.cancel()
        assert cf.wait([future], WAIT).done == {future}
        assert future.cancelled()


def test_a_call_that_raises_jobcancelled_failed(app: SeenApp, worker: Inline) -> None:
    def cancelled() -> None:
        raise JobCancelled("another one")

    task = app.task(name="cancelled", retries=0)(cancelled)
    with worker.serving(), executor_of(app) as executor:
        assert isinstance(executor.submit(task).exception(WAIT), JobCancelled)


# cancel and running


def test_a_job_in_line_is_cancelled_in_redis(app: SeenApp, worker: Inline) -> None:
    with executor_of(app) as executor:
        future = sent(app, executor, add, 1)
        assert future.cancel()
        assert cf.wait([future], WAIT).done == {future}
        assert (future.job.status(), worker.work()) == ("cancelled", 0)


def test_a_job_that_a_worker_has_is_running_and_cannot_be_cancelled(app: SeenApp, worker: Inline) -> None:
    with executor_of(app) as executor:
        future = sent(app, executor, add, 1)
        assert not future.running()
        jobs = worker.claim()
        assert (future.running(), future.cancel(), future.done()) == (True, False, False)
        worker.finish(jobs)
        assert (future.result(WAIT), future.running(), future.cancel()) == (1, False, False)


def test_who_could_not_cancel_need_not_ask_again(app: SeenApp, worker: Inline) -> None:
    with executor_of(app) as executor:
        future = sent(app, executor, add, 1)
        jobs = worker.claim()
        assert not future.cancel()
        app.broker.run = None  # type: ignore[assignment, method-assign]
        assert (future.cancel(), future.running()) == (False, True)
        del app.broker.run  # type: ignore[attr-defined]
        worker.finish(jobs)


def test_what_waits_here_is_cancelled_without_redis(app: SeenApp, worker: Inline) -> None:
    with executor_of(app, 1) as executor:
        first = sent(app, executor, add, 1)
        waiting = [executor.submit(add, n) for n in range(5)]
        app.broker.run = None  # type: ignore[assignment, method-assign]
        assert not waiting[0].running()
        assert all(future.cancel() for future in waiting)
        del app.broker.run  # type: ignore[attr-defined]
        worker.work()
        assert first.result(WAIT) == 1
    assert worker.work() == 0


def test_shutdown_cancels_in_redis_what_no_worker_has(app: SeenApp, worker: Inline) -> None:
    executor = app.executor()
    first = sent(app, executor, add, 1)
    jobs = worker.claim()
    rest = [executor.submit(add, n) for n in range(2 * BATCH)]
    executor.shutdown(wait=False, cancel_futures=True)
    cf.wait(rest, WAIT)
    assert all(future.cancelled() for future in rest)
    assert (first.cancelled(), worker.work()) == (False, 0)
    worker.finish(jobs)
    executor.shutdown()
    assert first.result() == 1


def test_a_callback_may_cancel_others(app: SeenApp, worker: Inline) -> None:
    answers: Future[list[bool]] = Future()
    with executor_of(app) as executor:
        first = sent(app, executor, add, 1)
        jobs = worker.claim()
        rest = [sent(app, executor, add, n) for n in range(3)]
        first.add_done_callback(lambda _: answers.set_result([future.cancel() for future in rest]))
        worker.finish(jobs)
        assert answers.result(WAIT) == [True] * 3


# Threads


def test_callbacks_hold_up_nobody_else_and_may_wait_for_jobs(app: SeenApp, worker: Inline) -> None:
    task = app.task(name="add")(add)
    may_end = threading.Event()
    inner: Future[int] = Future()
    with worker.serving(), executor_of(app) as executor, executor_of(app) as other:
        executor.submit(add, 1).add_done_callback(lambda _: may_end.wait(WAIT))
        assert task.enqueue(2).result(WAIT) == 2
        assert other.submit(add, 3).result(WAIT) == 3
        other.submit(add, 4).add_done_callback(lambda _: inner.set_result(task.enqueue(5).result(WAIT)))
        assert inner.result(WAIT) == 5
        may_end.set()


def test_a_callback_that_exits_ends_no_other_future(
    app: SeenApp, worker: Inline, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(_: object) -> None:
        raise SystemExit

    with executor_of(app) as executor:
        futures = [executor.submit(add, n) for n in range(5)]
        futures[0].add_done_callback(leave)
        with worker.serving():
            assert [future.result(WAIT) for future in futures] == list(range(5))
    assert [record.getMessage() for record in caplog.records] == ["exception in the thread of an executor"]


def test_the_thread_is_no_daemon_and_ends_when_nothing_is_left_to_do_and_another_begins_with_the_next_call(
    app: SeenApp, worker: Inline
) -> None:
    executor = app.executor()
    threads: list[threading.Thread] = []
    for n in range(2):
        future: Future[int] = Future()

        def submit(n: int = n, future: Future[int] = future) -> None:
            sent = executor.submit(add, n)
            sent.add_done_callback(lambda _: threads.append(threading.current_thread()))
            sent.add_done_callback(lambda done: future.set_result(done.result()))

        threading.Thread(target=submit, daemon=True).start()
        with worker.serving():
            assert future.result(WAIT) == n
        assert not threads[n].daemon
        threads[n].join(WAIT)
        assert not threads[n].is_alive()
    assert threads[0] is not threads[1]


def test_nobody_holds_a_lock_while_futures_of_a_mailbox_are_told(app: SeenApp, worker: Inline) -> None:
    mailbox: Mailbox = app.mailbox
    job = app.task(name="add")(add).enqueue(1)
    (future,), ((page, call),) = mailbox.expect([job.raw]), mailbox.pages([job.raw])

    def tell(_: object) -> None:
        other = threading.Thread(target=mailbox.expect, args=([job.raw],))
        other.start()
        other.join(WAIT)
        free.set_result(not other.is_alive())

    free: Future[bool] = Future()
    future.add_done_callback(tell)
    worker.work()
    mailbox.absorb(page, app.carry(call))
    assert free.result(0)


# Redis is lost


def test_where_redis_is_not_there_all_that_waits_has_the_error(clock: FakeClock) -> None:
    app = TaskQ(f"redis://127.0.0.1:{free_port()}", executor_modules=[MODULE])
    with executor_of(app, 1) as executor:
        futures = [executor.submit(add, n) for n in range(5)]
        for future in futures:
            error = future.exception(WAIT)
            assert isinstance(error, BrokerUnavailable)
            assert "hint: start one" in str(error)


def test_where_redis_is_lost_all_that_waits_is_given_up_together(app: SeenApp) -> None:
    tries: list[str] = []
    may_fail = threading.Event()

    class LostApp(TaskQ):
        def carry(self, call: Call[T]) -> T:
            tries.append(call.name)
            assert may_fail.wait(WAIT)
            raise BrokerUnavailable("it has gone")

    lost = LostApp(executor_modules=[MODULE])
    lost.use(app.broker)
    with executor_of(lost, 1) as executor:
        futures = [executor.submit(add, n) for n in range(10)]
        may_fail.set()
        assert {type(future.exception(WAIT)) for future in futures} == {BrokerUnavailable}
    assert len(tries) <= 2, "the first, and once for those that had not lined up by then"


def test_jobs_that_redis_has_are_waited_for_though_nobody_could_say_so(app: SeenApp, worker: Inline) -> None:
    app.lost = frozenset({"await"})
    with executor_of(app) as executor:
        future = executor.submit(add, 1)
        app.until("enqueue")
        with worker.serving():
            assert future.result(WAIT) == 1


def test_when_the_app_is_closed_futures_have_an_error(app: SeenApp, broker: Broker) -> None:
    with executor_of(app) as executor:
        future = sent(app, executor, add, 1)
        app.close()
        assert isinstance(future.exception(WAIT), BrokerError)
        app.use(broker)


def test_cancel_and_running_do_not_wait_long_for_a_silent_redis(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskq.broker.broker.ANSWER_TIMEOUT", 0.2)
    monkeypatch.setattr("taskq.executor.dispatch.PATIENCE", 0.1)
    gate = Gate(redis_url)
    app = SeenApp(gate.url, executor_modules=[MODULE])
    app.seen = SimpleQueue()
    with closing(gate), closing(app), executor_of(app) as executor:
        futures = [sent(app, executor, add, n) for n in range(100)]
        with gate.shut(silence):
            began = time.monotonic()
            assert not any(future.cancel() or future.running() for future in futures)
            assert time.monotonic() - began < 2
            monkeypatch.undo()
        executor.shutdown(wait=False, cancel_futures=True)
        cf.wait(futures, WAIT)
        assert all(future.cancelled() for future in futures)


# What a payload can name

FORGED = [
    "os.system",
    "posix.system",
    "builtins.eval",
    f"{MODULE}.os.system",
    f"{MODULE}.Path",
    f"{MODULE}._secret",
    f"{MODULE}.app",
    f"{MODULE}.add.__globals__",
    f"{MODULE}.__builtins__",
    f"{MODULE}.BadImageError",
    f"{MODULE}.NoReturn",
    f"{MODULE}:add",
    "subprocess.run",
    "__main__.add",
    "os.system[]",
    f"{MODULE}.add[][]",
    "[]",
]


@pytest.mark.parametrize("name", FORGED)
def test_a_payload_that_names_what_is_not_allowed_runs_nothing_and_is_dead_in_the_end(
    app: SeenApp, worker: Inline, clock: FakeClock, name: str
) -> None:
    job_id = new_id(clock.now())
    body = encode_job(Envelope(task=name, args=(["true"],), kwargs={}, enqueued_at=1.0))
    app.carry(calls.enqueue("default:io", [(job_id, body)]))
    worker.work()
    assert app.job_status(job_id, "default:io") == "parked"
    clock.advance(PARKED_FOR + 1)
    app.carry(calls.promote(UNKNOWN))
    (outcome,) = app.wait([(job_id, "default:io")], WAIT)
    assert outcome.done()
    with pytest.raises(UnknownTask, match="no worker knew its task"):
        read(outcome, {}, app.types)
