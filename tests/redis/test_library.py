"""The library as an application uses it, from `enqueue` to `result`."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from taskq import Job, Retry, TaskFailed, TaskQ, current_job
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.call import Call
from taskq.broker.keys import member_id, route
from taskq.errors import (
    BadArguments,
    BrokerError,
    BrokerUnavailable,
    ConfigError,
    EnqueueError,
    JobCancelled,
    JobNotFound,
    NotSerializable,
    ResultNotStored,
    ResultTimeout,
    TimeLimit,
    TimeLimitExceeded,
    TooLarge,
    UnknownTask,
    WorkerLost,
)
from taskq.job import RemoteTraceback, Status
from taskq.tasks import BATCH, AsyncTask, Task
from taskq_workers.obituaries import LOST, UNKNOWN
from tests.support.census import one_place, take_census
from tests.support.clock import FakeClock
from tests.support.inline import Inline

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
"""Python 3.12 and newer warn of a fork in a process with threads."""

T = TypeVar("T")
PATIENCE = 20.0


def add(x: int, y: int = 0) -> int:
    return x + y


async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


def fail(kind: str, *args: Any) -> None:
    raise {
        "value": ValueError,
        "os": OSError,
        "exit": SystemExit,
        "shop": ShopError,
        "picky": PickyError,
        "limit": TimeLimit,
        "retry": Retry,
        "stop": StopIteration,
    }[kind](*args)


def send_mail(user: object, text: str = "") -> None: ...


class ShopError(Exception):
    pass


class PickyError(Exception):
    def __init__(self, *, code: int = 0):
        super().__init__("picky", code)


class User:
    id = 7


class CountedApp(TaskQ):
    """Counts its round trips."""

    trips = 0

    def carry(self, call: Call[T]) -> T:
        self.trips += 1
        return super().carry(call)


@dataclass
class Shop:
    """An app with a few tasks, and a worker that works when it is told to."""

    app: CountedApp
    clock: FakeClock

    def __post_init__(self) -> None:
        self.add: Task[..., int] = self.app.task(name="tasks.add")(add)
        self.double: AsyncTask[[int], int] = self.app.task(name="tasks.double")(double)
        self.fail: Task[..., None] = self.app.task(name="tasks.fail", retries=0)(fail)
        self.mail: Task[..., None] = self.app.task(name="tasks.send_mail", queue="mail")(send_mail)
        self.worker = Inline(self.app, ("default", "mail"), self.clock)

    def census(self) -> dict[str, dict[str, Any]]:
        return take_census(self.app.broker)

    def stored(self) -> int:
        """How many jobs Redis has."""
        return len(self.census()["jobs"].get("", {}))


@pytest.fixture
def shop(broker: Broker, clock: FakeClock) -> Iterator[Shop]:
    app = CountedApp(clock=clock)
    app.use(broker)
    yield Shop(app, clock)
    assert one_place(take_census(broker)) == []
    app.close()


def raised(job: Job[Any]) -> BaseException:
    """What `result` raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        job.result(PATIENCE)
    return caught.value


@contextmanager
def waiting(*jobs: Job[T]) -> Iterator[list[Callable[[], T]]]:
    """A thread for each job that waits for its result; what is given are functions that get it."""
    with ThreadPoolExecutor(len(jobs)) as threads:
        futures = [threads.submit(job.result, PATIENCE) for job in jobs]
        yield [lambda future=future: future.result(PATIENCE) for future in futures]


def registered(broker: Broker, jobs: int) -> None:
    """Returns once so many jobs are waited for."""
    until = time.monotonic() + PATIENCE
    while len(take_census(broker)["awaited"].get("", {})) < jobs:
        assert time.monotonic() < until
        os.sched_yield()


# Enqueueing


def test_a_function_that_does_not_tell_its_parameters_cannot_be_enqueued(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="wrap it in a function of your own"):
        shop.app.task(name="tasks.min")(min).enqueue(1, 2)
    assert shop.stored() == 0


def test_a_job_that_was_enqueued_is_run_and_its_result_comes_back(shop: Shop) -> None:
    job = shop.add.enqueue(2, 3)
    assert shop.stored() == 1
    assert shop.worker.work() == 1
    assert job.result(PATIENCE) == 5
    assert shop.stored() == 0


def test_one_enqueue_is_one_round_trip(shop: Shop) -> None:
    shop.add.enqueue(2, 3)
    assert shop.app.trips == 1


def test_delay_is_another_name_for_enqueue(shop: Shop) -> None:
    job = shop.add.delay(2, y=4)
    shop.worker.work()
    assert job.result(PATIENCE) == 6


def test_calling_a_task_runs_it_here(shop: Shop) -> None:
    assert shop.add(2, 3) == 5
    assert asyncio.run(shop.double(4)) == 8
    assert shop.app.trips == 0


def test_a_coroutine_enqueues_and_awaits(shop: Shop) -> None:
    async def main() -> int:
        job = await shop.double.aenqueue(21)
        await asyncio.to_thread(shop.worker.work)
        return await job.aresult(PATIENCE)

    assert asyncio.run(main()) == 42


