"""Values that travel: all that may be passed to a job, as strategies of hypothesis, and how to compare them exactly."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st


def exact(value: Any) -> str:
    """A text that two values share only if they are equal, of the same types all through, and in the same order."""
    name = type(value).__name__
    match value:
        case set():
            return f"{name}({sorted(map(exact, value))})"
        case list() | tuple():
            return f"{name}({list(map(exact, value))})"
        case dict():
            return f"{name}({[(exact(key), exact(item)) for key, item in value.items()]})"
        case int():
            return f"{name} {value:x}"
        case _:
            return f"{name} {value!r}"


zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23))),
    st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)), st.text(max_size=4)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Monrovia"]).map(ZoneInfo),
)


def moments(naive: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda at, zone, fold: at.replace(tzinfo=zone, fold=fold), naive, zones, st.integers(0, 1))


texts = st.text(st.characters(exclude_categories=()), max_size=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**14_000, -(2**14_000)]),
    st.floats(),
    texts,
    st.binary(max_size=8),
    moments(st.datetimes()),
    st.dates(),
    moments(st.times()),
    st.timedeltas(),
    st.uuids(),
    st.decimals(),
    st.sampled_from(["sNaN7", "-NaN", "-Infinity", "-0", "0E-30", "1E+999999"]).map(Decimal),
)
keys = st.recursive(
    scalars.filter(lambda value: not (isinstance(value, Decimal) and value.is_snan())),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.sets(keys, max_size=4),
    ),
    max_leaves=12,
)
