"""Types of an app's own: what travels of them, what comes back, and that no payload builds what is not registered."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, make_dataclass
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from importlib.machinery import ModuleSpec
from typing import Any, NamedTuple

import pytest

from taskq import TaskQ
from taskq.cli.output import jsonable, result_text, shown
from taskq.codec import Envelope, ErrorInfo, Record, decode_job, encode_job, encode_record
from taskq.errors import ConfigError, MalformedJob, NotSerializable, TaskFailed, TooLarge
from taskq.job import read
from taskq.named import Named
from taskq.values import MAX_DEPTH, pack
from tests.support.travelling import exact

NAME = "tests.unit.test_types."


@dataclass
class Point:
    x: int
    y: int = 0
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Line:
    start: Point
    end: Point


@dataclass(frozen=True, kw_only=True, order=True)
class Version:
    major: int
    text: str = field(init=False, default="v")

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"v{self.major}")


class Size(NamedTuple):
    width: int
    height: int = 1


class Colour(Enum):
    RED = "red"
    GREEN = (1, [2])
    CRIMSON = RED


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


class Perm(Flag):
    READ = auto()
    WRITE = auto()


class Bits(IntFlag):
    ONE = 1


class Money:
    def __init__(self, amount: Decimal, currency: str):
        if len(currency) != 3:
            raise ValueError(f"no such currency: {currency}")
        self.amount, self.currency = amount, currency

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(self.currency)

    def __repr__(self) -> str:
        return f"{self.amount} {self.currency}"


class Bag(dict[str, int]):
    pass


OWN = [Point, Line, Version, Size, Colour, Level, Word, Perm, Bits]


def table(*kinds: Any) -> TaskQ:
    app = TaskQ()
    for kind in kinds or OWN:
        app.register_type(kind)
    app.register_type(Money, name="money", encode=lambda m: (m.amount, m.currency), decode=lambda made: Money(*made))
    app.register_type(Bag, encode=list, decode=lambda keys: Bag.fromkeys(keys, 1))
    return app


def job(*args: Any, **kwargs: Any) -> Envelope:
    return Envelope(task="t", args=args, kwargs=kwargs, enqueued_at=1.0)


def sent(app: TaskQ, value: Any) -> Envelope:
    return decode_job(encode_job(job(value), types=app.types))


def travelled(app: TaskQ, value: Any, other: TaskQ | None = None) -> Any:
    """`value` after it went through a job of `app`, as `other` builds it."""
    (found,) = sent(app, value).args
    return (other or app).types.build(found)


def result(app: TaskQ, data: bytes) -> Any:
    outcome: Future[bytes] = Future()
    outcome.set_result(data)
    return read(outcome, {}, app.types)


def outcome(value: Any = None, error: ErrorInfo | None = None, state: Any = "done") -> Record:
    more: dict[str, Any] = {
        "task": "t",
        "enqueued_at": 1.0,
        "started_at": 1.0,
        "seconds": 1.0,
        "attempt": 1,
        "worker": "w",
    }
    return Record(state=state, value=value, error=error, **more)


# What comes back


@pytest.mark.parametrize(
    "value",
    [
        Point(1, 2, {"a"}),
        Line(Point(1), Point(2, tags=set())),
        Version(major=3),
        Size(3),
        Colour.RED,
        Colour.GREEN,
        Level.LOW,
        Word.YES,
        Perm.READ | Perm.WRITE,
        Perm(0),
        ~Perm.READ,
        Bits.ONE,
        Money(Decimal("1.50"), "EUR"),
        Bag(a=1, b=1),
        [Point(1), (Point(2), {Colour.RED, Size(1)}), {Size(1, 2): [Level.LOW], Perm.READ: {}}],
        {Word.YES: {"x": Line(Point(1), Point(Level.LOW))}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_of_a_registered_type_comes_back_as_it_was(value: Any) -> None:
    got = travelled(table(), value)
    assert got == value
    assert type(got) is type(value)
    assert repr(got) == repr(value) or isinstance(value, (list, dict))


def test_an_alias_of_a_member_is_the_member() -> None:
    assert travelled(table(), Colour.CRIMSON) is Colour.RED


def test_what_a_type_holds_keeps_its_exact_type() -> None:
    got = travelled(table(), Point((1, {2}), {3: (4,)}))  # type: ignore[arg-type]
    assert exact([got.x, got.y]) == exact([(1, {2}), {3: (4,)}])


def test_what_encode_makes_may_hold_registered_types_again() -> None:
    app = TaskQ()
    app.register_type(Point)
    app.register_type(
        Money, encode=lambda m: {"at": Point(1), "of": [m.amount]}, decode=lambda made: (made["at"], made["of"])
    )
    assert travelled(app, [Money(Decimal(2), "EUR")]) == [(Point(1), [Decimal(2)])]


def test_encode_is_called_once_for_a_value_that_is_there_twice() -> None:
    asked: list[Any] = []
    app = TaskQ()
    app.register_type(Money, encode=lambda m: asked.append(m) or 1, decode=lambda made: made)
    money = Money(Decimal(1), "EUR")
    assert travelled(app, [money, {"again": money}]) == [1, {"again": 1}]
    assert asked == [money]


def test_short_lived_values_are_not_mistaken_for_one_another() -> None:
    class Rows:
        pass

    app = TaskQ()
    app.register_type(Point)
    app.register_type(Rows, encode=lambda _: [[Point(n)] for n in range(300)], decode=lambda made: made)
    assert travelled(app, Rows()) == [[Point(n)] for n in range(300)]


def test_a_registered_subclass_of_str_or_dict_is_kept_and_others_travel_as_their_base() -> None:
    app = table(Word)
    assert exact(travelled(app, [Word.YES, Bag(a=1), OrderedDict(b=2)])) == exact([Word.YES, Bag(a=1), {"b": 2}])


def test_results_and_the_args_of_exceptions_come_back_too() -> None:
    app = table()
    assert result(app, encode_record(outcome([Point(1)]), types=app.types)) == [Point(1)]
    error = ErrorInfo(type="builtins.ValueError", text="no", args=("no", Point(2)))
    with pytest.raises(ValueError, match="no") as caught:
        result(app, encode_record(outcome(error=error, state="dead"), types=app.types))
    assert caught.value.args == ("no", Point(2))


def test_an_exception_whose_args_cannot_be_built_here_is_told_without_them() -> None:
    error = ErrorInfo(type="builtins.ValueError", text="no", args=("no", Point(2)))
    with pytest.raises(TaskFailed, match="ValueError: no"):
        result(TaskQ(), encode_record(outcome(error=error, state="dead"), types=table().types))


def test_a_field_that_was_added_later_gets_its_default() -> None:
    old, new = TaskQ(), TaskQ()
    older = old.register_type(make_dataclass("Order", [("id", int)]), name="order")
    more = [("note", str, field(default="-")), ("tags", list, field(default_factory=list))]
    newer = new.register_type(make_dataclass("Order", [("id", int), *more]), name="order")
    assert travelled(old, older(1), new) == newer(1)


# What a type is called, and what cannot be registered


def test_a_type_goes_by_its_module_and_name_or_by_the_name_that_it_is_given() -> None:
    (found,) = sent(table(), [Point(1), Money(Decimal(1), "EUR")]).args
    assert [named.name for named in found] == [NAME + "Point", "money"]


def test_register_type_is_a_decorator() -> None:
    app = TaskQ()

    @app.register_type
    @dataclass
    class One:
        x: int

    @app.register_type(name="two")
    class Two(Enum):
        A = 1

    assert travelled(app, [One(1), Two.A]) == [One(1), Two.A]
    assert isinstance(One, type)
    assert isinstance(Two, type)


def test_a_module_that_is_loaded_again_registers_its_types_again() -> None:
    app = TaskQ()
    for _ in range(2):
        kind = make_dataclass("Again", [("x", int)], namespace={"__module__": "shop"})
        app.register_type(kind)
    assert travelled(app, kind(1)) == kind(1)


def test_a_type_of_the_program_that_runs_goes_by_the_name_that_workers_import_it_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, imported = TaskQ(), make_dataclass("Again", [("x", int)], namespace={"__module__": "shop"})
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", ModuleSpec("shop", None))
    run = make_dataclass("Again", [("x", int)], namespace={"__module__": "__main__"})
    app.register_type(imported)
    app.register_type(run)
    (named,) = sent(app, run(1)).args
    assert named.name == "shop.Again"


@pytest.mark.parametrize(
    ("register", "text"),
    [
        (lambda app: app.register_type(7), "cannot register 7: it is not a class"),
        (lambda app: app.register_type(int), "cannot register int: it is not a type of your own"),
        (
            lambda app: app.register_type(dict, encode=list, decode=dict),
            "cannot register dict: it is not a type of your",
        ),
        (lambda app: app.register_type(Point, name=""), "cannot register a type as ''\n  hint: name= has 1 to 200"),
        (lambda app: app.register_type(Point, name="a\nb"), "cannot register a type as "),
        (lambda app: app.register_type(Point, name="x" * 201), "cannot register a type as 'xxx"),
        (
            lambda app: app.register_type(Money, name="m"),
            "'m': it is no dataclass, Enum or NamedTuple\n  hint: encode=",
        ),
        (lambda app: app.register_type(Money, name="m", encode=str), "'m' with only one of encode= and decode="),
        (lambda app: app.register_type(Money, name="m", decode=str), "'m' with only one of encode= and decode="),
        (lambda app: (app.register_type(Point, name="p"), app.register_type(Line, name="p")), "two types as 'p'"),
        (lambda app: (app.register_type(Point, name="p"), app.register_type(Point)), "it is 'p' already"),
    ],
)
def test_what_cannot_be_registered_is_an_error(register: Callable[[TaskQ], object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        register(TaskQ())
    assert text in str(caught.value)


def test_a_class_whose_constructor_takes_something_else_than_its_fields_needs_encode_and_decode() -> None:
    @dataclass(init=False)
    class Odd:
        x: int

        def __init__(self, path: str):
            self.x = len(path)

    with pytest.raises(ConfigError, match=r"Odd': 'x' is not both a field and an argument of it\n  hint: encode="):
        TaskQ().register_type(Odd)
    app = TaskQ()
    app.register_type(Odd, encode=lambda odd: odd.x, decode=lambda x: Odd("." * x))
    assert travelled(app, Odd("abc")).x == 3


# What cannot travel


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Point(1), "app.register_type(Point); or pass a value made of None, bool"),
        (Colour.RED, "app.register_type(Colour); or pass user.value, or another value made of"),
        (Size(1), "app.register_type(Size); or pass tuple(user), or another"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("app", [TaskQ(), table(Line)], ids=["none registered", "others registered"])
def test_a_type_that_is_not_registered_is_told_with_what_registers_it(app: TaskQ, value: Any, hint: str) -> None:
    with pytest.raises(NotSerializable) as caught:
        encode_job(job(value), names=lambda: {"user": value}, types=app.types)
    assert f"argument 'user' of t is a {type(value).__name__}; msgpack cannot store it\n  hint: {hint}" in str(
        caught.value
    )


def test_a_result_that_is_not_registered_is_told_with_what_registers_it() -> None:
    with pytest.raises(NotSerializable, match=r"hint: app.register_type\(Point\); or return a value made of"):
        encode_record(outcome(Point(1)), types=TaskQ().types)


def test_a_subclass_of_a_registered_type_is_another_type() -> None:
    class Sub(Point):
        pass

    with pytest.raises(NotSerializable, match=r"is a Sub; .*\n  hint: app.register_type\(Sub\)"):
        encode_job(job(Sub(1)), types=table().types)


def test_the_place_in_a_value_is_told_by_its_fields() -> None:
    value = [Line(Point(1), Point({"a": object()}))]  # type: ignore[arg-type]
    with pytest.raises(NotSerializable, match=r"holds an object at \[0\].end.x\['a'\]; msgpack"):
        encode_job(job(value), names=lambda: {"user": value}, types=table().types)
    money = Money(object(), "EUR")  # type: ignore[arg-type]
    with pytest.raises(NotSerializable, match=r"holds an object at <content>\[0\]; msgpack"):
        encode_job(job(money), names=lambda: {"user": money}, types=table().types)


def test_what_encode_raises_is_told_and_is_the_cause() -> None:
    app = TaskQ()
    app.register_type(Money, name="money", encode=lambda m: m.nothing, decode=Money)
    with pytest.raises(
        NotSerializable, match=r"is a value of 'money' that cannot be encoded .AttributeError: "
    ) as caught:
        encode_job(job(Money(Decimal(1), "EUR")), types=app.types)
    assert isinstance(caught.value.__cause__, AttributeError)


def test_an_encode_that_gives_its_own_value_back_is_an_error() -> None:
    app = TaskQ()
    app.register_type(Money, encode=lambda m: [m], decode=lambda made: made)
    with pytest.raises(NotSerializable, match="nested more than 200 deep, or contains itself"):
        encode_job(job(Money(Decimal(1), "EUR")), types=app.types)


def test_a_flag_with_bits_that_have_no_name_cannot_travel() -> None:
    with pytest.raises(NotSerializable, match=r"bits that have no name; .*\n  hint: pass who.value, or"):
        encode_job(job(who=Bits(1 | 8)), types=table().types)


def test_own_types_count_for_the_size_of_a_job() -> None:
    app = table()
    with pytest.raises(TooLarge, match="its largest argument is 'b' with "):
        encode_job(job(a=1, b=Point("x" * 1000)), 500, types=app.types)  # type: ignore[arg-type]
    value: Any = 1
    for _ in range(40):
        value = Line(value, value)
    with pytest.raises(TooLarge, match="at least"):
        encode_job(job(value), types=app.types)


def nested(levels: int) -> Any:
    """Points in one another; the innermost holds a set, which is the last of the levels."""
    value: Any = 1
    for _ in range(levels - 1):
        value = Point(value)
    return value


def test_whatever_depth_of_own_types_is_accepted_also_comes_back() -> None:
    app = table()
    value = nested(MAX_DEPTH)
    got, deep = travelled(app, value), 0
    while isinstance(got, Point):
        got, deep = got.x, deep + 1
    assert deep == MAX_DEPTH - 1
    with pytest.raises(NotSerializable, match="nested more than 200 deep"):
        encode_job(job(nested(MAX_DEPTH + 1)), types=app.types)


# What is not known here


def misfit(receiver: TaskQ, value: Named) -> str:
    return receiver.types.misfit(decode_job(encode_job(job([value]), types=table().types)).named)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Named("shop.Nothing", ["x", 1]), "type 'shop.Nothing' is not registered here"),
        (Named("\x1b[2J", [1]), "type '\\x1b[2J' is not registered here"),
        (Named("os.system", ["rm -rf /"]), "type 'os.system' is not registered here"),
        (Named("money", []), "a value of 'money' has 0 items, not one"),
        (Named("money", [1, 2]), "a value of 'money' has 2 items, not one"),
        (Named(NAME + "Point", ["x", 1, "z", 2]), f"'{NAME}Point' has no field 'z' here"),
        (Named(NAME + "Point", ["y", 1]), f"'{NAME}Point' has a field 'x' here, which the value lacks"),
        (Named(NAME + "Point", []), f"'{NAME}Point' has a field 'x' here, which the value lacks"),
        (Named(NAME + "Point", [1]), f"'{NAME}Point' has fields here"),
        (Named(NAME + "Point", [{}, 1]), f"'{NAME}Point' has fields here"),
        (Named(NAME + "Point", ["x", 1, "x", 2]), f"'{NAME}Point' has fields here"),
        (Named(NAME + "Size", ["width", 1, "_make", 2]), f"'{NAME}Size' has no field '_make' here"),
        (Named(NAME + "Version", ["major", 1, "text", "x"]), f"'{NAME}Version' has no field 'text' here"),
        (Named(NAME + "Colour", ["BLUE"]), f"'{NAME}Colour' has no member 'BLUE' here"),
        (Named(NAME + "Colour", ["__class__"]), f"'{NAME}Colour' has no member '__class__' here"),
        (Named(NAME + "Colour", [["RED"]]), f"'{NAME}Colour' has no member ['RED'] here"),
        (Named(NAME + "Colour", []), f"'{NAME}Colour' is an Enum here"),
        (Named(NAME + "Perm", ["READ"]), f"'{NAME}Perm' is a Flag here"),
        (Named(NAME + "Perm", [["READ", 7]]), f"'{NAME}Perm' has no member 7 here"),
    ],
    ids=repr,
)
def test_a_value_of_an_unknown_type_or_shape_is_told_and_not_built(value: Named, text: str) -> None:
    assert misfit(table(), value) == text
    data = encode_record(outcome([value]), types=table().types)
    with pytest.raises(MalformedJob) as caught:
        result(table(), data)
    assert str(caught.value) == f"cannot build a value: {text}\n  hint: app.register_type(...), as where it was sent"


def test_what_a_constructor_raises_is_its_own_error_with_a_note() -> None:
    with pytest.raises(ValueError, match="no such currency: EURO") as caught:
        travelled(table(), Named("money", [(1, "EURO")]))
    assert caught.value.__notes__ == ["taskq was building a value of 'money'"]


def test_a_result_that_its_constructor_refuses_is_an_error_with_its_cause() -> None:
    data = encode_record(outcome(Named("money", [(1, "EURO")])), types=table().types)
    with pytest.raises(
        MalformedJob, match="cannot build the result of t: ValueError: no such currency: EURO"
    ) as caught:
        result(table(), data)
    assert isinstance(caught.value.__cause__, ValueError)


def test_decoding_builds_nothing() -> None:
    built: list[object] = []
    app = TaskQ()
    app.register_type(Money, name="money", encode=lambda m: 1, decode=built.append)
    envelope = decode_job(encode_job(job([Money(Decimal(1), "EUR")]), types=app.types))
    assert app.types.misfit(envelope.named) == ""
    assert built == []
    assert [named.name for named in envelope.named] == ["money"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x91\xd4\x01n",  # no name
        b"\x92\xd4\x01n\x01",
        b"\x92\xd4\x01n\x90",
        b"\x92\xd4\x01n\xd4\x01n",
        b"\x93\xd4\x01n\xa1x\xd4\x01n",
        b"\xd4\x01n",
        b"\x92\xa1x\xd4\x01n",
    ],
)
def test_a_mark_of_a_named_value_out_of_place_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedJob):
        decode_job(b"\x95\x02\xa1t\x91" + data + b"\x80\x01")


def test_a_named_value_is_no_task_no_name_of_an_argument_and_no_record_of_anything() -> None:
    named = b"\x92\xd4\x01n\xa1x"
    for body in (b"\x95\x02" + named + b"\x90\x80\x01", b"\x95\x02\xa1t\x90\x81" + named + b"\x01\x01", named):
        with pytest.raises(MalformedJob):
            decode_job(body)


# Versions


def test_only_what_holds_own_types_has_the_newer_version() -> None:
    app = table()
    assert encode_job(job(1, [2], a=(3,)), types=app.types)[1] == 1
    assert encode_job(job([Colour.RED]), types=app.types)[1] == 2
    assert encode_record(outcome([1]), types=app.types)[1] == 1
    assert encode_record(outcome(Perm.READ), types=app.types)[1] == 2


def test_plain_values_are_the_same_bytes_with_and_without_a_table() -> None:
    sent_plain = job(1, [(2, {3})], {"a": b"x"}, k={None: 1})
    assert encode_job(sent_plain, types=table().types) == encode_job(sent_plain)


def test_without_a_table_a_named_value_is_not_sent_on() -> None:
    with pytest.raises(NotSerializable, match="is a Named"):
        pack(Named("x", []))


# Shown without the app


def test_a_value_is_shown_as_it_would_be_written() -> None:
    (found,) = sent(
        table(), [Line(Point(1), Point(2)), Colour.RED, Money(Decimal("1.5"), "EUR"), Perm.READ, Size(1)]
    ).args
    point = NAME + "Point(x={}, y=0, tags=set())"
    assert list(map(shown, found)) == [
        f"{NAME}Line(start={point.format(1)}, end={point.format(2)})",
        f"{NAME}Colour('RED')",
        "money((Decimal('1.5'), 'EUR'))",
        f"{NAME}Perm(['READ'])",
        f"{NAME}Size(width=1, height=1)",
    ]
    assert result_text(found[1]) == f"{NAME}Colour('RED')"


def test_a_value_is_json_with_the_name_of_its_type() -> None:
    (found,) = sent(table(), [Point(1), Colour.RED, Perm.READ]).args
    assert jsonable(found) == [
        {NAME + "Point": {"x": 1, "y": 0, "tags": []}},
        {NAME + "Colour": "RED"},
        {NAME + "Perm": ["READ"]},
    ]
    assert jsonable(Named("odd", [1, 2])) == {"odd": [1, 2]}


def test_the_deepest_value_can_be_shown() -> None:
    (found,) = sent(table(), nested(MAX_DEPTH)).args
    assert shown(found).count("Point(") == MAX_DEPTH - 1
    assert jsonable(found)


def test_a_name_that_looks_like_code_is_shown_as_text() -> None:
    assert shown(Named("Point(1), evil", [])) == "'Point(1), evil'()"
    assert "\n" not in shown(Named("a\nb", []))
