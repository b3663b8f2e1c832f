"""A call: one request to Redis as a value, and how its reply is read. It says nothing about how it travels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
Word = bytes | str | int | float


class Call(NamedTuple, Generic[T]):
    """`name` is a script's, or in capitals a command's. `args` follow; `parse` makes the value from the reply.

    `again` is False where sending it twice could do it twice (claims, and reads that take something away).
    A named tuple, since each enqueue makes one: a frozen dataclass takes twice as long.
    """

    name: str
    args: tuple[Word, ...]
    parse: Callable[[Any], T]
    again: bool = True

    @property
    def is_script(self) -> bool:
        return self.name.islower()
