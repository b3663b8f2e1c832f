"""What an executor can be given, what a worker makes of the modules that its app allows, why the rest is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from taskq import TaskQ, TaskqError
from taskq.broker.records import Claimed
from taskq.codec import Envelope, encode_job
from taskq.errors import ConfigError, NotSerializable
from taskq.executor.chunks import cut
from taskq.executor.functions import Functions, FunctionTask, enlist
from taskq.lifecycle import Failed, Succeeded, Unknown
from taskq_workers.runner import Run, Runner
from tests.support.clock import FakeClock

SHOP = """
import math, subprocess
from functools import wraps
from os import system
from os.path import join

def price(x):
    return 2 * x

async def fetch(x):
    return x

def numbers():
    yield 1

def _secret(): ...

def _wrapped(func):
    @wraps(func)
    def wrapper(*args):
        return func(*args)
    return wrapper

@_wrapped
def wrapped(x):
    return -x

def outer():
    def inner(): ...
    return inner

class Item:
    def cost(self): ...
    @staticmethod
    def worth(): ...
    def __call__(self): ...

class NotInStockError(Exception): ...

short = lambda x: x
alias = price
half = __import__("functools").partial(price, 1)
inner = outer()
"""


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module "shop.jobs"."""
    module = ModuleType("shop.jobs")
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.jobs", module)
    exec(SHOP, vars(module))
    return module


@pytest.fixture
def app() -> TaskQ:
    return TaskQ(executor_modules=["shop.jobs"])


def refusal(app: TaskQ, fn: Any) -> str:
    with pytest.raises(TaskqError) as caught:
        Functions(app, None).task_for(fn)
    assert isinstance(caught.value, (NotSerializable, ConfigError))
    return str(caught.value)


# What can be given


@pytest.mark.parametrize(("name", "lane"), [("price", "io"), ("fetch", "async"), ("wrapped", "io")])
def test_a_public_function_of_an_allowed_module_is_a_task_of_its_name_that_is_never_retried(
    app: TaskQ, shop: ModuleType, name: str, lane: str
) -> None:
    functions = Functions(app, None)
    task = functions.task_for(vars(shop)[name])
    assert (task.name, task.declaration.pool, task.declaration.retries) == (f"shop.jobs.{name}", lane, 0)
    assert functions.task_for(vars(shop)[name]) is task
    assert app.tasks == {}


def test_the_lane_is_that_of_the_executor(app: TaskQ, shop: ModuleType) -> None:
    assert Functions(app, "cpu").task_for(shop.price).declaration.pool == "cpu"
    with pytest.raises(ConfigError, match="cannot run in pool 'async': it is a plain def"):
        Functions(app, "async").task_for(shop.price)


def test_tasks_and_their_functions_are_the_tasks(app: TaskQ, shop: ModuleType) -> None:
    task = app.task(retries=7)(shop.price)
    functions = Functions(app, "cpu")
    urgent = task.options(priority=9)
    assert functions.task_for(task) is functions.task_for(shop.price) is task
    assert functions.task_for(urgent) is urgent


def test_a_name_that_another_task_has_is_not_the_function_s(app: TaskQ, shop: ModuleType) -> None:
    other = app.task(name="shop.jobs.price")(shop.wrapped)
    assert Functions(app, None).task_for(shop.price) is not other


# What cannot


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("short", "cannot submit <lambda>: it is a lambda, which has no name to find it by\n"
         "  hint: def a function in a module"),
        ("inner", "cannot submit outer.<locals>.inner: it is made anew in each call of outer\n"
         "  hint: def it in its module, outside of functions"),
        ("Item.cost", "cannot submit Item.cost: it belongs to a class\n"
         "  hint: def it in its module, outside of classes"),
        ("Item().cost", "cannot submit Item.cost: it is a method of an object of type Item, which is only here\n"
         "  hint: submit a function that gets or makes its Item by itself"),
        ("Item", "cannot submit Item: it is a class, not a function\n  hint: submit a function of a module"),
        ("_secret", "cannot submit _secret: its name begins with _: it is private to its module\n"
         "  hint: give it a public name"),
        ("math.sqrt", "cannot submit sqrt: it is written in C\n  hint: call it in a function of your own"),
        ("system", "cannot submit system: it is written in C\n  hint: call it in a function of your own"),
        ("numbers", "cannot make a task of 'shop.jobs.numbers': it is not a function that returns\n"
         "  hint: return a list instead of yielding"),
        ("join", "cannot submit posixpath.join: its module is not among the executor_modules of the app\n"
         "  hint: TaskQ(executor_modules=['posixpath']), or make it a task: @app.task"),
        ("None", "cannot submit None: it is of type NoneType, not a function\n  hint: submit a function of a module"),
    ],
)  # fmt: skip
def test_what_cannot_be_given_says_why(app: TaskQ, shop: ModuleType, expression: str, why: str) -> None:
    assert refusal(app, eval(expression, vars(shop))) == why


