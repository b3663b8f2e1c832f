"""Queues as they are declared: the order of their lines, and how many jobs may stand in them.

app.queue("mail", max_length=1000)  ->  terms "fifo 1000"  ->  every enqueue of this app brings them along
                                                           ->  Redis keeps them, for whoever did not declare it
"""

from __future__ import annotations

from typing import Literal, get_args

from taskq.broker import keys
from taskq.errors import ConfigError, shown

Order = Literal["fifo", "lifo"]
LONGEST = 10**9


class Queues:
    """The queues that one app has declared."""

    def __init__(self) -> None:
        self._terms: dict[str, str] = {}

    def declare(self, name: str, order: Order, max_length: int | None) -> str:
        """The name. Raises ConfigError for what cannot be, and for a queue that was declared otherwise before."""
        terms = _terms(keys.check_name(name, "queue"), order, max_length)
        if self._terms.setdefault(name, terms) != terms:
            raise ConfigError(
                f"queue '{name}' is declared twice, as {_told(self._terms[name])} and as {_told(terms)}\n"
                "  hint: declare it once, where the app is made"
            )
        return name

    def terms(self, name: str) -> str:
        """What an enqueue to queue `name` brings along; "" where it is not declared here."""
        return self._terms.get(name, "")


def _terms(name: str, order: Order, max_length: int | None) -> str:
    if order not in get_args(Order):
        raise ConfigError(f"order of queue '{name}' is {shown(order)}\n  hint: 'fifo' or 'lifo'")
    if max_length is None:
        return f"{order} 0"
    if type(max_length) is not int or not 0 < max_length <= LONGEST:
        raise ConfigError(
            f"max_length of queue '{name}' is {shown(max_length)}\n  hint: 1 to {LONGEST} jobs; None is no bound"
        )
    return f"{order} {max_length}"


def parts(terms: str) -> tuple[str, int | None]:
    """Order and bound; those of a queue that was not declared, where `terms` are none."""
    order, _, bound = terms.partition(" ")
    known = order in get_args(Order) and bound.isascii() and bound.isdigit() and len(bound) < 16
    return (order, int(bound) or None) if known else ("fifo", None)


def _told(terms: str) -> str:
    order, bound = parts(terms)
    return f"{order}, {'any length' if bound is None else f'max_length {bound}'}"
