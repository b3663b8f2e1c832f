"""Values of an app's own types from `enqueue` to `result`, and on the command line, which has no app."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from taskq import TaskFailed, TaskQ
from taskq.broker.broker import Broker
from taskq.errors import MalformedJob, NotSerializable, ResultNotStored
from tests.support.census import take_census
from tests.support.clock import FakeClock
from tests.support.console import Console
from tests.support.inline import Inline

PATIENCE = 20.0


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(f"{self.x} is left of everything")


class Colour(Enum):
    RED = 1


class Shop:
    """An app with tasks; what is registered with it is up to the test."""

    def __init__(self, broker: Broker, clock: FakeClock):
        self.app = TaskQ(clock=clock)
        self.app.use(broker)
        self.echo = self.app.task(name="echo", retries=0)(echo)
        self.fail = self.app.task(name="fail", retries=0)(fail)


def echo(value: Any) -> Any:
    return [value, Colour.RED]


def fail(value: Any) -> None:
    raise ValueError("no", value)


@pytest.fixture
def shops(broker: Broker, clock: FakeClock) -> Iterator[tuple[Shop, Shop]]:
    """Two programs on one namespace; the first knows the types."""
    knows, knows_not = Shop(broker, clock), Shop(broker, clock)
    knows.app.register_type(Point, name="point")
    knows.app.register_type(Colour, name="colour")
    yield knows, knows_not
    knows.app.close()
    knows_not.app.close()


def test_arguments_results_and_errors_hold_values_of_own_types(shops: tuple[Shop, Shop]) -> None:
    shop, _ = shops
    value = {Point(1): [Point(2, 3), Colour.RED]}
    jobs = [shop.echo.enqueue(value), shop.fail.enqueue(value)]
    assert Inline(shop.app).work() == 2
    assert jobs[0].result(PATIENCE) == [value, Colour.RED]
    with pytest.raises(ValueError, match="no") as caught:
        jobs[1].result(PATIENCE)
    assert caught.value.args == ("no", value)
    got, error = shop.app.gather(jobs, PATIENCE, return_exceptions=True)
    assert got == [value, Colour.RED]
    assert isinstance(error, ValueError)


def test_a_type_that_is_not_registered_is_refused_before_anything_is_sent(shops: tuple[Shop, Shop]) -> None:
    _, shop = shops
    with pytest.raises(NotSerializable, match=r"argument 'value' of echo is a Point; .*\n  hint: app.register_type"):
        shop.echo.enqueue(Point(1))
    assert take_census(shop.app.broker)["jobs"] == {}


def test_a_result_whose_type_is_not_registered_with_the_worker_is_an_error_of_the_job(
    shops: tuple[Shop, Shop],
) -> None:
    _, shop = shops
    job = shop.echo.enqueue(1)
    Inline(shop.app).work()
    with pytest.raises(
        ResultNotStored, match=r"the result of echo holds a Colour at \[1\].*\n  hint: app.register_type"
    ):
        job.result(PATIENCE)


def test_a_worker_that_does_not_know_a_type_leaves_the_job_to_others(shops: tuple[Shop, Shop]) -> None:
    shop, other = shops
    job = shop.echo.enqueue(Point(1))
    Inline(other.app).work()
    assert job.status() == "parked"


def test_a_reader_that_does_not_know_a_type_is_told_which(shops: tuple[Shop, Shop]) -> None:
    shop, other = shops
    done, failed = shop.echo.enqueue(Point(1)), shop.fail.enqueue(Point(1))
    Inline(shop.app).work()
    with pytest.raises(MalformedJob, match=r"type 'point' is not registered here\n  hint: app.register_type"):
        other.app.job(done.id).result(PATIENCE)
    with pytest.raises(TaskFailed, match=r"builtins\.ValueError: "):
        other.app.job(failed.id).result(PATIENCE)


def test_a_value_that_its_constructor_refuses_is_the_failure_of_its_job_alone(shops: tuple[Shop, Shop]) -> None:
    shop, _ = shops
    sender = TaskQ()
    sender.use(shop.app.broker)

    @dataclass(frozen=True)
    class Anything:
        x: int

    sender.register_type(Anything, name="point")
    bad, good = sender.task(name="echo")(echo).enqueue(Anything(-1)), shop.echo.enqueue(Point(1))
    assert Inline(shop.app).work() == 2
    with pytest.raises(ValueError, match="-1 is left of everything"):
        shop.app.job(bad.id).result(PATIENCE)
    assert good.result(PATIENCE) == [Point(1), Colour.RED]


def test_the_command_line_shows_values_without_the_app(
    shops: tuple[Shop, Shop], broker: Broker, clock: FakeClock
) -> None:
    shop, _ = shops
    job, console = shop.echo.enqueue([Point(1), Colour.RED]), Console(broker, clock)
    assert " task      echo([point(x=1, y=0), colour('RED')])" in console("jobs", "show", job.id).out
    assert console("jobs", "show", job.id, "--json").data["args"] == [[{"point": {"x": 1, "y": 0}}, {"colour": "RED"}]]
    Inline(shop.app).work()
    assert " result    [[point(x=1, y=0), colour('RED')], colour('RED')]" in console("jobs", "show", job.id).out


def test_calls_of_an_executor_take_and_give_values_of_own_types(redis_url: str) -> None:
    app = TaskQ(redis_url)
    app.register_type(Point, name="point")
    app.register_type(Colour, name="colour")
    task = app.task(name="echo")(echo)
    try:
        with Inline(app).serving(), app.executor() as executor:
            assert executor.submit(task, Point(1)).result(PATIENCE) == [Point(1), Colour.RED]
            chunks = executor.map(task, [Point(1), Point(2)], chunksize=2)
            assert [*chunks] == [[Point(1), Colour.RED], [Point(2), Colour.RED]]
    finally:
        app.close()
