"""Values of an app's own types as they travel: a name and plain values, of which nothing is built by itself."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Lowered", "Lowering", "Named"]


class Named:
    """A value of a type that the app registered, as it travels: the type's name, and `items` that describe the value.

    Fields of a type that has some: name, value, name, value, ...; else one item. Equal to itself only: it may stand in
    a set or be a key, whatever it holds.
    """

    __slots__ = ("items", "name")

    def __init__(self, name: str, items: list[Any]) -> None:
        self.name, self.items = name, items

    @property
    def fields(self) -> dict[Any, Any] | None:
        """Its values by the names of its fields, or None where it has one item that says all."""
        names = self.items[::2]
        if len(self.items) % 2 or not all(type(name) is str for name in names) or len({*names}) < len(names):
            return None
        return dict(zip(names, self.items[1::2], strict=True))

    def __repr__(self) -> str:
        words, fields = [], self.fields
        for field, value in enumerate(self.items) if fields is None else fields.items():  # not one frame a level more
            words.append(repr(value) if fields is None else f"{field}={value!r}")
        plain = self.name.isprintable() and "(" not in self.name
        return f"{self.name if plain else repr(self.name)}({', '.join(words)})"


class Lowering(Protocol):
    """Who knows what the values of an app's own types travel as; None for any other value."""

    def lower(self, value: Any) -> Named | None: ...


class Lowered:
    """What stands for the values of the app's own types while something is packed. Each is looked at once.

    `any`: is there one?
    """

    __slots__ = ("_made", "_types", "any")

    def __init__(self, types: Lowering) -> None:
        self._types = types
        self._made: dict[int, tuple[object, Named]] = {}  # with the value, or another could get its id
        self.any = False

    def of(self, value: Any) -> Named | None:
        """What stands for `value`, if it is of an own type, or has come as a Named."""
        made = value if type(value) is Named else self.made(value) or self._types.lower(value)
        if made is not None:
            self.any = True
            self._made[id(value)] = value, made
        return made

    def made(self, value: Any) -> Named | None:
        """What was made of `value` before."""
        found = self._made.get(id(value))
        return None if found is None else found[1]
