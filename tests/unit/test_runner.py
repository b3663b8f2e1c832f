"""Every way a job can end, and what is written of it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from taskq import current_job, ids
from taskq.app import TaskQ
from taskq.broker.records import Claimed
from taskq.codec import Attempt, Envelope, ErrorInfo, Record, decode_history, decode_record, encode_history, encode_job
from taskq.errors import TimeLimit
from taskq.job import CurrentJob
from taskq.lifecycle import Bury, Delay, Failed, Finish, Park
from taskq.named import Named
from taskq.retry import Backoff, Retry
from taskq.values import pack
from taskq_workers.outcomes import Settled
from taskq_workers.runner import TEXT_LIMIT, TRACEBACK_LIMIT, Runner, describe, summary
from tests.support.clock import FakeClock
from tests.support.inline import claimed

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
"""Python 3.12 and newer warn of a fork in a process with threads."""

NOW = 1_700_000_000.0
EARLIER = Attempt(started_at=5.0, seconds=0.5, worker="w0", error="ValueError: first")


class Shop:
    """An app with a runner. Tasks are declared in the test that needs them."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.app = TaskQ(size_limit=20_000, clock=self.clock)
        self.runner = Runner(
            self.app.tasks,
            "w1",
            size_limit=self.app.size_limit,
            clock=self.clock,
            chance=lambda: 0.5,
            types=self.app.types,
        )

    def settle(self, job: Claimed) -> Settled:
        run = self.runner.open(job)
        if run.declaration is not None and run.declaration.pool == "async":
            return self.runner.settle(run, asyncio.run(self.runner.acall(run)))
        return self.runner.settle(run, self.runner.call(run))

    def run(self, func: Callable[..., Any], *args: Any, history: bytes | None = None, **declared: Any) -> Settled:
        declared = {"name": "tasks.f", "backoff": Backoff(base=10.0)} | declared
        return self.settle(claimed(self.app.task(**declared)(func), *args, history=history))


@pytest.fixture
def shop() -> Shop:
    return Shop()


def record_of(settled: Settled) -> Record:
    return decode_record(settled.record)


def error_of(settled: Settled) -> ErrorInfo:
    assert isinstance(settled.step, (Delay, Bury))
    return settled.step.error


def raiser(error: Callable[[], BaseException]) -> Callable[[], NoReturn]:
    def f() -> NoReturn:
        raise error()

    return f


# It returns


def test_a_result_is_written_with_all_that_is_known_of_the_job(shop: Shop) -> None:
    def f(x: int, y: int) -> int:
        shop.clock.advance(0.25)
        return x + y

    settled = shop.run(f, 2, 3, result_ttl="1m")
    assert settled.step == Finish(settled.record)
    assert (settled.task, settled.lane, settled.attempt) == ("tasks.f", "io", 1)
    assert (settled.seconds, settled.ttl, settled.waited, settled.history) == (0.25, 60.0, NOW - 1.0, b"")
    assert record_of(settled) == Record(
        state="done",
        value=5,
        task="tasks.f",
        enqueued_at=1.0,
        started_at=NOW,
        seconds=0.25,
        attempt=1,
        worker="w1",
    )


def test_arguments_arrive_by_place_and_by_name(shop: Shop) -> None:
    task = shop.app.task(name="tasks.f")(lambda *args, **kwargs: [args, kwargs])
    settled = shop.settle(claimed(task, 1, (2, {3}), four=[4]))
    assert record_of(settled).value == [(1, (2, {3})), {"four": [4]}]


