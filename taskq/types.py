"""An app's own types: how their values travel, and how they are built again. A closed table, by name.

    dataclass, NamedTuple    name, field, value, field, value, ...
    Enum                     name, the member's name
    Flag                     name, the names of its bits, as a list
    any other                name, what the `encode` of its registration made of it

A value goes out as a `Named` (`lower`), and comes out of the decoder as one: bytes build nothing. `misfit` says,
without running any code of the app, whether all of them are of types and shapes that are known here: where they are
not, the job is left to workers that know them. `build` makes values of them; it calls constructors, so the job does it.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import reduce
from operator import or_
from typing import Any

from taskq.errors import ConfigError, MalformedJob, shown
from taskq.named import Named
from taskq.values import PLAIN, STORABLE_TYPES, RefusedError

__all__ = ["LONGEST_NAME", "Types"]

LONGEST_NAME = 200
"""Characters of a type's name."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How the values of one type travel.

    `encode`: a value as the items of a Named. `misfit`: why items are not of this type as it is here, or "". `decode`:
    a value from items that fit and are built.
    """

    name: str
    encode: Callable[[Any], list[Any]]
    misfit: Callable[[Named], str]
    decode: Callable[[list[Any]], Any]


class Types:
    """The table. Empty, it is false."""

    __slots__ = ("_by_name", "_by_type", "_homes")

    def __init__(self) -> None:
        self._by_type: dict[type, _Form] = {}
        self._by_name: dict[str, _Form] = {}
        self._homes: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._by_type)

    def register(
        self,
        kind: Any,
        home: str,
        name: str,
        encode: Callable[[Any], object] | None = None,
        decode: Callable[[Any], Any] | None = None,
    ) -> None:
        """Let values of `kind` travel under `name`. Raises ConfigError.

        `home`: where it is defined. A module that is loaded again defines the same ones again.
        """
        _check(kind, name)
        if self._homes.get(name, home) != home:
            raise ConfigError(f"cannot register two types as '{name}'\n  hint: give one of them another name=")
        if kind in self._by_type and self._by_type[kind].name != name:
            raise ConfigError(f"cannot register {shown(kind)} as '{name}': it is '{self._by_type[kind].name}' already")
        form = _form(kind, name, encode, decode)
        self._by_type[kind] = self._by_name[name] = form
        self._homes[name] = home

    def lower(self, value: Any) -> Named | None:
        """What `value` travels as, if its type is registered. Raises RefusedError."""
        form = self._by_type.get(type(value))
        if form is None:
            return None
        try:
            return Named(form.name, form.encode(value))
        except RefusedError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {str(error)[:200]}"
            raise RefusedError(f"a value of '{form.name}' that cannot be encoded ({text})") from error

    def misfit(self, named: Iterable[Named]) -> str:
        """Why not all of `named` can be built here, or "". Runs no code of the app."""
        for value in named:
            form = self._by_name.get(value.name)
            found = f"type {shown(value.name)} is not registered here" if form is None else form.misfit(value)
            if found:
                return found
        return ""

    def build(self, value: Any) -> Any:
        """`value` with what each Named in it stands for. Raises what constructors raise; MalformedJob for a misfit."""
        kind = type(value)
        if kind is Named:
            return self._build(value)
        if kind is list or kind is tuple or kind is set:
            return value if PLAIN.issuperset(map(type, value)) else kind(map(self.build, value))
        if kind is dict:
            return {self.build(key): self.build(item) for key, item in value.items()}
        return value

    def _build(self, named: Named) -> Any:
        why = self.misfit([named])
        if why:
            raise MalformedJob(f"cannot build a value: {why}\n  hint: app.register_type(...), as where it was sent")
        form = self._by_name[named.name]
        items = self.build(named.items)
        try:
            return form.decode(items)
        except Exception as error:
            error.add_note(f"taskq was building a value of '{form.name}'")
            raise


def _check(kind: Any, name: str) -> None:
    if not isinstance(kind, type):
        raise ConfigError(f"cannot register {shown(kind)}: it is not a class\n  hint: app.register_type(Point)")
    if kind in STORABLE_TYPES or kind is object or kind is Named:
        raise ConfigError(f"cannot register {kind.__name__}: it is not a type of your own")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ConfigError(
            f"cannot register a type as {shown(name)}\n"
            f"  hint: name= has 1 to {LONGEST_NAME} characters that can be printed on one line"
        )


def _form(kind: Any, name: str, encode: Callable[[Any], object] | None, decode: Callable[[Any], Any] | None) -> _Form:
    if encode is not None and decode is not None:
        return _described(name, encode, decode)
    if encode is not None or decode is not None:
        raise ConfigError(f"cannot register '{name}' with only one of encode= and decode=\n  hint: give both, or none")
    if issubclass(kind, enum.Flag):
        return _flag(kind, name)
    if issubclass(kind, enum.Enum):
        return _enum(kind, name)
    if is_dataclass(kind):
        return _fielded(kind, name, [field.name for field in fields(kind) if field.init])
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _fielded(kind, name, list(kind._fields))
    raise ConfigError(
        f"cannot register '{name}': it is no dataclass, Enum or NamedTuple\n"
        "  hint: encode=lambda value: ..., decode=lambda made: ..."
    )


# Each way to travel


def _described(name: str, encode: Callable[[Any], object], decode: Callable[[Any], Any]) -> _Form:
    return _Form(
        name,
        lambda value: [encode(value)],
        lambda named: "" if len(named.items) == 1 else f"a value of '{name}' has {len(named.items)} items, not one",
        lambda items: decode(items[0]),
    )


def _enum(kind: type[enum.Enum], name: str) -> _Form:
    def misfit(named: Named) -> str:
        return _unknown_member(kind, name, named.items) if len(named.items) == 1 else f"'{name}' is an Enum here"

    return _Form(name, lambda value: [value.name], misfit, lambda items: kind[items[0]])


def _flag(kind: type[enum.Flag], name: str) -> _Form:
    def encode(value: enum.Flag) -> list[Any]:
        names = [bit.name for bit in value]
        if decode([names]) is not value:
            raise RefusedError(f"a value of '{name}' with bits that have no name", "{}.value")
        return [names]

    def misfit(named: Named) -> str:
        if len(named.items) != 1 or type(named.items[0]) is not list:
            return f"'{name}' is a Flag here"
        return _unknown_member(kind, name, named.items[0])

    def decode(items: Sequence[Any]) -> enum.Flag:
        return reduce(or_, (kind[bit] for bit in items[0]), kind(0))

    return _Form(name, encode, misfit, decode)


def _unknown_member(kind: type[enum.Enum], name: str, members: Iterable[object]) -> str:
    for member in members:
        if type(member) is not str or member not in kind.__members__:
            return f"'{name}' has no member {shown(member)} here"
    return ""


def _fielded(kind: Any, name: str, names: Sequence[str]) -> _Form:
    needed = _needed(kind, name, names)

    def encode(value: Any) -> list[Any]:
        return [part for field in names for part in (field, getattr(value, field))]

    def misfit(named: Named) -> str:
        found = named.fields
        if found is None:
            return f"'{name}' has fields here"
        more, less = found.keys() - names, needed - found.keys()
        if more:
            return f"'{name}' has no field {shown(min(more))} here"
        return f"'{name}' has a field {shown(min(less))} here, which the value lacks" if less else ""

    return _Form(name, encode, misfit, lambda items: kind(**dict(zip(items[::2], items[1::2], strict=True))))


def _needed(kind: Any, name: str, names: Sequence[str]) -> set[str]:
    """The fields that its constructor has no default for. Raises ConfigError where it does not take just its fields."""
    hint = "\n  hint: encode=lambda value: ..., decode=lambda made: ..."
    try:
        parameters = inspect.signature(kind).parameters
    except (ValueError, TypeError) as error:
        raise ConfigError(f"cannot register '{name}': {error}{hint}") from None
    named = {key: p for key, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    others = [key for key in names if key not in named and not is_open]
    others += [key for key, p in named.items() if p.default is p.empty and key not in names]
    if others:
        raise ConfigError(f"cannot register '{name}': {others[0]!r} is not both a field and an argument of it{hint}")
    return {key for key in names if key in named and named[key].default is inspect.Parameter.empty}
