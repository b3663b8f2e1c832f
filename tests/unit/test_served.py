"""The queues of a worker as they are written, with and without weights."""

from __future__ import annotations

import pytest

from taskq.config import WorkerSettings
from taskq.errors import ConfigError
from taskq.served import name_of, weights_of


def test_queues_without_weights_have_none() -> None:
    assert weights_of(["mail", "default"]) == {}
    assert WorkerSettings(queues=("mail", "default")).names == ("mail", "default")


def test_queues_with_weights_are_known_by_their_names() -> None:
    words = ("mail=6", "default=1")
    assert weights_of(words) == {"mail": 6, "default": 1}
    assert WorkerSettings(queues=words).names == ("mail", "default")
    assert [name_of(word) for word in words] == ["mail", "default"]


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "1001", "six", "6=1", "\u0663", "9" * 400, " 6"])
def test_a_weight_is_a_small_whole_number(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        WorkerSettings(queues=(f"mail={text}",))
    assert str(caught.value).startswith("weight of queue 'mail' is '")
    assert str(caught.value).endswith("\n  hint: a whole number from 1 to 1000")
    assert len(str(caught.value)) < 150


def test_either_all_queues_have_a_weight_or_none() -> None:
    with pytest.raises(ConfigError) as caught:
        WorkerSettings(queues=("a=6", "b"))
    assert str(caught.value) == (
        "cannot serve queue 'b' without a weight beside 'a=6'\n  hint: a weight for each (a=1,b=1), or for none"
    )


def test_a_queue_has_one_weight() -> None:
    with pytest.raises(ConfigError, match=r"^cannot serve queue 'a' with two weights\n  hint: name it once$"):
        WorkerSettings(queues=("a=6", "b=1", "a=2"))
