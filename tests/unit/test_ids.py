"""Job ids: sixteen bytes, twenty-six characters."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskq.ids import named_id, new_id, show

raw_ids = st.binary(min_size=16, max_size=16)


def test_a_new_id_has_sixteen_bytes_and_is_unlike_any_other() -> None:
    made = {new_id(1_700_000_000.0) for _ in range(1000)}
    assert {len(job_id) for job_id in made} == {16}
    assert len(made) == 1000


def test_new_ids_sort_by_age_as_bytes_and_as_shown() -> None:
    times = [0.0, 0.001, 1.0, 1_700_000_000.0, 1_700_000_000.002, 4_000_000_000.0]
    made = [new_id(now) for now in times]
    assert sorted(made) == made
    assert sorted(map(show, made)) == [show(job_id) for job_id in made]


def test_the_first_six_bytes_are_the_time_in_milliseconds() -> None:
    assert int.from_bytes(new_id(1_700_000_000.25)[:6], "big") == 1_700_000_000_250


@given(raw_ids)
def test_an_id_is_shown_as_twenty_six_digits_that_stand_for_it(job_id: bytes) -> None:
    shown = show(job_id)
    assert len(shown) == 26
    assert set(shown) <= set(string.digits + string.ascii_uppercase) - set("ILOU")
    assert named_id(shown) == job_id


@given(raw_ids, raw_ids)
def test_ids_sort_as_they_are_shown(one: bytes, other: bytes) -> None:
    assert (one < other) == (show(one) < show(other))


def test_known_ids_are_shown_as_any_ulid_library_shows_them() -> None:
    assert show(bytes(16)) == "0" * 26
    assert show(b"\xff" * 16) == "7" + "Z" * 25
    assert show(bytes(15) + b"\x20") == "0" * 24 + "10"


def test_the_name_that_a_user_chose_always_means_the_same_id() -> None:
    assert named_id("invoice-7").hex() == "d9ec067c8c768a64dc529d4a8d076deb"
    assert named_id("invoice-7") != named_id("invoice-8")


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_names_an_id(name: str) -> None:
    assert len(named_id(name)) == 16


@pytest.mark.parametrize(
    "name", ["8" + "0" * 25, "0" * 25, "0" * 27, "0" * 25 + "U", "0" * 25 + "a", "0" * 25 + "\u0663"]
)
def test_what_only_looks_like_an_id_is_a_name(name: str) -> None:
    assert show(named_id(name)) != name
