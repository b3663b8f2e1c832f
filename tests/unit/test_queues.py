"""What can be declared of a queue, and what cannot."""

from __future__ import annotations

from typing import Any

import pytest

from taskq import TaskQ
from taskq.errors import ConfigError
from taskq.queues import Queues, parts


def test_a_declared_queue_is_known_by_its_name() -> None:
    app = TaskQ()
    assert app.queue("mail", order="lifo", max_length=10) == "mail"
    assert app.queues.terms("mail") == "lifo 10"
    assert app.queues.terms("other") == ""


def test_a_queue_is_first_in_first_out_and_unbounded_by_itself() -> None:
    queues = Queues()
    queues.declare("mail", "fifo", None)
    assert queues.terms("mail") == "fifo 0"


def test_the_same_can_be_declared_again() -> None:
    app = TaskQ()
    assert [app.queue("mail", max_length=10) for _ in range(2)] == ["mail", "mail"]


def test_a_queue_that_is_declared_twice_differently_is_refused() -> None:
    app = TaskQ()
    app.queue("mail", order="lifo")
    with pytest.raises(ConfigError) as caught:
        app.queue("mail", max_length=10)
    assert str(caught.value) == (
        "queue 'mail' is declared twice, as lifo, any length and as fifo, max_length 10\n"
        "  hint: declare it once, where the app is made"
    )
    assert app.queues.terms("mail") == "lifo 0"


@pytest.mark.parametrize("order", ["", "LIFO", "newest", None, 1])
def test_there_are_two_orders(order: Any) -> None:
    with pytest.raises(ConfigError, match=r"order of queue 'mail' is .*\n  hint: 'fifo' or 'lifo'"):
        TaskQ().queue("mail", order=order)


@pytest.mark.parametrize("bound", [0, -1, 1.5, "10", True, 10**9 + 1, float("inf")])
def test_a_bound_is_a_whole_number_of_jobs(bound: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"max_length of queue 'mail' is .*\n  hint: 1 to 1000000000 jobs; None is no"
    ):
        TaskQ().queue("mail", max_length=bound)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a=6", "x" * 101, None])
def test_a_queue_has_a_name_that_a_key_can_have(name: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        TaskQ().queue(name)


def test_terms_are_read_as_they_were_written_and_garbage_as_those_of_a_plain_queue() -> None:
    assert parts("lifo 10") == ("lifo", 10)
    assert parts("fifo 0") == parts("") == parts("lifo") == parts("x 3") == parts("fifo ٣") == ("fifo", None)
    assert parts("fifo " + "9" * 400) == ("fifo", None)