def test_many_are_enqueued_in_a_few_round_trips_and_keep_their_order(shop: Shop) -> None:
    jobs = shop.add.enqueue_many([(n, n) for n in range(2 * BATCH + 1)])
    assert shop.app.trips == 3
    assert shop.worker.work() == 2 * BATCH + 1
    assert [job.result(PATIENCE) for job in jobs[::100]] == [2 * n for n in range(0, 2 * BATCH + 1, 100)]


def test_a_round_trip_carries_a_megabyte_at_most_or_so(shop: Shop) -> None:
    shop.mail.enqueue_many([("x" * 300_000,) for _ in range(9)])
    assert shop.app.trips == 3
    assert shop.stored() == 9
    purged = shop.app.broker.run(calls.purge(route("mail", "io")))
    assert purged == (9, 0)


def test_many_may_be_none(shop: Shop) -> None:
    assert shop.add.enqueue_many([]) == []
    assert shop.app.trips == 0


def test_arguments_of_every_kind_arrive_as_they_were(shop: Shop) -> None:
    seen: list[Any] = []
    task = shop.app.task(name="tasks.see")(lambda *args, **kwargs: seen.append((args, kwargs)))
    args = (None, 2**70, b"\xff", (1, (2,)), {3}, {(4,): datetime(2024, 1, 1, tzinfo=UTC)})
    task.enqueue(*args, five=[5])
    shop.worker.work()
    assert seen == [(args, {"five": [5]})]


def test_a_handle_shows_its_id_and_is_equal_to_any_other_of_its_job(shop: Shop) -> None:
    job, other = shop.add.enqueue(1), shop.add.enqueue(1)
    assert len(job.id) == 26
    assert repr(job) == f"<Job {job.id} default:io>"
    assert job.queue == "default"
    assert (job == shop.app.job(job.id), job == other, job == job.id) == (True, False, False)
    assert len({job, shop.app.job(job.id), other}) == 2
    assert repr(shop.add) == "<Task tasks.add default:io>"


def test_a_job_knows_who_it_is(shop: Shop) -> None:
    task = shop.app.task(name="tasks.who", retries=7)(lambda: getattr(current_job(), "id", None))
    named, unnamed = task.options(job_id="invoice-7").enqueue(), task.enqueue()
    shop.worker.work()
    assert (named.result(PATIENCE), unnamed.result(PATIENCE)) == ("invoice-7", unnamed.id)


# Options


def test_options_make_a_variant_and_leave_the_task_alone(shop: Shop) -> None:
    urgent = shop.add.options(priority=9, queue="mail")
    assert (type(urgent), urgent.name, repr(urgent)) == (Task, "tasks.add", "<Task tasks.add mail:io:9>")
    assert type(shop.double.options(delay=1)) is AsyncTask
    assert repr(shop.add) == "<Task tasks.add default:io>"
    assert urgent(2, 3) == 5


def test_a_delayed_job_runs_when_it_is_due(shop: Shop) -> None:
    job = shop.add.options(delay="10s").enqueue(1)
    assert (job.status(), shop.worker.work()) == ("delayed", 0)
    shop.clock.advance(9.9)
    shop.app.broker.run(calls.promote(UNKNOWN))
    assert shop.worker.work() == 0
    shop.clock.advance(0.1)
    shop.app.broker.run(calls.promote(UNKNOWN))
    assert shop.worker.work() == 1
    assert job.result(PATIENCE) == 1


def test_a_job_with_an_eta_is_due_at_that_moment(shop: Shop) -> None:
    job = shop.add.options(eta=datetime.fromtimestamp(shop.clock.now() + 60, UTC)).enqueue(1)
    found = shop.app.broker.run(calls.locate(job.raw, "default:io"))
    assert (found.place, found.due) == ("delayed", shop.clock.now() + 60)
    assert job.cancel()


def test_a_higher_priority_runs_sooner(shop: Shop) -> None:
    ran: list[int] = []
    task = shop.app.task(name="tasks.note")(ran.append)
    for priority in (5, 0, 9, 3):
        task.options(priority=priority).enqueue(priority)
    shop.worker.work()
    assert ran == [9, 5, 3, 0]


def test_a_job_may_go_to_another_queue(shop: Shop) -> None:
    shop.add.options(queue="mail").enqueue(1)
    assert list(shop.census()["ready"]) == ["mail:io"]
    assert shop.worker.work() == 1


def test_many_may_be_delayed(shop: Shop) -> None:
    jobs = shop.add.options(delay=5).enqueue_many([(1,), (2,)])
    assert [job.status() for job in jobs] == ["delayed", "delayed"]
    assert [job.cancel() for job in jobs] == [True, True]


# A name runs once


