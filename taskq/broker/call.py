"""A call: one request to Redis as a value, and how its reply is read. It says nothing about how it travels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Word = bytes | str | int | float


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """`name` is a script's, or in capitals a command's. `args` follow; `parse` makes the value from the reply.

    `again` is False where sending it twice could do it twice (claims, and reads that take something away).
    """

    name: str
    args: tuple[Word, ...]
    parse: Callable[[Any], T]
    again: bool = True

    @property
    def is_script(self) -> bool:
        return self.name.islower()
