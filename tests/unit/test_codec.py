"""What travels and what does not, and that no bytes whatever get more than MalformedJob out of a decoder."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import tracemalloc
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskq.codec import (
    DEFAULT_LIMIT,
    HARD_LIMIT,
    Attempt,
    Envelope,
    ErrorInfo,
    Record,
    decode_history,
    decode_job,
    decode_record,
    encode_history,
    encode_job,
    encode_record,
)
from taskq.errors import MalformedJob, NotSerializable, TooLarge
from taskq.values import MAX_DEPTH, pack, unpack
from tests.support.travelling import anything, exact, texts

quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class User:
    id = 7


class Level(IntEnum):
    LOW = 1


@dataclass
class Address:
    street: str


class Stamp(datetime):
    pass


class Text(str):
    __slots__ = ()


class Summer(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=2)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def tzname(self, moment: datetime | None) -> str:
        return "summer"


Colour = Enum("Colour", {"RED": "red"}, type=str)  # str(Colour.RED) is "Colour.RED"


class Point(NamedTuple):
    x: int
    y: int


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = wrap(value)
    return value


def job(*args: Any, **kwargs: Any) -> Envelope:
    return Envelope(task="tasks.add", args=args, kwargs=kwargs, enqueued_at=1.5)


def record(value: Any = None, **changes: Any) -> Record:
    fields: dict[str, Any] = {"state": "done", "task": "tasks.add", "enqueued_at": 1.0, "started_at": 2.0}
    fields |= {"seconds": 0.25, "attempt": 1, "worker": "host:1", "value": value}
    return Record(**(fields | changes))


def error_of(value: Any, name: str = "user") -> str:
    with pytest.raises(NotSerializable) as caught:
        encode_job(job(value), DEFAULT_LIMIT, lambda: {name: value})
    return str(caught.value)


# --- values ------------------------------------------------------------------------------------------------------


@quick
@given(anything)
def test_every_value_comes_back_with_its_exact_type(value: Any) -> None:
    assert exact(unpack(pack(value))) == exact(value)


@quick
@given(st.lists(anything, max_size=3), st.dictionaries(texts, anything, max_size=3), st.none() | texts, texts)
def test_every_job_that_is_accepted_comes_back(
    args: list[Any], kwargs: dict[str, Any], key: str | None, route: str
) -> None:
    sent = Envelope(task="t", args=tuple(args), kwargs=kwargs, enqueued_at=2.5, key=key, route=route)
    got = decode_job(encode_job(sent))
    assert exact((got.args, got.kwargs, got.key, got.route)) == exact((sent.args, kwargs, key, route))
    assert (got.task, got.enqueued_at) == ("t", 2.5)


@pytest.mark.parametrize(
    "value",
    [
        {(1, (2, ("a",))): 1, None: 2, 1.5: 3, b"x": 4, date(2024, 1, 2): {(): ()}},
        [(), ((),), set(), {()}, {((),)}, [[]], {}, [{}], ({},)],
        {"t", 1, None, (1, 2)},
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=12, seconds=1, microseconds=1), "odd")),
        time(1, 2, 3, 4, tzinfo=ZoneInfo("Europe/Berlin")),
        [timedelta.min, timedelta.max, time.max, date.min, UUID(int=2**128 - 1)],
        "\ud800 and \udfff",
        [-0.0, 10**5000, -(256**5000)],
        "x" * 70_000,
    ],
)
def test_a_value_at_the_edge_comes_back(value: Any) -> None:
    assert exact(unpack(pack(value))) == exact(value)


def test_the_sign_and_payload_of_floats_are_kept() -> None:
    payload = struct.unpack(">d", b"\xff\xf8\0\0\0\0\0\x07")[0]
    assert struct.pack(">d", unpack(pack([payload]))[0]) == b"\xff\xf8\0\0\0\0\0\x07"


def test_subclasses_of_str_and_dict_travel_as_their_base() -> None:
    turned = OrderedDict(a=1, b=2)
    turned.move_to_end("a")
    sent = [Colour.RED, Text("x"), {Text("k"): Colour.RED}, turned, Counter("aab"), {Colour.RED}]
    assert exact(unpack(pack(sent))) == exact(["red", "x", {"k": "red"}, {"b": 2, "a": 1}, {"a": 2, "b": 1}, {"red"}])


def test_an_unknown_zone_comes_back_as_its_offset() -> None:
    with_zone = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    for unknown in (b"Europe/Berlix", b"Europe/Ber/in", b"/urope/Berlin", b"Europe/Ber\0in", b"Eur\xed\xa0\x80/Berlin"):
        got = unpack(pack(with_zone).replace(b"Europe/Berlin", unknown))
        assert exact(got) == exact(datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=2))))


def test_a_time_in_an_unknown_zone_has_no_offset_and_is_malformed() -> None:
    data = pack(time(1, tzinfo=ZoneInfo("Europe/Berlin"))).replace(b"Berlin", b"Berlix")
    with pytest.raises(MalformedJob, match="No time zone found with key Europe/Berlix"):
        unpack(data)


def test_a_timestamp_from_another_language_becomes_a_datetime() -> None:
    assert unpack(msgpack.packb(msgpack.Timestamp(5, 6000))) == datetime(1970, 1, 1, 0, 0, 5, 6, UTC)


def test_threads_may_pack_at_once() -> None:
    sent = [[index, (index, {index})] * 50 for index in range(400)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda value: unpack(pack(value)), sent)) == sent


def test_packing_may_run_code_that_packs() -> None:
    class Inner(dict[str, Any]):
        def keys(self) -> Any:
            pack(["another", (1,)])
            return super().keys()

        def __iter__(self) -> Any:
            return super().__iter__()

    assert unpack(pack([1, Inner(a=2), 3])) == [1, {"a": 2}, 3]


def test_pure_python_msgpack_reads_and_writes_the_same_bytes() -> None:
    everything: list[Any] = [None, True, 2**70, -1.5, "\ud800", b"x", (1, {2}), {(1, (2,)): 3}, Decimal("1E+3")]
    everything += [UUID(int=5), date.max, time.max, timedelta.min, datetime.now(UTC), 2**64 - 1]
    everything += [nested(MAX_DEPTH - 1, wrap) for wrap in (lambda x: {1: x}, lambda x: (x,), lambda x: [x])]
    program = """if True:
        import sys
        from msgpack import Packer, fallback
        from taskq.values import pack, unpack
        assert Packer is fallback.Packer
        sys.stdout.buffer.write(pack(unpack(sys.stdin.buffer.read())))
    """
    sent = pack(everything)
    env = os.environ | {"MSGPACK_PUREPYTHON": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, env=env, check=False)
    assert ran.stderr == b""
    assert ran.stdout == sent


# --- what cannot travel ------------------------------------------------------------------------------------------


def test_the_error_names_task_argument_and_type() -> None:
    envelope = Envelope(task="tasks.send_mail", args=(User(),), kwargs={}, enqueued_at=1.0)
    with pytest.raises(NotSerializable) as caught:
        encode_job(envelope, DEFAULT_LIMIT, lambda: {"user": envelope.args[0]})
    assert str(caught.value) == (
        "argument 'user' of tasks.send_mail is a User; msgpack cannot store it\n"
        "  hint: pass user.id, or another value made of None, bool, int, float, str, bytes, list, tuple, dict, set, "
        "datetime, date, time, timedelta, UUID, Decimal"
    )


@pytest.mark.parametrize(
    ("value", "told", "hint"),
    [
        (frozenset({1}), "is a frozenset", "set(user)"),
        (bytearray(b"x"), "is a bytearray", "bytes(user)"),
        (memoryview(b"x"), "is a memoryview", "bytes(user)"),
        (1j, "is a complex", "a value"),
        (Point(1, 2), "is a Point", "app.register_type(Point); or pass tuple(user)"),
        (Level.LOW, "is a Level", "app.register_type(Level); or pass user.value"),
        (Address("x"), "is an Address", "app.register_type(Address); or pass a value"),
        (Stamp(2024, 1, 1), "is a Stamp", "user.isoformat()"),
        (msgpack.ExtType(1, b"t"), "is an ExtType", "app.register_type(ExtType); or pass tuple(user)"),
        (msgpack.Timestamp(1), "is a Timestamp", "user.id"),
        (type("Roles", (set,), {})(), "is a Roles", "set(user)"),
        (type("Rows", (list,), {})(), "is a Rows", "list(user)"),
        (type("Price", (Decimal,), {})(), "is a Price", "Decimal(user)"),
        (type("float64", (float,), {})(), "is a float64", "float(user)"),
        (type("array", (), {"tolist": list})(), "is an array", "user.tolist()"),
        (range(3), "is a range", "list(user)"),
        (object(), "is an object", "a value"),
        (User, "is a type", "a value"),
        (print, "is a builtin_function_or_method", "a value"),
        (datetime.now(Summer()), "is a datetime whose tzinfo is a Summer", "user.astimezone(timezone.utc)"),
        (time(tzinfo=Summer()), "is a time whose tzinfo is a Summer", "user.replace(tzinfo=None)"),
        ({"owner": [1, 2, 3, User()]}, "holds a User at ['owner'][3]", "user['owner'][3].id"),
        ([({"a": (User(),)},)], "holds a User at [0][0]['a'][0]", "user[0][0]['a'][0].id"),
        ([datetime.now(), [datetime.now(Summer())]], "holds a datetime whose tzinfo is a Summer at [1][0]", "user[1]"),
        ({"tags": {1, (frozenset(), 2)}}, "holds a frozenset at ['tags']<item>[0]", "a value"),
        ({(1, memoryview(b"x")): 1}, "holds a memoryview at <key>[1]", "a value"),
        ({"x" * 50: User()}, "holds a User at [<str>]", "a value"),
        ({10**30: User(), 5: 1}, "holds a User at [<int>]", "a value"),
        ({5: User()}, "holds a User at [5]", "user[5].id"),
        ([*nested(9, lambda x: [x]), User()], "holds a User at [1]", "user[1].id"),
    ],
)
def test_a_value_that_cannot_travel_is_told_with_its_place_and_a_hint(value: Any, told: str, hint: str) -> None:
    text = error_of(value)
    assert text.startswith(f"argument 'user' of tasks.add {told}; msgpack cannot store it\n  hint: ")
    assert text.split("hint: ")[1].removeprefix("pass ").startswith(hint)
    with pytest.raises(NotSerializable, match=r"the value (is|holds) an? "):
        pack(value)


def test_a_place_deep_down_is_told_by_its_first_steps() -> None:
    value = [[[[[[[[User()]]]]]]]]
    assert "holds a User at [0][0][0][0][0][0][<...>]; " in error_of(value)


def test_arguments_without_names_are_told_by_their_place() -> None:
    with pytest.raises(NotSerializable, match=r"argument 'args\[1\]' of tasks.add is a User"):
        encode_job(job(1, User()))
    with pytest.raises(NotSerializable, match=r"argument 'who' of tasks.add is a User"):
        encode_job(job(1, who=User()))


def test_names_that_do_not_hold_the_culprit_still_give_an_error() -> None:
    with pytest.raises(NotSerializable, match=r"an argument of tasks.add is a User"):
        encode_job(job(1, User()), DEFAULT_LIMIT, dict)


def test_names_are_not_asked_for_when_all_is_well() -> None:
    encode_job(job(1, [2]), DEFAULT_LIMIT, lambda: pytest.fail("asked"))


def test_a_value_that_contains_itself_is_an_error() -> None:
    loop: list[Any] = [1]
    loop.append({"again": (loop, loop)})
    assert error_of(loop, "tree").startswith(
        "argument 'tree' of tasks.add is nested more than 200 deep, or contains itself; msgpack cannot store it\n"
        "  hint: pass a flatter tree, or another value made of"
    )


wraps = pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {1: x}, lambda x: OrderedDict(a=x)])


@wraps
def test_whatever_depth_packs_also_unpacks(wrap: Callable[[Any], Any]) -> None:
    value = nested(MAX_DEPTH, wrap)
    assert unpack(pack(value)) == value
    assert decode_job(encode_job(job(value, also=value))).args == (value,)
    assert decode_record(encode_record(record(value))).value == value


@wraps
def test_one_level_more_is_an_error(wrap: Callable[[Any], Any]) -> None:
    value = nested(MAX_DEPTH + 1, wrap)
    assert "argument 'user' of tasks.add is nested more than 200 deep" in error_of(value)
    with pytest.raises(NotSerializable, match=r"the result of tasks.add is nested more than 200 deep"):
        encode_record(record(value))


def test_keys_and_sets_count_as_levels() -> None:
    deepest: Any = ()
    for _ in range(MAX_DEPTH - 2):
        deepest = (deepest,)
    assert unpack(pack({deepest: 1})) == {deepest: 1}
    assert unpack(pack({deepest})) == {deepest}
    for value in ({(deepest,): 1}, {(deepest,)}):
        assert "nested more than 200 deep" in error_of(value)


def test_lists_that_hold_one_another_twice_do_not_unfold() -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value, value]
    with pytest.raises(TooLarge, match=r"the job takes at least 52429[01] bytes, the limit is 524288"):
        encode_job(job(value))


def test_a_mapping_that_cannot_be_read_is_an_error() -> None:
    class Lazy(dict[str, int]):
        def __iter__(self) -> Any:
            raise RuntimeError("no connection")

        def keys(self) -> Any:
            raise RuntimeError("no connection")

    text = error_of([Lazy(a=1)])
    assert "holds a value that cannot be read (RuntimeError: no connection) at [0]; " in text
    with pytest.raises(NotSerializable) as caught:
        pack(Lazy(a=1))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_container_that_changes_while_it_is_packed_is_an_error() -> None:
    rows: dict[int, Any] = {1: 1, 3: 3}

    class Growing(dict[str, int]):
        def keys(self) -> Any:
            rows[len(rows) + 10] = 1
            return super().keys()

        def __iter__(self) -> Any:
            return super().__iter__()

    rows[2] = Growing(a=1)
    with pytest.raises(NotSerializable, match=r"the value .* cannot be read .RuntimeError: dictionary changed size"):
        pack(rows)


# --- sizes -------------------------------------------------------------------------------------------------------


def test_a_job_over_the_limit_is_told_with_its_largest_argument() -> None:
    sent = {"to": "me", "image": b"x" * 1000}
    with pytest.raises(TooLarge) as caught:
        encode_job(Envelope(task="t", args=(), kwargs=sent, enqueued_at=1.0), 500, lambda: sent)
    assert str(caught.value) == (
        "cannot enqueue t: the job takes 1030 bytes, the limit is 500; "
        "its largest argument is 'image' with 1003 bytes\n"
        "  hint: store the data elsewhere (a file, a bucket, a database) and pass a reference to it"
    )


def test_a_job_may_take_its_limit_and_no_byte_more() -> None:
    body = encode_job(job(b"x" * 100))
    assert encode_job(job(b"x" * 100), len(body)) == body
    assert decode_job(body, len(body)) == job(b"x" * 100)
    with pytest.raises(TooLarge):
        encode_job(job(b"x" * 100), len(body) - 1)
    with pytest.raises(MalformedJob, match=f"cannot decode {len(body)} bytes: the limit is {len(body) - 1}"):
        decode_job(body, len(body) - 1)


def test_a_job_without_arguments_can_be_too_large_too() -> None:
    with pytest.raises(TooLarge, match="the job takes 23 bytes, the limit is 5\n"):
        encode_job(job(), 5)


def test_no_value_is_larger_than_the_hard_limit() -> None:
    assert len(unpack(pack(b"x" * (HARD_LIMIT - 5)))) == HARD_LIMIT - 5
    with pytest.raises(TooLarge, match="it takes 16777217 bytes, the limit is 16777216"):
        pack(b"x" * (HARD_LIMIT - 4))
    with pytest.raises(TooLarge, match="it takes at least 16777217 bytes"):
        pack([None] * (HARD_LIMIT + 1))
    with pytest.raises(MalformedJob, match="the limit is 16777216"):
        decode_job(b"\xc0" * (HARD_LIMIT + 1), 2 * HARD_LIMIT)


def test_a_large_value_leaves_no_large_buffer_behind() -> None:
    pack(b"x" * 1_000_000)
    tracemalloc.start()
    try:
        pack(b"x" * 1_000_000)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


# --- bytes that are no job ---------------------------------------------------------------------------------------

DECODERS: list[Callable[[bytes], object]] = [decode_job, decode_record, decode_history, unpack]


def only_malformed(data: bytes) -> None:
    for decode in DECODERS:
        with suppress(MalformedJob):
            decode(data)


def extension(code: int, content: bytes) -> bytes:
    return bytes([0xC8]) + struct.pack(">Hb", len(content), code) + content


SAMPLES = [
    encode_job(job(1, (2, {3}), {(1,): Decimal("1.5")}, user={"at": datetime.now(UTC), "id": UUID(int=1)})),
    encode_job(Envelope(task="t", args=([time(tzinfo=UTC)],), kwargs={}, enqueued_at=1.0, key="k", route="default:io")),
    encode_job(job(datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), timedelta(1), date(2024, 1, 1), 2**80)),
    encode_record(record(error=ErrorInfo(type="a.B", text="c", traceback="d", args=(1, (2,))), state="dead")),
    encode_history(3, [Attempt(started_at=1.0, seconds=2.0, worker="w", error="E: e")]),
]


def test_mutated_bytes_raise_malformed_job_or_nothing() -> None:
    chance = random.Random(1)
    for _ in range(15_000):
        data = bytearray(chance.choice(SAMPLES))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
            data = data or bytearray(1)
        only_malformed(bytes(data))


def test_random_bytes_raise_malformed_job_or_nothing() -> None:
    chance = random.Random(2)
    heads = bytes([*range(0x90, 0xA0), *range(0x80, 0x90), *range(0xC0, 0xE0)])
    for _ in range(15_000):
        data = chance.randbytes(chance.randint(0, 40))
        only_malformed(data)
        only_malformed(b"\x95\x01" + bytes(chance.choice(heads) if chance.random() < 0.4 else byte for byte in data))


@quick
@given(st.integers(0, 9), st.binary(max_size=40))
def test_the_content_of_extensions_is_not_trusted(code: int, content: bytes) -> None:
    only_malformed(extension(code, content))
    only_malformed(b"\x95\x01\xa1t\x91" + extension(code, content) + b"\x80\x00")


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_half_a_job_is_malformed(cut: int) -> None:
    with pytest.raises(MalformedJob):
        decode_job(SAMPLES[0][:-cut])


@pytest.mark.parametrize("code", range(1, 10))
def test_the_bomb_of_nested_extensions_is_malformed(code: int) -> None:
    bomb = b"\x92\xc0\xc0"
    while len(bomb) < 711:
        bomb = extension(code, bomb) if len(bomb) > 255 else b"\xc7" + bytes([len(bomb), code]) + bomb
    assert len(bomb) == 714
    only_malformed(bomb)
    with pytest.raises(MalformedJob):
        decode_job(bomb)


def test_a_megabyte_of_empty_arrays_is_refused_unread() -> None:
    body = b"\x95\x01\xa1t\xdd" + struct.pack(">I", 1_000_000) + b"\x90" * 1_000_000 + b"\x80\x00"
    tracemalloc.start()
    try:
        with pytest.raises(MalformedJob, match=r"cannot decode \d+ bytes: the limit is 524288"):
            decode_job(body)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("head", [0xDD, 0xDF, 0xDB, 0xC6, 0xC9], ids=["array", "map", "str", "bin", "ext"])
def test_a_claimed_length_of_billions_costs_no_memory(head: int) -> None:
    tracemalloc.start()
    try:
        only_malformed(bytes([head]) + b"\xff\xff\xff\xf0" + b"\x01" * 20)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [5_000, DEFAULT_LIMIT])
def test_arrays_in_arrays_that_claim_the_whole_body_each_get_no_room(size: int) -> None:
    head = b"\xdd" + struct.pack(">I", size - 10)
    body = (head * 900).ljust(size, b"\xc0")
    tracemalloc.start()
    try:
        with pytest.raises(MalformedJob, match="incomplete input"):
            unpack(body)
        assert tracemalloc.get_traced_memory()[1] < 100_000 + 2 * size
    finally:
        tracemalloc.stop()


FILLINGS = {
    "lists": b"\x90",
    "dicts": b"\x80",
    "sets": b"\x91\xd4\x01s",
    "tuples": b"\x92\xd4\x01t\xc0",
    "own types": b"\x92\xd4\x01n\xa0",
    "dicts of one": b"\x81\xc0\x80",
    "Decimals": b"\xd4\x037",
    "timedeltas": b"\xc7\x0c\x08" + bytes(12),
    "datetimes": b"\xc7\x14\x05\x07\xe8\x01\x01" + bytes(8) + b"f" + bytes(7),
    "timestamps": b"\xd6\xff" + bytes(4),
    "floats": b"\xcb" + bytes(8),
    "letters": b"\xa2\xc3\xa9",
}


@pytest.mark.parametrize("filling", FILLINGS.values(), ids=FILLINGS)
def test_a_value_takes_at_most_120_times_the_memory_of_its_bytes(filling: bytes) -> None:
    count = 100_000 // len(filling)
    body = b"\xdd" + struct.pack(">I", count) + filling * count
    tracemalloc.start()
    try:
        with suppress(MalformedJob):
            unpack(body)
        assert tracemalloc.get_traced_memory()[1] < 120 * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\x01", b"\x92\xd4\x01t"], ids=["list", "dict", "tuple"])
def test_what_is_nested_deeper_than_any_value_that_is_packed_is_malformed(opening: bytes) -> None:
    assert unpack(opening * MAX_DEPTH + b"\x01") is not None
    with pytest.raises(MalformedJob, match="nested more than 200 deep"):
        unpack(opening * (MAX_DEPTH + 6) + b"\x01")


def test_the_deepest_argument_that_is_accepted_comes_back() -> None:
    deepest = nested(MAX_DEPTH, lambda value: [value])
    assert decode_job(encode_job(job(deepest))).args == (deepest,)
    dead = record(state="dead", error=ErrorInfo(type="a.B", text="c", args=(deepest,)))
    assert decode_record(encode_record(dead)) == dead


def test_many_lists_beside_one_another_are_not_deep() -> None:
    value = [[[index], {index: [index]}] for index in range(1000)]
    assert unpack(pack(value)) == value


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\x01", b"\x92\xd4\x01t", b"\x81"])
@pytest.mark.parametrize("depth", [500, 1000, 1030, 100_000])
def test_deep_nesting_is_malformed_or_decoded(opening: bytes, depth: int) -> None:
    only_malformed(opening * depth + b"\x01" + b"\x01" * depth)
    only_malformed(opening * depth + b"\x01")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "it is not a list"),
        ([], "it is not a list"),
        ((1, "t", [], {}, 1.0), "it is not a list"),
        ([True, "t", [], {}, 1.0], "it does not begin with a version"),
        (["1", "t", [], {}, 1.0], "it does not begin with a version"),
        ([-1, "t", [], {}, 1.0], "it does not begin with a version"),
        ([3, "t"], "a newer taskq wrote it (version 3), this one reads version 2\n  hint: upgrade taskq here"),
        (
            [9**9999],
            "a newer taskq wrote it (version of many digits), this one reads version 2\n  hint: upgrade taskq here",
        ),
        ([1, "t", [], {}], "it has 4 fields, not 5 to 7"),
        ([1, "t", [], {}, 1.0, None, "", 0], "it has 8 fields, not 5 to 7"),
        ([1, b"t", [], {}, 1.0], "task, args and kwargs are not a str, a list and a dict"),
        ([1, "t", (), {}, 1.0], "task, args and kwargs are not a str, a list and a dict"),
        ([1, "t", [], [], 1.0], "task, args and kwargs are not a str, a list and a dict"),
        ([1, "t", [], {1: 2}, 1.0], "the name of a keyword argument is not a str"),
        ([1, "t", [], {(): 2}, 1.0], "the name of a keyword argument is not a str"),
        ([1, "t", [], {}, "now"], "a time in it is not a finite number"),
        ([1, "t", [], {}, True], "a time in it is not a finite number"),
        ([1, "t", [], {}, float("nan")], "a time in it is not a finite number"),
        ([1, "t", [], {}, 10**400], "a time in it is not a finite number"),
        ([1, "t", [], {}, 1.0, 5], "key and route are not strings"),
        ([1, "t", [], {}, 1.0, "k", None], "key and route are not strings"),
    ],
)
def test_a_job_of_the_wrong_shape_is_malformed(fields: Any, reason: str) -> None:
    with pytest.raises(MalformedJob) as caught:
        decode_job(pack(fields))
    assert str(caught.value) == f"cannot decode the job: {reason}"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "incomplete input"),
        (encode_job(job()) + b"\x00", "extra data"),
        (b"\xc1", "FormatError"),
        (b"\x81\x90\x01", "unhashable type: 'list'"),
        (b"\x92\xd4\x01s\x90", "unhashable type: 'list'"),
        (extension(99, b"x"), "extension type 99 is unknown"),
        (extension(1, b"t"), "extension type 1 is unknown, or has no place here"),
        (extension(3, b"abc"), "InvalidOperation"),
        (extension(4, b"abc"), "16"),
        (b"\xd4\x01t", "a mark is not the first of a list"),
        (b"\x92\x01\xd4\x01t", "a mark is not the first of a list"),
        (b"\x92\xd4\x01t\xd4\x01t", "a mark is not the first of a list"),
        (b"\x81\xd4\x01t\x01", "a mark is not the first of a list"),
        (b"\xd4\x01x", "no such mark"),
        ("text", "cannot decode the bytes"),
        (None, "cannot decode the bytes"),
    ],
)
def test_bytes_that_are_no_value_are_malformed_with_the_reason(data: Any, reason: str) -> None:
    with pytest.raises(MalformedJob) as caught:
        unpack(data)
    assert reason in str(caught.value)


def test_an_integer_time_becomes_a_float() -> None:
    got = decode_job(pack([1, "t", [], {}, 5])).enqueued_at
    assert (type(got), got) == (float, 5.0)


def test_what_is_not_there_takes_no_bytes() -> None:
    assert encode_job(Envelope(task="t", args=(2, 3), kwargs={}, enqueued_at=0.0)).hex(" ") == (
        "95 01 a1 74 92 02 03 80 cb 00 00 00 00 00 00 00 00"
    )
    assert encode_job(Envelope(task="t", args=(), kwargs={}, enqueued_at=0.0, key="k"))[-2:] == b"\xa1k"
    assert encode_job(Envelope(task="t", args=(), kwargs={}, enqueued_at=0.0, route="r"))[-3:] == b"\xc0\xa1r"


# --- outcome records ---------------------------------------------------------------------------------------------

ERROR = ErrorInfo(type="builtins.ValueError", text="bad image", traceback="Traceback ...", args=("bad image", (1,)))


@pytest.mark.parametrize(
    "outcome",
    [record(5), record((1, {2})), record(state="dead", error=ERROR), record(state="cancelled", task="", worker="")],
)
def test_a_record_comes_back(outcome: Record) -> None:
    assert decode_record(encode_record(outcome)) == outcome


@quick
@given(anything)
def test_every_result_that_is_accepted_comes_back(value: Any) -> None:
    assert exact(decode_record(encode_record(record(value))).value) == exact(value)


def test_a_result_that_cannot_travel_is_named() -> None:
    with pytest.raises(NotSerializable) as caught:
        encode_record(record({"who": User()}))
    assert str(caught.value).startswith(
        "the result of tasks.add holds a User at ['who']; msgpack cannot store it\n"
        "  hint: return result['who'].id, or another value made of None, "
    )


def test_a_result_that_is_too_large_is_named() -> None:
    for value, size in ((b"x" * 600, "656"), ([0] * 600, "at least 600")):
        with pytest.raises(TooLarge) as caught:
            encode_record(record(value), 500)
        assert str(caught.value) == (
            f"cannot store the result of tasks.add: it takes {size} bytes, the limit is 500\n"
            "  hint: store the data elsewhere (a file, a bucket, a database) and return a reference to it"
        )


@pytest.mark.parametrize("args", [(User(),), (1, [frozenset()]), ([0] * 600,), None])
def test_the_args_of_an_error_are_left_out_where_they_cannot_travel(args: tuple[Any, ...] | None) -> None:
    sent = record(state="dead", error=ErrorInfo(type="a.B", text="c", args=args))
    assert decode_record(encode_record(sent, 500)).error == ErrorInfo(type="a.B", text="c")


def test_an_error_over_the_limit_keeps_the_head_of_its_text_and_the_tail_of_its_traceback() -> None:
    error = ErrorInfo(
        type="a.B", text="head" + "\U0001f600" * 9000, traceback="x" * 90_000 + "tail", args=("x" * 9000,)
    )
    data = encode_record(record(state="dead", error=error), 1600)
    got = decode_record(data).error
    assert len(data) <= 1600
    assert got is not None
    assert got == ErrorInfo(type="a.B", text="head" + "\U0001f600" * 96 + "...", traceback="..." + "x" * 96 + "tail")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({1: "lost"}, "its state is not one of done, dead, cancelled"),
        ({1: 5}, "its state is not one of done, dead, cancelled"),
        ({3: "boom"}, "its error is not a list of four"),
        ({3: ["a", "b", "c"]}, "its error is not a list of four"),
        ({3: ["a", "b", None, None]}, "type, text and traceback of its error are not strings"),
        ({3: ["a", "b", "c", 5]}, "the args of its error are not a list"),
        ({4: None}, "task, attempt and worker are not a str, an int and a str"),
        ({5: "x"}, "a time in it is not a finite number"),
        ({6: None}, "a time in it is not a finite number"),
        ({7: float("inf")}, "a time in it is not a finite number"),
        ({8: True}, "task, attempt and worker are not a str, an int and a str"),
        ({9: 1}, "task, attempt and worker are not a str, an int and a str"),
    ],
)
def test_a_record_of_the_wrong_shape_is_malformed(changes: dict[int, Any], reason: str) -> None:
    fields = [1, "done", 5, None, "t", 1.0, 2.0, 3.0, 1, "w"]
    decode_record(pack(fields))
    for index, value in changes.items():
        fields[index] = value
    with pytest.raises(MalformedJob) as caught:
        decode_record(pack(fields))
    assert str(caught.value) == f"cannot decode the record: {reason}"


def test_a_record_has_ten_fields() -> None:
    with pytest.raises(MalformedJob, match="cannot decode the record: it has 2 fields, not 10"):
        decode_record(pack([1, "done"]))


# --- attempts ----------------------------------------------------------------------------------------------------


def test_the_history_keeps_the_count_and_the_last_five_attempts() -> None:
    attempts = [Attempt(started_at=float(n), seconds=0.5, worker=f"w{n}", error=f"E: {n}") for n in range(8)]
    assert decode_history(encode_history(8, attempts)) == (8, tuple(attempts[3:]))
    assert decode_history(encode_history(2, attempts[:2])) == (2, tuple(attempts[:2]))
    assert decode_history(encode_history(0, ())) == (0, ())


def test_no_history_is_no_attempts() -> None:
    assert decode_history(None) == (0, ())


def test_the_error_of_an_attempt_is_cut() -> None:
    data = encode_history(1, [Attempt(started_at=1.0, seconds=1.0, worker="w", error="x" * 900)])
    assert decode_history(data)[1][0].error == "x" * 500


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([1, 2], "it has 2 fields, not 3"),
        ([1, -1, []], "count and attempts are not a number and a list"),
        ([1, True, []], "count and attempts are not a number and a list"),
        ([1, 1, None], "count and attempts are not a number and a list"),
        ([1, 1, [[1.0, 1.0, "w"]]], "an attempt is not a list of four"),
        ([1, 1, [None]], "an attempt is not a list of four"),
        ([1, 1, [[1.0, 1.0, "w", 5]]], "worker and error of an attempt are not strings"),
        ([1, 1, [["x", 1.0, "w", "e"]]], "a time in it is not a finite number"),
    ],
)
def test_a_history_of_the_wrong_shape_is_malformed(fields: Any, reason: str) -> None:
    with pytest.raises(MalformedJob) as caught:
        decode_history(pack(fields))
    assert str(caught.value) == f"cannot decode the history: {reason}"