def test_a_partial_and_a_callable_object_say_what_they_are(app: TaskQ, shop: ModuleType) -> None:
    assert "it is a partial\n  hint: submit the function, with all of its arguments" in refusal(app, shop.half)
    assert "it is of type Item, not a function" in refusal(app, shop.Item())


def test_a_function_that_its_module_no_longer_has_is_refused(app: TaskQ, shop: ModuleType) -> None:
    before = shop.price
    shop.price = shop.wrapped
    assert refusal(app, before).startswith("cannot submit price: it is not what shop.jobs has under that name")


def test_the_modules_are_a_list(app: TaskQ) -> None:
    with pytest.raises(ConfigError, match=r"executor_modules is a text\n  hint: \['shop.jobs'\]"):
        TaskQ(executor_modules="shop.jobs")


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_at_least_one_worker(app: TaskQ, workers: int) -> None:
    with pytest.raises(ConfigError, match=f"max_workers is {workers}\n  hint: at least 1, or None for no bound"):
        app.executor(workers)


def test_the_lane_is_one_of_three(app: TaskQ) -> None:
    pool: Any = "gpu"
    with pytest.raises(ConfigError, match="pool of an executor is 'gpu'\n  hint: 'io', 'cpu' or 'async'"):
        app.executor(pool=pool)


# What a worker makes of it


def test_a_worker_makes_tasks_of_the_public_functions_that_are_written_in_these_modules(
    app: TaskQ, shop: ModuleType
) -> None:
    enlist(app, "main")
    assert sorted(app.tasks) == ["shop.jobs." + name for name in ("fetch", "outer", "price", "wrapped")]
    assert all(isinstance(task, FunctionTask) for task in app.tasks.values())
    assert set(app.exceptions) == {"shop.jobs.NotInStockError"}


def test_tasks_of_the_app_stay_as_they_are(app: TaskQ, shop: ModuleType) -> None:
    task = app.task(retries=7)(shop.price)
    enlist(app, "main")
    assert app.tasks["shop.jobs.price"] is task


def test_main_is_the_module_of_the_app(shop: ModuleType) -> None:
    app = TaskQ(executor_modules=["__main__"])
    enlist(app, "shop.jobs")
    assert "shop.jobs.price" in app.tasks
    assert app.executor_modules == ("shop.jobs",)
    assert Functions(app, None).task_for(shop.price).name == "shop.jobs.price"


def test_a_worker_s_own_executors_choose_the_lane_too(app: TaskQ, shop: ModuleType) -> None:
    enlist(app, "main")
    assert Functions(app, "cpu").task_for(shop.price).declaration.pool == "cpu"


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot import 'nowhere\.jobs', one of the executor_modules of the app"):
        enlist(TaskQ(executor_modules=["nowhere.jobs"]), "main")


# Chunks


@pytest.fixture
def runner(app: TaskQ, shop: ModuleType) -> Runner:
    app.task(name="dear", timeout=5, retries=7, result_ttl=60)(shop.price)
    app.task(name="fetch")(shop.fetch)
    return Runner(app.tasks, "w1", size_limit=app.size_limit, clock=FakeClock(), chance=lambda: 0.5)


def opened(runner: Runner, name: str, *args: Any) -> Run:
    envelope = Envelope(task=name, args=args, kwargs={}, enqueued_at=1.0)
    return runner.open(Claimed(bytes(16) + b"mail:io", encode_job(envelope)))


def test_a_chunk_has_the_policy_of_its_task_and_its_timeout_for_each_call(runner: Runner) -> None:
    run = opened(runner, "dear[]", [(1,), (2,), (3,)])
    assert run.declaration is not None
    assert (run.declaration.name, run.declaration.retries, run.declaration.result_ttl) == ("dear[]", 7, 60)
    assert run.timeout == 15
    assert opened(runner, "dear", 1).timeout == 5


@pytest.mark.parametrize("args", [(), (7,), ([],), (None,), ([1, 2],), ([(1,)], 2), ("ab",), ({},)])
def test_a_chunk_of_garbage_fails_as_a_job_does(runner: Runner, args: tuple[Any, ...]) -> None:
    run = opened(runner, "dear[]", *args)
    assert run.timeout in (5, 10)
    assert isinstance(runner.call(run), (Failed, Succeeded))


@pytest.mark.parametrize("name", ["other[]", "[]", "dear[][]", "dear[", "dear []"])
def test_a_chunk_of_an_unknown_task_is_unknown(runner: Runner, name: str) -> None:
    run = opened(runner, name, [(1,)])
    assert run.declaration is None
    assert isinstance(runner.call(run), Unknown)


def test_chunks_are_cut_as_they_are_asked_for() -> None:
    def rows() -> Iterator[int]:
        yield from (1, 2, 3)
        raise RuntimeError("too far")

    parts = cut(rows(), 2)
    assert next(parts) == [1, 2]
    assert list(cut([1, 2, 3], 2)) == [[1, 2], [3]]
    assert list(cut([], 2)) == []