def test_a_name_that_has_a_job_is_not_enqueued_again(shop: Shop) -> None:
    invoice = shop.add.options(job_id="invoice-7")
    first, second = invoice.enqueue(1), invoice.enqueue(2)
    assert (first, first.id, second.id) == (second, "invoice-7", "invoice-7")
    assert shop.worker.work() == 1
    third = invoice.enqueue(3)
    assert shop.worker.work() == 0
    assert [job.result(PATIENCE) for job in (first, second, third)] == [1, 1, 1]


def test_the_handle_of_a_name_is_that_jobs_wherever_it_is(shop: Shop) -> None:
    shop.add.options(job_id="invoice-7", delay=60, queue="mail").enqueue(1)
    again = shop.add.options(job_id="invoice-7", priority=9).enqueue(2)
    assert again.status() == "delayed"
    assert again.cancel()
    assert shop.census()["delayed"] == {}
    assert isinstance(raised(again), JobCancelled)


def test_a_name_whose_deleted_job_left_a_place_in_another_line_is_refused_with_an_error(shop: Shop) -> None:
    invoice = shop.add.options(job_id="invoice-7")
    job = invoice.enqueue(1)
    shop.app.carry(calls.delete([(job.raw, "default:io")]))
    with pytest.raises(EnqueueError, match="cannot enqueue job 'invoice-7': the empty place of an earlier job"):
        shop.add.options(job_id="invoice-7", priority=9).enqueue(2)
    again = invoice.enqueue(3)
    assert shop.worker.work() == 1
    assert again.result(PATIENCE) == 3


def test_many_jobs_cannot_have_one_name(shop: Shop) -> None:
    with pytest.raises(ConfigError) as caught:
        shop.add.options(job_id="invoice-7").enqueue_many([(1,), (2,)])
    assert str(caught.value) == (
        "cannot enqueue many jobs of tasks.add with one job_id\n  hint: enqueue them one by one"
    )


# What is refused before anything is sent


@pytest.mark.parametrize(
    ("send", "called", "reason"),
    [
        (lambda shop: shop.add.enqueue(), "", "missing: x"),
        (lambda shop: shop.add.enqueue(1, 2, 3), "1, 2, 3", "too many positional arguments"),
        (lambda shop: shop.add.enqueue(1, z=2), "1, z=2", "got an unexpected keyword argument z"),
        (lambda shop: shop.add.enqueue(1, x=2), "1, x=2", "multiple values for argument x"),
        (lambda shop: shop.add.delay("x" * 100, 1, 2), f"'{'x' * 56}..., 1, 2", "too many positional arguments"),
        (lambda shop: asyncio.run(shop.add.aenqueue()), "", "missing: x"),
        (lambda shop: shop.add.options(delay=1).enqueue(), "", "missing: x"),
        (lambda shop: shop.add.enqueue_many([(1,), ()]), "", "missing: x"),
    ],
)
def test_bad_arguments_say_what_was_called_and_how(
    shop: Shop, send: Callable[[Shop], object], called: str, reason: str
) -> None:
    with pytest.raises(BadArguments) as caught:
        send(shop)
    assert str(caught.value) == (
        "task 'tasks.add' got bad arguments\n"
        "  add(x: int, y: int = 0)\n"
        f"  called as add.enqueue({called})        {reason}\n"
        "  nothing was sent"
    )
    assert (shop.app.trips, shop.stored()) == (0, 0)


def test_a_signature_is_shown_as_it_was_written(shop: Shop) -> None:
    def f(name: str = "it's", *, size: int | None = None, **more: list[str]) -> None: ...

    with pytest.raises(BadArguments, match="got bad arguments") as caught:
        shop.app.task(name="tasks.f")(f).enqueue(1, 2)
    assert '  f(name: str = "it\'s", *, size: int | None = None, **more: list[str])\n' in str(caught.value)


def test_an_argument_that_cannot_travel_is_named(shop: Shop) -> None:
    for send in (
        lambda: shop.mail.enqueue(User()),
        lambda: shop.mail.delay(user=User()),
        lambda: asyncio.run(shop.mail.aenqueue(User())),
        lambda: shop.mail.enqueue_many([(1,), (User(),)]),
    ):
        with pytest.raises(NotSerializable) as caught:
            send()
        assert str(caught.value).splitlines()[0] == (
            "argument 'user' of tasks.send_mail is a User; msgpack cannot store it"
        )
        assert "hint: pass user.id" in str(caught.value)
    assert (shop.app.trips, shop.stored()) == (0, 0)


def test_a_job_that_is_too_large_names_its_largest_argument(shop: Shop) -> None:
    with pytest.raises(TooLarge) as caught:
        shop.mail.enqueue("me", text="x" * 600_000)
    assert str(caught.value).startswith("cannot enqueue tasks.send_mail: the job takes 600")
    assert "the limit is 524288; its largest argument is 'text' with 600" in str(caught.value)
    assert (shop.app.trips, shop.stored()) == (0, 0)


