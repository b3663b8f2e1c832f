"""What can be declared, and what cannot."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from taskq.app import TaskQ
from taskq.declaration import Options, declare, make_options, module_name
from taskq.errors import ConfigError
from taskq.retry import Backoff


def add(x: int, y: int) -> int:
    return x + y


async def fetch(url: str) -> str:
    return url


def numbers() -> Iterator[int]:
    yield 1


async def anumbers() -> AsyncIterator[int]:
    yield 1


class Adder:
    def __call__(self) -> int:
        return 1


def refusal(func: Any = add, **declared: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        declare(func, **declared)
    return str(caught.value)


# Tasks


def test_a_plain_function_is_an_io_task_with_these_defaults() -> None:
    declared = declare(add)
    assert declared.name == f"{__name__}.add"
    assert (declared.queue, declared.pool, declared.retries) == ("default", "io", 3)
    assert (declared.retry_on, declared.no_retry_on) == ((Exception,), ())
    assert (declared.backoff, declared.timeout, declared.result_ttl) == (Backoff(), None, 3600.0)


def test_a_coroutine_function_is_an_async_task() -> None:
    assert declare(fetch).pool == "async"


def test_everything_can_be_declared() -> None:
    declared = declare(
        add,
        name="sum",
        queue="mail",
        pool="cpu",
        retries=0,
        retry_on=(KeyError, OSError),
        no_retry_on=FileNotFoundError,
        backoff="1m",
        timeout=timedelta(minutes=2),
        result_ttl=0,
    )
    assert (declared.name, declared.queue, declared.pool, declared.retries) == ("sum", "mail", "cpu", 0)
    assert (declared.retry_on, declared.no_retry_on) == ((KeyError, OSError), (FileNotFoundError,))
    assert (declared.backoff, declared.timeout, declared.result_ttl) == (Backoff(base=60.0), 120.0, 0.0)


def test_an_inner_function_goes_by_its_qualified_name() -> None:
    def inner() -> None: ...

    assert declare(inner).name == (f"{__name__}.test_an_inner_function_goes_by_its_qualified_name.<locals>.inner")


@pytest.mark.parametrize("func", [numbers, anumbers, 5, "add", None])
def test_what_does_not_return_is_no_task(func: Any) -> None:
    assert refusal(func, name="numbers") == (
        "cannot make a task of 'numbers': it is not a function that returns\n  hint: return a list instead of yielding"
    )


@pytest.mark.parametrize("func", [5, None, functools.partial(add, 1), Adder()])
def test_what_has_no_name_needs_one(func: Any) -> None:
    assert refusal(func).endswith("has no name\n  hint: name=")


@pytest.mark.parametrize("func", [functools.partial(add, 1), Adder()])
def test_anything_that_can_be_called_is_a_task_once_it_has_a_name(func: Callable[..., Any]) -> None:
    assert declare(func, name="made").name == "made"


@pytest.mark.parametrize("retries", [-1, 1.5, "3", None])
def test_retries_are_a_number_from_zero(retries: Any) -> None:
    assert refusal(retries=retries, name="a") == (
        f"retries of task 'a' is {retries!r}\n  hint: 0 or more; it counts re-tries"
    )


def test_a_timeout_of_zero_is_refused() -> None:
    assert refusal(timeout=0, name="a") == "timeout of task 'a' is 0\n  hint: None is no limit"


@pytest.mark.parametrize(
    ("declared", "what"),
    [
        ({"timeout": "soon"}, "timeout of task 'a' 'soon'"),
        ({"result_ttl": -1}, "result_ttl of task 'a' -1"),
        ({"backoff": "slow"}, "backoff 'slow'"),
    ],
)
def test_durations_are_checked(declared: dict[str, Any], what: str) -> None:
    assert refusal(**declared, name="a").startswith(f"{what} is not a duration")


@pytest.mark.parametrize("queue", ["", "a b", "a:b", "{a}", "x" * 101, "k\u00e4se", None, 7])
def test_a_queue_has_a_plain_name(queue: Any) -> None:
    text = refusal(queue=queue, name="a")
    assert text.startswith("queue of task 'a' ")
    assert text.endswith("cannot be used\n  hint: 1 to 100 of the characters A-Z a-z 0-9 _ . -")


@pytest.mark.parametrize("pool", ["gpu", "", 1])
def test_a_pool_is_a_lane(pool: Any) -> None:
    assert refusal(pool=pool, name="a") == f"pool of task 'a' is {pool!r}\n  hint: 'io', 'cpu' or 'async'"


def test_a_plain_function_cannot_run_in_the_event_loop() -> None:
    assert refusal(pool="async", name="a") == "task 'a' cannot run in pool 'async': it is a plain def"


@pytest.mark.parametrize("pool", ["io", "cpu"])
def test_a_coroutine_function_cannot_run_in_a_thread(pool: Any) -> None:
    assert refusal(fetch, pool=pool, name="a") == f"task 'a' cannot run in pool '{pool}': it is an async def"


@pytest.mark.parametrize("which", ["retry_on", "no_retry_on"])
@pytest.mark.parametrize("types", ["ValueError", ValueError("x"), int, (ValueError, 5), None])
def test_only_exception_types_say_when_to_retry(which: str, types: Any) -> None:
    text = refusal(**{which: types}, name="a")
    assert text.startswith("retry_on or no_retry_on of task 'a' holds ")
    assert text.endswith(", which is not an exception type")


# Names of what runs as __main__


@pytest.mark.parametrize("arguments", [["shop.py"], ["-m", "shop"], ["-m", "store.shop"], ["-m", "store"]])
def test_a_task_of_a_script_goes_by_the_name_that_a_worker_imports_it_by(tmp_path: Path, arguments: list[str]) -> None:
    code = (
        "from taskq.declaration import declare\ndef add(): ...\nif __name__ == '__main__': print(declare(add).name)\n"
    )
    (tmp_path / "store").mkdir()
    for path in ("shop.py", "store/__init__.py", "store/shop.py", "store/__main__.py"):
        (tmp_path / path).write_text(code)
    out = subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    assert out.stdout.decode().strip() == arguments[-1].removesuffix(".py") + ".add"


def test_a_class_of_a_module_goes_by_the_name_of_the_module() -> None:
    assert module_name(Adder) == __name__


# Registering


@pytest.mark.parametrize("other", [fetch, module_name, Adder(), functools.partial(add, 1)])
def test_two_functions_cannot_have_one_name(other: Callable[..., Any]) -> None:
    app = TaskQ()
    app.task(name="add")(add)
    with pytest.raises(ConfigError) as caught:
        app.task(name="add")(other)
    assert str(caught.value) == "task 'add' is registered twice\n  hint: give one of them another name="


@pytest.mark.parametrize("func", [add, Adder(), functools.partial(add, 1)])
def test_a_module_that_is_loaded_again_may_register_its_functions_again(func: Callable[..., Any]) -> None:
    app = TaskQ()
    app.task(name="add")(func)
    again = app.task(name="add", retries=9)(func)
    assert app.tasks["add"] is again


def test_the_exceptions_that_a_task_names_are_registered_with_it() -> None:
    class BusyError(Exception):
        pass

    app = TaskQ()
    app.task(retry_on=BusyError, no_retry_on=(KeyError,))(add)
    names = {f"{__name__}.{BusyError.__qualname__}": BusyError, "builtins.KeyError": KeyError}
    assert app.exceptions.items() >= names.items()


@pytest.mark.parametrize("namespace", ["", "a:b", "{x}", 5])
def test_a_namespace_has_a_plain_name(namespace: Any) -> None:
    with pytest.raises(ConfigError, match=r"^namespace .* cannot be used\n  hint: 1 to 100 of the characters"):
        TaskQ(namespace=namespace)


@pytest.mark.parametrize("limit", [0, -1, 16 * 1024 * 1024 + 1])
def test_a_size_limit_is_between_one_byte_and_sixteen_megabytes(limit: int) -> None:
    with pytest.raises(ConfigError, match=f"^size_limit {limit} cannot be used\n  hint: 1 to 16777216 bytes$"):
        TaskQ(size_limit=limit)


# Options


def options(before: Options | None = None, **changes: Any) -> Options:
    none: dict[str, Any] = dict.fromkeys(("delay", "eta", "queue", "priority", "job_id", "queue_timeout"))
    return make_options(before or Options(), **(none | changes))


def test_options_change_what_they_name_and_keep_the_rest() -> None:
    first = options(delay="10m", queue="mail")
    assert first == Options(delay=600.0, queue="mail")
    assert options(first, priority=9, job_id="invoice-7") == Options(
        delay=600.0, queue="mail", priority=9, job_id="invoice-7"
    )
    assert options(first) == first


def test_an_eta_is_a_moment() -> None:
    assert options(eta=datetime(2024, 1, 1, tzinfo=UTC)) == Options(eta=1_704_067_200.0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"eta": datetime(2024, 1, 1)}, "is not an aware datetime\n  hint: datetime(..., tzinfo=timezone.utc)"),
        ({"eta": 1_704_067_200}, "eta 1704067200 is not an aware datetime"),
        ({"delay": -1}, "delay -1 is not a duration"),
        ({"queue": "a b"}, "queue 'a b' cannot be used"),
        ({"priority": 10}, "priority 10 cannot be used\n  hint: 0 to 9, higher runs sooner, default 5"),
        ({"priority": -1}, "priority -1 cannot be used"),
        ({"priority": 5.0}, "priority 5.0 cannot be used"),
        ({"job_id": ""}, "job_id '' cannot be used\n  hint: a text of 1 to 1000 characters"),
        ({"job_id": "x" * 1001}, "job_id 'xxxxx"),
        ({"job_id": 7}, "job_id 7 cannot be used"),
        ({"delay": 1, "eta": datetime(2024, 1, 1, tzinfo=UTC)}, "delay and eta cannot both be given"),
    ],
)
def test_an_option_that_cannot_be_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(**changes)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_eta_cannot_be_added_to_a_delay() -> None:
    with pytest.raises(ConfigError, match="hint: delay counts from now, eta is a moment"):
        options(options(delay=1), eta=datetime(2024, 1, 1, tzinfo=UTC))