def test_a_coroutine_is_awaited(shop: Shop) -> None:
    async def f(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    settled = shop.run(f, 1)
    assert (settled.lane, record_of(settled).value) == ("async", 2)


def test_a_coroutine_whose_job_stands_in_a_lane_of_threads_is_run_there(shop: Shop) -> None:
    async def f(x: int) -> tuple[int, str]:
        await asyncio.sleep(0)
        job = current_job()
        assert job is not None
        return x + 1, job.task

    shop.app.task(name="tasks.f")(f)
    run = shop.runner.open(claimed("tasks.f", 1))
    settled = shop.runner.settle(run, shop.runner.call(run))
    assert (settled.lane, record_of(settled).value) == ("io", (2, "tasks.f"))


def test_a_job_that_failed_before_counts_its_attempts(shop: Shop) -> None:
    settled = shop.run(lambda: None, history=encode_history(7, [EARLIER]))
    assert (settled.attempt, record_of(settled).attempt) == (8, 8)


def test_the_machines_clock_may_be_set_back_while_a_job_runs(shop: Shop) -> None:
    settled = shop.run(lambda: shop.clock.advance(-3600))
    assert settled.seconds == 0.0


def test_a_job_from_a_machine_whose_clock_is_ahead_has_not_waited(shop: Shop) -> None:
    shop.clock.advance(-NOW)
    assert shop.run(lambda: None).waited == 0.0


# It raises


def test_an_exception_is_retried_after_the_backoff(shop: Shop) -> None:
    settled = shop.run(raiser(lambda: ValueError("bad image")), history=encode_history(1, [EARLIER]))
    assert settled.step == Delay(10.0, error_of(settled)), "half of twice the base"
    assert (settled.record, settled.attempt) == (b"", 2)
    count, attempts = decode_history(settled.history)
    assert (count, attempts) == (
        2,
        (EARLIER, Attempt(started_at=NOW, seconds=0.0, worker="w1", error="ValueError: bad image")),
    )


def test_an_exception_carries_type_text_arguments_and_its_own_frames(shop: Shop) -> None:
    error = error_of(shop.run(raiser(lambda: ValueError("bad image", 7))))
    assert (error.type, error.text, error.args) == ("builtins.ValueError", "('bad image', 7)", ("bad image", 7))
    lines = error.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: ('bad image', 7)"
    assert "raise error()" in error.traceback
    assert "taskq_workers" not in error.traceback


def test_the_last_attempt_that_fails_is_a_dead_letter_with_its_record(shop: Shop) -> None:
    def f() -> None:
        shop.clock.advance(2.0)
        raise KeyError("user")

    settled = shop.run(f, retries=1, history=encode_history(1, [EARLIER]))
    assert settled.step == Bury(error_of(settled))
    assert decode_history(settled.history)[0] == 2
    record = record_of(settled)
    assert record.error == error_of(settled)
    assert (record.state, record.value, record.attempt, record.seconds) == ("dead", None, 2, 2.0)


@pytest.mark.parametrize(
    ("declared", "error", "again"),
    [
        ({}, ValueError, True),
        ({"retries": 0}, ValueError, False),
        ({"retry_on": OSError}, ConnectionError, True),
        ({"retry_on": OSError}, ValueError, False),
        ({"retry_on": (OSError, ValueError)}, ValueError, True),
        ({"retry_on": ()}, ValueError, False),
        ({"no_retry_on": LookupError}, KeyError, False),
        ({"no_retry_on": LookupError}, ValueError, True),
        ({"retry_on": OSError, "no_retry_on": FileNotFoundError}, FileNotFoundError, False),
        ({"retry_on": BaseException}, SystemExit, True),
    ],
)
def test_a_task_says_which_exceptions_are_worth_a_retry(
    shop: Shop, declared: dict[str, Any], error: type[BaseException], again: bool
) -> None:
    settled = shop.run(raiser(error), **declared)
    assert isinstance(settled.step, Delay if again else Bury)


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_that_wants_to_end_the_process_ends_only_itself(shop: Shop, error: BaseException, is_async: bool) -> None:
    async def coroutine() -> None:
        raise error

    settled = shop.run(coroutine if is_async else raiser(lambda: error))
    assert isinstance(settled.step, Bury)
    assert error_of(settled).type.endswith(f".{type(error).__name__}")


def test_sys_exit_in_a_job_is_a_dead_letter(shop: Shop) -> None:
    error = error_of(shop.run(lambda: sys.exit("give up")))
    assert (error.type, error.text) == ("builtins.SystemExit", "give up")


def test_endless_recursion_ends_the_job_and_not_the_thread(shop: Shop) -> None:
    def f() -> None:
        f()

    settled = shop.run(f)
    error = error_of(settled)
    assert isinstance(settled.step, Delay)
    assert error.type == "builtins.RecursionError"
    assert len(error.traceback) < TRACEBACK_LIMIT + 10


def test_arguments_that_do_not_fit_the_function_any_more_fail_the_job(shop: Shop) -> None:
    error = error_of(shop.run(lambda x: x))
    assert error.type == "builtins.TypeError"
    assert "missing 1 required positional argument: 'x'" in error.text


def test_a_coroutine_fails_like_a_function(shop: Shop) -> None:
    async def f() -> None:
        await asyncio.sleep(0)
        raise ValueError("bad image")

    settled = shop.run(f)
    assert isinstance(settled.step, Delay)
    assert error_of(settled).text == "bad image"
    assert "taskq_workers" not in error_of(settled).traceback


def test_the_cause_of_an_exception_is_shown(shop: Shop) -> None:
    def f() -> None:
        try:
            raise KeyError("user")
        except KeyError as error:
            raise ValueError("no such user") from error

    trace = error_of(shop.run(f)).traceback
    assert "KeyError: 'user'" in trace
    assert "The above exception was the direct cause" in trace


# It asks for a retry


def test_a_job_may_name_the_delay_of_its_retry(shop: Shop) -> None:
    settled = shop.run(raiser(lambda: Retry("the API is busy", delay="1m")))
    assert settled.step == Delay(60.0, error_of(settled))
    assert (error_of(settled).type, error_of(settled).text) == ("taskq.retry.Retry", "the API is busy")
    assert decode_history(settled.history)[1][0].error == "Retry: the API is busy"


def test_a_job_may_leave_the_delay_to_the_backoff(shop: Shop) -> None:
    settled = shop.run(raiser(Retry))
    assert settled.step == Delay(5.0, error_of(settled))
    assert decode_history(settled.history)[1][0].error == "Retry"


def test_a_job_that_asks_once_too_often_is_dead(shop: Shop) -> None:
    settled = shop.run(raiser(lambda: Retry("busy", delay=1)), retries=0)
    assert settled.step == Bury(error_of(settled))
    assert record_of(settled).error == error_of(settled)


def test_no_retry_on_does_not_stop_a_job_that_asks(shop: Shop) -> None:
    settled = shop.run(raiser(lambda: Retry(delay=1)), retry_on=(), no_retry_on=BaseException)
    assert settled.step == Delay(1.0, error_of(settled))


def test_retry_passes_through_the_jobs_except_exception(shop: Shop) -> None:
    def f() -> None:
        try:
            raise Retry(delay=1)
        except Exception:
            return

    assert isinstance(shop.run(f).step, Delay)


# Its result cannot be stored


@pytest.mark.parametrize("value", [object(), {"x": frozenset()}, [lambda: None], range(3)])
def test_a_result_that_cannot_travel_is_final(shop: Shop, value: Any) -> None:
    settled = shop.run(lambda: value)
    assert settled.step == Bury(error_of(settled))
    error = record_of(settled).error
    assert error is not None
    assert error.type == "taskq.errors.ResultNotStored"
    assert error.text.startswith("the result of tasks.f ")
    assert error.args == (error.text,)


def test_a_result_that_is_too_large_is_final(shop: Shop) -> None:
    settled = shop.run(lambda: b"x" * 20_000)
    assert settled.step == Bury(error_of(settled))
    assert error_of(settled).type == "taskq.errors.ResultNotStored"
    assert error_of(settled).text.startswith("cannot store the result of tasks.f: it takes 20")


def test_a_coroutine_that_was_not_awaited_is_no_result(shop: Shop) -> None:
    async def inner() -> int:
        return 1

    coroutine = inner()
    settled = shop.run(lambda: coroutine)
    coroutine.close()
    assert error_of(settled).type == "taskq.errors.ResultNotStored"


# There is nothing to run


def test_a_task_that_this_worker_does_not_know_is_parked(shop: Shop) -> None:
    settled = shop.settle(claimed("tasks.unknown", 1))
    assert settled.step == Park(600.0)
    assert (settled.task, settled.record, settled.history) == ("tasks.unknown", b"", b"")


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x90", b"\xff" * 50])
def test_a_body_that_is_no_job_is_a_dead_letter_with_the_reason(shop: Shop, body: bytes) -> None:
    settled = shop.settle(Claimed(bytes(16) + b"mail:cpu", body))
    assert settled.step == Bury(error_of(settled))
    assert (settled.lane, settled.task, settled.member) == ("cpu", "", bytes(16) + b"mail:cpu")
    error = record_of(settled).error
    assert error is not None
    assert error.type == "taskq.errors.MalformedJob"
    assert error.text.startswith("cannot decode ")
    assert decode_history(settled.history)[1][0].error.startswith("MalformedJob: cannot decode ")


def test_a_job_over_this_workers_limit_is_a_dead_letter(shop: Shop) -> None:
    task = shop.app.task(name="tasks.f")(len)
    settled = shop.settle(claimed(task, b"x" * 20_000))
    assert "the limit is 20000" in error_of(settled).text


def test_a_job_that_a_newer_taskq_wrote_is_left_to_workers_that_can_read_it(shop: Shop) -> None:
    settled = shop.settle(Claimed(bytes(16) + b"mail:cpu", pack([3, "tasks.f", "and what it then has"])))
    assert settled.step == Park(600.0)
    assert (settled.task, settled.record, settled.history) == ("", b"", b"")


def test_a_job_of_a_newer_taskq_is_left_to_others_though_what_is_in_it_cannot_be_read_here(shop: Shop) -> None:
    unheard_of = b"\x92\xd4\x01?\xa1x"  # a mark that there is not
    for head in (b"\x93\x03", b"\xdc\0\x03\x03"):
        settled = shop.settle(Claimed(bytes(16) + b"mail:cpu", head + b"\xa7tasks.f" + unheard_of))
        assert settled.step == Park(600.0)
    settled = shop.settle(Claimed(bytes(16) + b"mail:cpu", b"\x93\x02\xa7tasks.f" + unheard_of))
    assert "no such mark" in error_of(settled).text


def test_attempts_that_a_newer_taskq_wrote_are_counted(shop: Shop) -> None:
    settled = shop.run(raiser(ValueError), retries=3, history=pack([3, 3, {"and": "more"}]))
    assert (type(settled.step), settled.attempt) == (Bury, 4)


@pytest.mark.parametrize("history", [b"\xc1", b"\x92\x03\xff", b"\x91\x03", b"\x90"])
def test_a_history_that_cannot_be_read_is_a_dead_letter_with_the_reason(shop: Shop, history: bytes) -> None:
    settled = shop.run(lambda: 1, history=history)
    assert isinstance(settled.step, Bury)
    assert error_of(settled).type == "taskq.errors.MalformedJob"


# Types of the app's own


@dataclass(frozen=True)
class Amount:
    cents: int

    def __post_init__(self) -> None:
        if self.cents < 0:
            raise {-1: ValueError("below zero"), -2: SystemExit(3), -3: Retry(delay=5)}[self.cents]


def of_own_type(shop: Shop, func: Callable[..., Any], cents: int, **declared: Any) -> Claimed:
    """A job of `func` with a value of Amount, whatever its constructor says to it."""
    task = shop.app.task(name="tasks.f", backoff=Backoff(base=10.0), **declared)(func)
    body = encode_job(
        Envelope(task=task.name, args=([Named("amount", ["cents", cents])],), kwargs={}, enqueued_at=1.0),
        types=shop.app.types,
    )
    return Claimed(bytes(16) + b"default:io", body)


@pytest.fixture
def typed(shop: Shop) -> Shop:
    shop.app.register_type(Amount, name="amount")
    return shop


def test_a_job_gets_values_of_the_apps_own_types_and_returns_some(typed: Shop) -> None:
    settled = typed.settle(of_own_type(typed, lambda amounts: [*amounts, Amount(2)], 1))
    record = record_of(settled)
    assert typed.app.types.build(record.value) == [Amount(1), Amount(2)]


def test_a_coroutine_gets_values_of_the_apps_own_types(typed: Shop) -> None:
    async def f(amounts: list[Amount]) -> int:
        return amounts[0].cents

    assert record_of(typed.settle(of_own_type(typed, f, 7))).value == 7


@pytest.mark.parametrize("lane", ["io", "async"])
@pytest.mark.parametrize(
    ("cents", "step", "error"), [(-1, Delay, "ValueError"), (-2, Bury, "SystemExit"), (-3, Delay, "Retry")]
)
def test_what_a_constructor_raises_is_a_failure_of_the_job(
    typed: Shop, lane: str, cents: int, step: type, error: str
) -> None:
    async def coroutine(amounts: list[Amount]) -> None:
        pytest.fail("it was called")

    def function(amounts: list[Amount]) -> None:
        pytest.fail("it was called")

    settled = typed.settle(of_own_type(typed, coroutine if lane == "async" else function, cents))
    assert type(settled.step) is step
    assert error_of(settled).type.endswith(error)
    assert "taskq was building a value of 'amount'" in error_of(settled).traceback or cents != -1


def test_a_job_with_a_type_that_is_not_known_here_is_left_to_others_with_the_reason(shop: Shop) -> None:
    other = TaskQ()
    other.register_type(Amount, name="amount")
    task = shop.app.task(name="tasks.f")(len)
    body = encode_job(Envelope(task=task.name, args=(Amount(1),), kwargs={}, enqueued_at=1.0), types=other.types)
    settled = shop.settle(Claimed(bytes(16) + b"default:io", body))
    assert settled.step == Park(600.0, "type 'amount' is not registered here")


def test_a_job_with_an_unknown_type_of_an_unknown_task_is_parked_for_its_task(typed: Shop) -> None:
    body = encode_job(Envelope(task="none", args=(Amount(1),), kwargs={}, enqueued_at=1.0), types=typed.app.types)
    assert typed.settle(Claimed(bytes(16) + b"default:io", body)).step == Park(600.0)


def test_args_of_an_exception_are_encoded_while_it_is_the_jobs(typed: Shop) -> None:
    asked: list[object] = []

    class Odd:
        pass

    def encode(odd: Odd) -> int:
        if asked:
            raise SystemExit  # the second time nothing would catch it
        asked.append(odd)
        return 1

    typed.app.register_type(Odd, name="odd", encode=encode, decode=lambda made: made)
    settled = typed.run(raiser(lambda: ValueError(Odd(), Amount(1))), retries=0)
    error = record_of(settled).error
    assert error is not None
    assert typed.app.types.build(error.args) == (1, Amount(1))


def test_a_result_that_its_encode_ends_the_process_with_is_a_failure_of_the_job(typed: Shop) -> None:
    class Odd:
        pass

    typed.app.register_type(Odd, encode=lambda odd: sys.exit(3), decode=lambda made: made)
    assert error_of(typed.run(Odd, retries=0)).type == "builtins.SystemExit"


# Its exception is a strange one


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class QuitterError(Exception):
    def __str__(self) -> str:
        raise SystemExit


class UnportableError(Exception):
    pass


class SecretiveError(Exception):
    @property
    def args(self) -> Any:
        raise RuntimeError("no args")

    @args.setter
    def args(self, value: Any) -> None: ...


class MisnamedError(Exception):
    args = "abc"


MisplacedError = type("MisplacedError", (Exception,), {"__module__": None})


def test_an_exception_whose_text_cannot_be_had_fails_the_job(shop: Shop) -> None:
    error = error_of(shop.run(raiser(lambda: UnspeakableError("x"))))
    assert error.type == f"{__name__}.UnspeakableError"
    assert error.text == "(its text cannot be had: RuntimeError)"
    assert "UnspeakableError: <exception str() failed>" in error.traceback


@pytest.mark.parametrize("kind", [QuitterError, SecretiveError, MisnamedError, MisplacedError])
def test_no_exception_is_so_strange_that_it_ends_the_thread(shop: Shop, kind: type[Exception]) -> None:
    settled = shop.run(raiser(lambda: kind("x")), retries=0)
    assert isinstance(settled.step, Bury)
    error = record_of(settled).error
    assert error is not None
    assert error.type.endswith(kind.__qualname__)


@pytest.mark.parametrize("args", [(object(),), (threading.Lock(),), ([frozenset()],), (b"x" * 17_000,)])
def test_arguments_of_an_exception_that_cannot_travel_stay_behind(shop: Shop, args: tuple[Any, ...]) -> None:
    settled = shop.run(raiser(lambda: UnportableError(*args)), retries=0)
    error = record_of(settled).error
    assert error is not None
    assert error.args is None
    assert error.type == f"{__name__}.UnportableError"


def test_a_long_exception_is_cut(shop: Shop) -> None:
    settled = shop.run(raiser(lambda: ValueError("x" * 1_000_000)), retries=0)
    error = record_of(settled).error
    assert error is not None
    assert error.text == "x" * TEXT_LIMIT or error.text.startswith("x" * 1000)
    assert len(settled.record) <= 20_000
    assert len(decode_history(settled.history)[1][0].error) == 500


def test_an_error_finds_room_under_the_smallest_size_limit() -> None:
    shop = Shop()
    shop.runner = Runner(shop.app.tasks, "w1", size_limit=100, clock=shop.clock, chance=lambda: 0.5)
    settled = shop.run(raiser(lambda: ValueError("x" * 5000)), retries=0)
    error = record_of(settled).error
    assert error is not None
    assert error.type == "builtins.ValueError"


def test_an_exception_of_an_inner_class_goes_by_its_qualified_name(shop: Shop) -> None:
    class InnerError(Exception):
        pass

    assert error_of(shop.run(raiser(InnerError))).type == f"{__name__}.{InnerError.__qualname__}"


def test_one_line_says_what_went_wrong() -> None:
    assert summary(describe(ValueError("bad image"))) == "ValueError: bad image"
    assert summary(describe(ValueError())) == "ValueError"


# It runs out of time


def test_a_job_that_the_time_limit_reached_is_late_and_may_try_again(shop: Shop) -> None:
    settled = shop.run(raiser(TimeLimit), timeout="2s")
    assert isinstance(settled.step, Delay)
    error = error_of(settled)
    assert error.type == "taskq.errors.TimeLimitExceeded"
    assert error.text == "tasks.f ran longer than its timeout of 2 s"
    assert error.args == (error.text,)
    assert "raise error()" in error.traceback


def test_an_abandoned_job_is_late_too(shop: Shop) -> None:
    task = shop.app.task(name="tasks.f", timeout=0.5)(lambda: None)
    late = shop.runner.late(shop.runner.open(claimed(task)))
    assert isinstance(late, Failed)
    assert not late.final
    assert late.error.text == "tasks.f ran longer than its timeout of 0.5 s"


# current_job


def test_a_job_can_ask_who_it_is(shop: Shop) -> None:
    seen: list[CurrentJob | None] = []
    shop.app.task(name="tasks.f", queue="mail", retries=5)(lambda: seen.append(current_job()))
    task = shop.app.tasks["tasks.f"]
    shop.settle(claimed(task, key="invoice-7", history=encode_history(2, [EARLIER])))
    assert seen == [
        CurrentJob(id="invoice-7", task="tasks.f", queue="mail", attempt=3, retries=5, enqueued_at=1.0, fence="w1")
    ]


def test_a_job_without_a_name_has_a_shown_id(shop: Shop) -> None:
    job = claimed(shop.app.task(name="tasks.f")(lambda: getattr(current_job(), "id", None)))
    assert record_of(shop.settle(job)).value == ids.show(job.member[:16])


def test_outside_of_jobs_there_is_no_current_job(shop: Shop) -> None:
    assert current_job() is None
    shop.run(lambda: None)
    assert current_job() is None
    shop.run(raiser(SystemExit), name="tasks.exit")
    assert current_job() is None


def test_each_coroutine_has_a_current_job_of_its_own(shop: Shop) -> None:
    async def f(other: asyncio.Event, mine: asyncio.Event) -> str:
        mine.set()
        await other.wait()
        job = current_job()
        assert job is not None
        return job.id

    async def main() -> list[str]:
        events = asyncio.Event(), asyncio.Event()
        declaration = shop.app.task(name="tasks.f")(f)
        runs = [shop.runner.open(claimed(declaration, key=key)) for key in ("a", "b")]
        for run, args in zip(runs, (events, events[::-1]), strict=True):
            object.__setattr__(run.envelope, "args", args)
        outcomes = await asyncio.gather(*map(shop.runner.acall, runs))
        assert current_job() is None
        settled = map(shop.runner.settle, runs, outcomes)
        return [record_of(each).value for each in settled]

    assert asyncio.run(main()) == ["a", "b"]


def test_a_helper_of_a_job_sees_the_job(shop: Shop) -> None:
    async def f() -> str:
        job = await asyncio.to_thread(current_job)
        assert job is not None
        return job.task

    assert record_of(shop.run(f)).value == "tasks.f"


# It forks


@pytest.mark.parametrize("is_async", [False, True])
def test_the_copy_of_a_job_that_forked_and_returned_is_no_second_worker(shop: Shop, is_async: bool) -> None:
    def fork() -> int:
        return os.fork()

    async def afork() -> int:
        return os.fork()

    settled = shop.run(afork if is_async else fork)
    child = record_of(settled).value
    assert child != 0, "this is the copy"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