def test_an_option_that_cannot_be_used_is_refused(shop: Shop) -> None:
    with pytest.raises(ConfigError):
        shop.add.options(priority=10)
    with pytest.raises(ConfigError, match="timeout 'soon' is not a duration"):
        shop.add.options(job_id="x").enqueue(1).result("soon")
    shop.worker.work()


# Results


def test_a_result_is_there_for_whoever_asks_and_as_often_as_they_ask(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    shop.worker.work()
    assert [job.result(PATIENCE), job.result(0), shop.app.job(job.id).result(), asyncio.run(job.aresult(0))] == [1] * 4


def test_who_waits_is_told_when_the_job_ends(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    with waiting(job) as (get,):
        registered(shop.app.broker, 1)
        shop.worker.work()
        assert get() == 1


def test_a_coroutine_that_waits_is_told_when_the_job_ends(shop: Shop) -> None:
    async def main() -> int:
        job = shop.add.enqueue(1)
        wait = asyncio.create_task(job.aresult(PATIENCE))
        await asyncio.to_thread(registered, shop.app.broker, 1)
        await asyncio.to_thread(shop.worker.work)
        return await wait

    assert asyncio.run(main()) == 1


def test_many_threads_wait_for_many_results_at_once(shop: Shop) -> None:
    jobs = shop.add.enqueue_many([(n,) for n in range(300)])
    with ThreadPoolExecutor(30) as threads:
        results = [threads.submit(lambda part: [job.result(PATIENCE) for job in part], jobs[n::30]) for n in range(30)]
        registered(shop.app.broker, 30)
        with shop.worker.serving():
            assert [future.result(PATIENCE) for future in results] == [list(range(n, 300, 30)) for n in range(30)]


def test_hundreds_of_coroutines_wait_for_their_results_at_once(shop: Shop) -> None:
    async def one(n: int) -> int:
        job = await shop.double.aenqueue(n)
        return await job.aresult(PATIENCE)

    async def main() -> list[int]:
        return await asyncio.gather(*map(one, range(300)))

    with shop.worker.serving():
        assert asyncio.run(main()) == list(range(0, 600, 2))


def test_gather_answers_in_the_order_of_the_jobs_whether_they_have_run_or_not(shop: Shop) -> None:
    done = shop.add.enqueue_many([(n,) for n in range(700)])
    shop.worker.work()
    jobs = [*shop.add.enqueue_many([(n,) for n in range(700, 1300)]), *reversed(done), done[3]]
    with shop.worker.serving():
        assert shop.app.gather(jobs, PATIENCE) == [*range(700, 1300), *reversed(range(700)), 3]
    assert asyncio.run(shop.app.agather(iter(jobs), PATIENCE)) == [*range(700, 1300), *reversed(range(700)), 3]
    assert shop.app.gather([]) == []


def test_gather_of_results_that_are_there_takes_a_round_trip_for_five_hundred(shop: Shop) -> None:
    jobs = shop.add.enqueue_many([(n,) for n in range(1000)])
    shop.worker.work()
    shop.app.trips = 0
    shop.app.gather(jobs, PATIENCE)
    assert shop.app.trips == 2


def test_as_completed_gives_each_job_as_soon_as_it_has_an_outcome(shop: Shop) -> None:
    done = shop.add.enqueue(1)
    shop.worker.work()
    late = shop.add.enqueue(2)
    coming = shop.app.as_completed([late, done], PATIENCE)
    assert next(coming) is done
    shop.worker.work()
    assert next(coming) is late
    assert next(coming, None) is None


def test_what_as_completed_gave_is_not_asked_for_again(shop: Shop) -> None:
    jobs = shop.add.enqueue_many([(n,) for n in range(700)])
    failed = shop.fail.enqueue("value", "bad")
    shop.worker.work()
    shop.app.trips = 0
    came = list(shop.app.as_completed([*jobs, failed], PATIENCE))
    assert sorted(job.result() for job in came if job != failed) == list(range(700))
    with pytest.raises(ValueError, match="bad"):
        came[came.index(failed)].result()
    assert shop.app.trips == 2


def test_as_completed_says_how_many_jobs_are_late(shop: Shop) -> None:
    done = shop.add.enqueue(1)
    shop.worker.work()
    coming = shop.app.as_completed([*shop.add.enqueue_many([(1,), (2,)]), done], "1ms")
    assert next(coming) == done
    with pytest.raises(ResultTimeout, match=r"2 of 3 jobs have no outcome after 0\.001 s"):
        next(coming)


def test_gather_of_coroutines_waits_for_jobs_that_have_not_run(shop: Shop) -> None:
    async def main() -> list[int]:
        jobs = shop.add.enqueue_many([(n,) for n in range(5)])
        wait = asyncio.create_task(shop.app.agather(jobs, PATIENCE))
        await asyncio.to_thread(registered, shop.app.broker, 5)
        await asyncio.to_thread(shop.worker.work)
        return await wait

    assert asyncio.run(main()) == list(range(5))


def test_gather_raises_the_first_error_or_puts_all_of_them_in_place(shop: Shop) -> None:
    gone = shop.app.job("01JD0000000000000000000000")
    jobs: list[Job[Any]] = [shop.add.enqueue(1), shop.fail.enqueue("value", "bad"), gone, shop.add.enqueue(2)]
    shop.worker.work()
    for gather in (shop.app.gather, lambda *args, **kwargs: asyncio.run(shop.app.agather(*args, **kwargs))):
        with pytest.raises(ValueError, match="bad"):
            gather(jobs, PATIENCE)
        one, bad, missing, two = gather(jobs, PATIENCE, return_exceptions=True)
        assert (one, repr(bad), type(missing), two) == (1, "ValueError('bad')", JobNotFound, 2)


def test_a_coroutine_that_gathers_errors_leaves_none_for_asyncio_to_complain_of(shop: Shop) -> None:
    async def main() -> list[str]:
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
        job = shop.add.enqueue(1)
        wait = asyncio.create_task(shop.app.agather([job], PATIENCE, return_exceptions=True))
        await asyncio.to_thread(registered, shop.app.broker, 1)
        mailbox = shop.app._connect().mailbox
        await asyncio.to_thread(mailbox.absorb, [job.raw], [b""])
        assert [type(error) for error in await wait] == [JobNotFound]
        del wait  # the errors, with all that their frames hold
        gc.collect()
        return complaints

    assert asyncio.run(main()) == []


def test_gather_says_how_many_jobs_are_late(shop: Shop) -> None:
    done = shop.add.enqueue(1)
    shop.worker.work()
    jobs = [done, *shop.add.enqueue_many([(1,), (2,)])]
    for gather in (shop.app.gather, lambda *args: asyncio.run(shop.app.agather(*args))):
        with pytest.raises(ResultTimeout, match=f"2 of 3 jobs have no outcome after 0.001 s.*\n.*{jobs[1].id}"):
            gather(jobs, "1ms")


def test_several_wait_for_one_job_and_one_gives_up(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    with waiting(job, job) as (one, other):
        registered(shop.app.broker, 1)
        with pytest.raises(ResultTimeout):
            job.result(0.001)
        shop.worker.work()
        assert (one(), other()) == (1, 1)


def test_a_coroutine_that_is_cancelled_takes_nobody_elses_result(shop: Shop) -> None:
    async def main() -> int:
        job = shop.add.enqueue(1)
        patient, hasty = asyncio.create_task(job.aresult(PATIENCE)), asyncio.create_task(job.aresult())
        await asyncio.to_thread(registered, shop.app.broker, 1)
        hasty.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hasty
        with pytest.raises(ResultTimeout):
            await job.aresult(0.001)
        await asyncio.to_thread(shop.worker.work)
        return await patient

    assert asyncio.run(main()) == 1


def test_nobody_waits_longer_than_they_said(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    for wait in (
        lambda: job.result(0),
        lambda: job.result("1ms"),
        lambda: asyncio.run(job.aresult(0.001)),
    ):
        with pytest.raises(ResultTimeout) as caught:
            wait()
    assert str(caught.value) == (
        f"job {job.id} has no outcome after 0.001 s of waiting\n  hint: taskq jobs show {job.id}"
    )
    shop.worker.work()
    assert job.result(PATIENCE) == 1


def test_waiting_again_after_giving_up_works(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    with pytest.raises(ResultTimeout):
        job.result(0.001)
    with waiting(job) as (get,):
        shop.worker.work()
        assert get() == 1


# What else can become of a job


def test_result_raises_the_jobs_own_exception_with_the_remote_traceback_as_its_cause(shop: Shop) -> None:
    job = shop.fail.enqueue("value", "bad image", 7)
    shop.worker.work()
    error = raised(job)
    assert (type(error), error.args) == (ValueError, ("bad image", 7))
    assert isinstance(error.__cause__, RemoteTraceback)
    assert "in fail" in str(error.__cause__)
    assert str(error.__cause__).endswith("ValueError: ('bad image', 7)\n")


def test_an_exception_of_the_system_comes_back_as_its_kind(shop: Shop) -> None:
    job = shop.fail.enqueue("os", 2, "no such file")
    shop.worker.work()
    assert isinstance(raised(job), FileNotFoundError)


def test_an_exception_that_the_app_does_not_know_is_a_failed_task(shop: Shop) -> None:
    job = shop.fail.enqueue("shop", "sold out")
    shop.worker.work()
    error = raised(job)
    assert isinstance(error, TaskFailed)
    assert (error.type, error.text) == (f"{__name__}.ShopError", "sold out")
    assert error.traceback.endswith("ShopError: sold out\n")
    assert str(error) == f"{__name__}.ShopError: sold out"


@pytest.mark.parametrize("how", ["register_exceptions", "retry_on"])
def test_an_exception_that_the_app_knows_comes_back(shop: Shop, how: str) -> None:
    if how == "retry_on":
        shop.app.task(name="tasks.other", retry_on=(ShopError,))(add)
    else:
        shop.app.register_exceptions(ShopError)
    job = shop.fail.enqueue("shop", "sold out")
    shop.worker.work()
    error = raised(job)
    assert (type(error), error.args) == (ShopError, ("sold out",))


def test_an_exception_that_cannot_be_built_from_its_arguments_is_a_failed_task(shop: Shop) -> None:
    shop.app.register_exceptions(PickyError)
    job = shop.fail.enqueue("picky")
    shop.worker.work()
    error = raised(job)
    assert isinstance(error, TaskFailed)
    assert error.text == "('picky', 0)"


@pytest.mark.parametrize("kind", ["exit", "retry", "stop"])
def test_what_would_end_the_waiting_program_or_loop_is_a_failed_task(shop: Shop, kind: str) -> None:
    shop.app.task(name="tasks.other", retry_on=(SystemExit, Retry))(add)
    job = shop.fail.enqueue(kind, "x")
    shop.worker.work()
    assert isinstance(raised(job), TaskFailed)
    with pytest.raises(TaskFailed):
        asyncio.run(job.aresult(PATIENCE))


def test_a_job_that_ran_too_long_says_so(shop: Shop) -> None:
    job = shop.app.task(name="tasks.slow", timeout=3, retries=0)(fail).enqueue("limit")
    shop.worker.work()
    error = raised(job)
    assert (type(error), str(error)) == (TimeLimitExceeded, "tasks.slow ran longer than its timeout of 3 s")


def test_a_result_that_cannot_be_stored_says_so(shop: Shop) -> None:
    job = shop.app.task(name="tasks.bad")(User).enqueue()
    shop.worker.work()
    error = raised(job)
    assert isinstance(error, ResultNotStored)
    assert str(error).startswith("the result of tasks.bad is a User; msgpack cannot store it")


def test_a_job_that_killed_its_process_three_times_says_so(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    for epoch in ("w1", "w2", "w3"):
        shop.app.broker.run(calls.register(epoch, 60.0, {}))
        claim = shop.app.broker.run(calls.claim(epoch, 0, {"io": 1, "solo": 1}, ["default"]))
        assert len(claim.jobs) == 1
        shop.app.broker.run(calls.reap(epoch, LOST, member_id(claim.jobs[0].member)))
    error = raised(job)
    assert (type(error), str(error)) == (WorkerLost, "its process died 3 times while it ran")


def test_a_job_whose_task_nobody_knew_says_so(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    del shop.app.tasks["tasks.add"]
    shop.worker.work()
    assert job.status() == "parked"
    shop.clock.advance(600)
    shop.app.broker.run(calls.promote(UNKNOWN))
    error = raised(job)
    assert (type(error), str(error)) == (UnknownTask, "no worker knew its task, or could read the job, for 10 minutes")


def test_a_job_that_fails_is_tried_again_and_its_result_is_that_of_the_last_try(shop: Shop) -> None:
    tries: list[int] = []

    def flaky() -> int:
        tries.append(getattr(current_job(), "attempt", 0))
        if len(tries) < 3:
            raise ValueError("not yet")
        return len(tries)

    job = shop.app.task(name="tasks.flaky", backoff=10)(flaky).enqueue()
    for _ in range(3):
        assert shop.worker.work() == 1
        shop.clock.advance(60)
        shop.app.broker.run(calls.promote(UNKNOWN))
    assert (job.result(PATIENCE), tries) == (3, [1, 2, 3])


@pytest.mark.parametrize("ask", ["result", "aresult"])
def test_a_job_that_never_was_has_no_outcome(shop: Shop, ask: str) -> None:
    job = shop.app.job("nobody")
    with pytest.raises(JobNotFound) as caught:
        job.result(PATIENCE) if ask == "result" else asyncio.run(job.aresult(PATIENCE))
    assert str(caught.value).startswith("there is no outcome for job ")
    assert job.status() == "unknown"
    assert job.cancel() is False


def test_a_task_that_stores_no_result_has_no_outcome(shop: Shop) -> None:
    job = shop.app.task(name="tasks.quiet", result_ttl=0)(add).enqueue(1)
    with waiting(job) as (get,):
        registered(shop.app.broker, 1)
        shop.worker.work()
        with pytest.raises(JobNotFound):
            get()


def test_who_waits_for_a_job_that_is_deleted_is_told(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    with waiting(job) as (get,):
        registered(shop.app.broker, 1)
        shop.app.broker.run(calls.delete([(job.raw, job._route)]))
        with pytest.raises(JobNotFound):
            get()
    shop.worker.work()


# Status and cancelling


def test_status_follows_a_job(shop: Shop) -> None:
    job = shop.add.options(delay=1).enqueue(1)
    seen: list[Status] = [job.status()]
    shop.clock.advance(1)
    shop.app.broker.run(calls.promote(UNKNOWN))
    seen.append(job.status())
    held = shop.worker.claim()
    seen.append(job.status())
    shop.worker.finish(held)
    seen.append(job.status())
    assert seen == ["delayed", "queued", "running", "done"]


def test_status_of_a_job_that_failed_for_good_is_dead(shop: Shop) -> None:
    job = shop.fail.enqueue("value")
    shop.worker.work()
    assert job.status() == "dead"


def test_an_id_is_enough_to_ask_and_to_cancel(shop: Shop) -> None:
    done, dead = shop.add.options(queue="mail", priority=7).enqueue(1), shop.fail.enqueue("value")
    shop.worker.work()
    late = shop.add.options(job_id="invoice-7", delay=5, queue="mail").enqueue(1)
    line = shop.double.options(priority=1).enqueue(1)
    handles = [shop.app.job(job.id) for job in (done, dead, late, line)]
    assert [handle.status() for handle in handles] == ["done", "dead", "delayed", "queued"]
    assert [handle.cancel() for handle in handles] == [False, False, True, True]
    assert [job.status() for job in (done, dead, late, line)] == ["done", "dead", "cancelled", "cancelled"]
    assert [handle.id for handle in handles] == [done.id, dead.id, "invoice-7", line.id]
    shop.worker.work()


def test_a_cancelled_job_does_not_run_and_says_so(shop: Shop) -> None:
    ran: list[int] = []
    job = shop.app.task(name="tasks.note")(ran.append).enqueue(1)
    assert job.cancel() is True
    shop.clock.advance(1)
    assert job.cancel() is False
    assert job.status() == "cancelled"
    assert (shop.worker.work(), ran) == (0, [])
    error = raised(job)
    assert (type(error), str(error)) == (JobCancelled, f"job {job.id} was cancelled")


def test_who_waits_for_a_job_that_is_cancelled_is_told(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    with waiting(job) as (get,):
        registered(shop.app.broker, 1)
        assert job.cancel()
        with pytest.raises(JobCancelled):
            get()
    shop.worker.work()


def test_a_job_that_runs_is_not_cancelled(shop: Shop) -> None:
    job = shop.add.enqueue(1)
    held = shop.worker.claim()
    assert job.cancel() is False
    shop.worker.finish(held)
    assert job.result(PATIENCE) == 1


# Event loops, threads, processes


def test_two_event_loops_in_two_threads_share_an_app(shop: Shop) -> None:
    async def main(first: int) -> list[int]:
        jobs = await asyncio.gather(*(shop.double.aenqueue(n) for n in range(first, first + 50)))
        return await asyncio.gather(*(job.aresult(PATIENCE) for job in jobs))

    with shop.worker.serving(), ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(asyncio.run, main(first)) for first in (0, 1000)]
        assert [future.result(PATIENCE) for future in futures] == [
            list(range(0, 100, 2)),
            list(range(2000, 2100, 2)),
        ]


def test_one_event_loop_after_another_uses_an_app(shop: Shop) -> None:
    for n in range(3):
        job = asyncio.run(shop.double.aenqueue(n))
        shop.worker.work()
        assert asyncio.run(job.aresult(PATIENCE)) == 2 * n


def test_a_loop_that_closes_while_its_calls_are_under_way_hurts_nobody(shop: Shop) -> None:
    async def hasty() -> None:
        for n in range(20):
            task = asyncio.ensure_future(shop.double.aenqueue(n))
            await asyncio.sleep(0)
            task.cancel()

    for _ in range(5):
        asyncio.run(hasty())
    job = asyncio.run(shop.double.aenqueue(7))
    shop.worker.work()
    assert job.result(PATIENCE) == 14


def test_a_closed_app_can_be_used_again_and_leaves_no_thread_behind(redis_url: str) -> None:
    before = set(threading.enumerate())
    app = TaskQ(redis_url)
    task = app.task(name="tasks.double")(double)
    worker = Inline(app)
    for n in range(3):
        job = asyncio.run(task.aenqueue(n))
        with ThreadPoolExecutor(1) as threads:
            future = threads.submit(job.result, PATIENCE)
            registered(app.broker, 1)
            worker.work()
            assert future.result(PATIENCE) == 2 * n
        started = set(threading.enumerate()) - before
        assert {thread.name for thread in started} == {"taskq-results", "taskq-outbox"}
        app.close()
        for thread in started:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_who_waits_when_the_app_is_closed_is_told(redis_url: str) -> None:
    app = TaskQ(redis_url)
    job = app.task(name="tasks.add")(add).enqueue(1)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(job.result, PATIENCE)
        registered(app.broker, 1)
        app.close()
        with pytest.raises(BrokerError, match="the app was closed"):
            future.result(PATIENCE)
    app.close()


def in_child(work: Callable[[], bytes]) -> bytes:
    """What `work` gives in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = b"it raised"
        try:
            answer = work()
        finally:
            os.write(writer, answer)
            os._exit(0)
    os.close(writer)
    with closing(os.fdopen(reader, "rb")) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


@pytest.mark.parametrize("shared", [False, True], ids=["from its url", "from a broker"])
def test_a_forked_child_uses_the_app_on_connections_of_its_own(redis_url: str, shared: bool) -> None:
    app = TaskQ(None if shared else redis_url)
    if shared:
        app.use(Broker(redis_url))
    task = app.task(name="tasks.double")(double)
    worker = Inline(app)
    before = asyncio.run(task.aenqueue(1))

    def work() -> bytes:
        job, other = task.enqueue(2), asyncio.run(task.aenqueue(3))
        return f"{before.result(PATIENCE)} {job.result(PATIENCE)} {asyncio.run(other.aresult(PATIENCE))}".encode()

    with worker.serving():
        assert before.result(PATIENCE) == 2
        assert in_child(work) == b"2 4 6"
        assert task.enqueue(4).result(PATIENCE) == 8
    app.close()


# When the connection breaks


def kill_connections(broker: Broker) -> None:
    broker.run(Call("CLIENT", ("KILL", "TYPE", "normal", "SKIPME", "yes"), int))


def test_waiting_survives_the_loss_of_its_connection(redis_url: str) -> None:
    app = TaskQ(redis_url)
    task = app.task(name="tasks.add")(add)
    worker, other = Inline(app), Broker(redis_url)
    jobs = task.enqueue_many([(n,) for n in range(20)])
    with ThreadPoolExecutor(20) as threads:
        futures = [threads.submit(job.result, PATIENCE) for job in jobs]
        registered(other, 20)
        kill_connections(other)
        worker.work()
        assert [future.result(PATIENCE) for future in futures] == list(range(20))
    app.close()
    other.close()


def test_a_result_that_came_while_the_connection_was_away_is_not_missed(redis_url: str) -> None:
    app = TaskQ(redis_url)
    task = app.task(name="tasks.add")(add)
    worker, other = Inline(app), Broker(redis_url)
    for n in range(5):
        job = task.enqueue(n)
        with ThreadPoolExecutor(1) as threads:
            future = threads.submit(job.result, PATIENCE)
            worker.work()
            kill_connections(other)
            assert future.result(PATIENCE) == n
    app.close()
    other.close()


def test_an_app_whose_connections_were_all_cut_goes_on(redis_url: str) -> None:
    app = TaskQ(redis_url)
    task = app.task(name="tasks.add")(add)
    worker, other = Inline(app), Broker(redis_url)
    assert asyncio.run(task.aenqueue(1)).status() == "queued"
    kill_connections(other)
    assert asyncio.run(task.aenqueue(2)).status() == "queued"
    kill_connections(other)
    assert task.enqueue(3).status() == "queued"
    assert worker.work() == 3
    app.close()
    other.close()


# When Redis is not there

ASKING: dict[str, Callable[[TaskQ], object]] = {
    "enqueue": lambda app: app.tasks["tasks.add"].enqueue(1),
    "enqueue_many": lambda app: app.tasks["tasks.add"].enqueue_many([(1,), (2,)]),
    "aenqueue": lambda app: asyncio.run(app.tasks["tasks.add"].aenqueue(1)),
    "result": lambda app: app.job("invoice-7").result(),
    "aresult": lambda app: asyncio.run(app.job("invoice-7").aresult()),
    "status": lambda app: app.job("invoice-7").status(),
    "cancel": lambda app: app.job("invoice-7").cancel(),
}


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where nobody answers, not even to say no: its queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.settimeout(0)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for client in clients:
            client.close()


@contextmanager
def unreachable(url: str) -> Iterator[TaskQ]:
    app = TaskQ(url)
    app.task(name="tasks.add")(add)
    yield app
    app.close()


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_a_redis_that_is_not_there_is_a_clear_error(ask: Callable[[TaskQ], object], closed_port: int) -> None:
    with unreachable(f"redis://:secret@127.0.0.1:{closed_port}/0") as app:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable) as caught:
            ask(app)
        assert time.monotonic() - started < 2
    assert str(caught.value) == (
        f"cannot reach Redis at redis://:***@127.0.0.1:{closed_port}/0 (connection refused)\n"
        "  url from: the program or --url\n"
        "  hint: start one (apt install redis-server), or use   embedded://   which brings its own"
    )
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("ask", ["enqueue", "aenqueue", "aresult"])
def test_a_redis_that_does_not_answer_is_given_up_within_two_seconds(ask: str, silent_port: int) -> None:
    with unreachable(f"redis://127.0.0.1:{silent_port}") as app:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match=r"cannot reach Redis at redis://127\.0\.0\.1"):
            ASKING[ask](app)
        assert time.monotonic() - started < 2


def test_an_app_that_could_not_reach_redis_works_once_it_is_there(redis_url: str, closed_port: int) -> None:
    with unreachable(f"redis://127.0.0.1:{closed_port}") as app:
        for ask in ("aenqueue", "result"):
            with pytest.raises(BrokerUnavailable):
                ASKING[ask](app)
        app.close()
        app.use(Broker(redis_url))
        assert app.tasks["tasks.add"].enqueue(1).status() == "queued"
