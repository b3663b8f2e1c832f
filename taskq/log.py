"""Logs, by structlog: aligned lines for people on a terminal, JSON elsewhere. Always on stderr: stdout is for data."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

FORMATS = ("auto", "console", "json")
LEVELS = ("debug", "info", "warning", "error")
_BARE = ("outcome", "took", "note", "why")
"""Fields whose value speaks for itself on a console line."""
_TOLD_IN_FULL = ("cannot start",)
"""Events whose error people read as the command line writes errors: all its lines, and nothing else."""


def configure(style: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Set up the process's log. "auto" is "console" on a terminal and "json" elsewhere."""
    stream = stream or sys.stderr
    console = is_for_people(style, stream)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
            _line if console else structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def is_for_people(style: str, stream: TextIO | None = None) -> bool:
    return style == "console" or (style == "auto" and (stream or sys.stderr).isatty())


def logger() -> Any:
    """A structlog logger."""
    return structlog.get_logger()


def _line(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    """17:20:03 send_mail  ok  12ms  wait 3ms  job 01JDA..7Q"""
    time, level, name = event.pop("timestamp"), event.pop("level"), event.pop("event")
    if name in _TOLD_IN_FULL:
        return "error: " + "\n".join(map(plain, str(event["error"]).rstrip().split("\n")))
    mark = {"error": "! ", "warning": "- "}.get(level, "")
    fields = [plain(value) if key in _BARE else f"{key} {plain(value)}" for key, value in event.items()]
    return "  ".join([f"{time} {mark}{plain(name):10}", *fields])


def plain(value: object) -> str:
    """`value` on one line, with nothing in it that a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value))
