"""What a check says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from taskq.cli.doctor.facts import Facts

Level = Literal["ok", "note", "unknown", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`value`: what was found. `why` it matters and how to `fix` it are empty where all is well."""

    level: Level
    value: str
    why: str = ""
    fix: str = ""


Check = Callable[[Facts], Finding]


def ok(value: str) -> Finding:
    return Finding("ok", value)


def unknown(what: str) -> Finding:
    """The server does not say it: CONFIG or INFO is forbidden, or it has no such setting."""
    return Finding(
        "unknown",
        "the server does not say",
        f"{what}, so nobody knows whether it is well",
        "allow CONFIG GET and INFO to this user, or look into the settings of the service",
    )


def set_to(name: str, value: str) -> str:
    """How a setting is changed."""
    return f"redis-cli CONFIG SET {name} {value}   and in redis.conf"
