"""What the log looks like, and where it goes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from taskq import log
from taskq.codec import ErrorInfo
from taskq.lifecycle import Bury, Delay, Finish, Park
from taskq_workers.lines import log_outcome
from taskq_workers.outcomes import Settled

Say = Callable[..., str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def console() -> Say:
    """Logs one event as a terminal shows it; the answer is the line after its time of day."""
    stream = Terminal()
    log.configure(stream=stream)

    def say(level: str, event: str, **fields: Any) -> str:
        stream.seek(0)
        stream.truncate()
        getattr(log.logger(), level)(event, **fields)
        line = stream.getvalue()
        assert re.match(r"\d\d:\d\d:\d\d ", line)
        assert line.endswith("\n")
        return line[9:-1]

    return say


def test_a_line_is_time_event_and_fields(console: Say) -> None:
    assert console("info", "send_mail", job="01JDA", queue="mail") == "send_mail   job 01JDA  queue mail"


def test_the_fields_that_speak_for_themselves_go_without_their_names(console: Say) -> None:
    line = console("info", "send_mail", outcome="ok", took="12ms", wait="3ms", job="01JDA")
    assert line == "send_mail   ok  12ms  wait 3ms  job 01JDA"


def test_events_stand_below_each_other(console: Say) -> None:
    assert console("info", "add", outcome="ok").index("ok") == console("info", "send_mail", outcome="ok").index("ok")


def test_warnings_and_errors_are_marked(console: Say) -> None:
    assert console("warning", "add", outcome="retry").startswith("- add")
    assert console("error", "add", outcome="dead").startswith("! add")


def test_a_terminal_is_not_told_what_it_would_obey(console: Say) -> None:
    line = console("info", "a\x1b[2J", why="x\r\nroot: \x07 \u202egnp", job="\x00")
    assert line == r"a\x1b[2J    x\r\nroot: \x07 \u202egnp  job \x00"
    assert line.isprintable()


def test_letters_of_any_script_are_shown_as_they_are(console: Say) -> None:
    assert console("info", "add", why="schön 好 🙂") == "add         schön 好 🙂"


def test_half_a_character_does_not_break_the_log(console: Say) -> None:
    assert console("info", "add", why="\ud800") == r"add         \ud800"


def test_what_keeps_a_worker_from_starting_is_told_in_full() -> None:
    stream = Terminal()
    log.configure(stream=stream)
    log.logger().error("cannot start", worker="w1", error="cannot import 'taskz'\n  hint: \x1b[2J\n")
    assert stream.getvalue() == "error: cannot import 'taskz'\n  hint: \\x1b[2J\n"


def test_elsewhere_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    log.logger().warning("add", why="a\nb \x1b \u2028", took=0.5, error=ErrorInfo(type="a.B", text="c"))
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert datetime.fromisoformat(event.pop("timestamp")).utcoffset() is not None
    assert event.pop("error").startswith("ErrorInfo(")
    assert event == {"event": "add", "level": "warning", "why": "a\nb \x1b \u2028", "took": 0.5}
    assert line.isprintable()


@pytest.mark.parametrize(
    ("format_", "stream", "people"),
    [
        ("auto", Terminal(), True),
        ("auto", io.StringIO(), False),
        ("console", io.StringIO(), True),
        ("json", Terminal(), False),
    ],
)
def test_a_format_that_is_named_wins_over_the_terminal(format_: str, stream: io.StringIO, people: bool) -> None:
    assert log.is_for_people(format_, stream) is people
    log.configure(format_, stream=stream)
    log.logger().info("add")
    assert stream.getvalue().startswith("{") is not people


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_only_the_asked_level_and_above_are_logged(level: str, shown: int) -> None:
    stream = io.StringIO()
    log.configure("json", level, stream)
    for name in log.LEVELS:
        getattr(log.logger(), name)("add")
    assert len(stream.getvalue().splitlines()) == shown


@pytest.mark.parametrize("format_", log.FORMATS)
def test_the_log_goes_to_stderr_and_nothing_to_stdout(format_: str, capfd: pytest.CaptureFixture[str]) -> None:
    log.configure(format_)
    log.logger().error("add", why="broken")
    out, err = capfd.readouterr()
    assert out == ""
    assert "broken" in err


# What is said of a job

MEMBER = bytes(16) + b"mail:io"
ERROR = ErrorInfo(type="shop.errors.BadImage", text="no colours")


def settled(step: Any, task: str = "shop.tasks.thumbnail") -> Settled:
    return Settled(MEMBER, "io", task, step, 1.25, waited=0.003, attempt=2)


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Finish(b"record"), "thumbnail   ok  1.2s  wait 3ms"),
        (
            Delay(4.1, ERROR),
            "- thumbnail   retry  1.2s  attempt 2 failed, again in 4.1s  error BadImage: no colours",
        ),
        (Bury(ERROR), "! thumbnail   dead  1.2s  attempt 2  error BadImage: no colours"),
        (
            Park(600.0),
            "- shop.tasks.thumbnail  parked  this worker does not know the task; offered to others, dead in 10m00",
        ),
    ],
)
def test_the_log_says_what_became_of_a_job(console: Say, step: Any, line: str) -> None:
    log_outcome(Relay(console), settled(step), written=True)
    assert Relay.last == f"{line}  job {'0' * 26}  queue mail"


def test_the_log_says_when_an_outcome_did_not_count(console: Say) -> None:
    log_outcome(Relay(console), settled(Finish(b"")), written=False)
    assert Relay.last.startswith("- thumbnail   dropped  1.2s  it runs elsewhere, or has an outcome  job 0000")


def test_the_log_says_why_a_job_of_a_newer_taskq_is_parked(console: Say) -> None:
    log_outcome(Relay(console), settled(Park(600.0), task=""), written=True)
    assert Relay.last.startswith(
        "- job         parked  a newer taskq wrote it, upgrade this worker; offered to others, dead in 10m00"
    )


def test_a_job_whose_task_cannot_be_read_is_called_a_job(console: Say) -> None:
    log_outcome(Relay(console), settled(Bury(ERROR), task=""), written=True)
    assert Relay.last.startswith("! job         dead")


class Relay:
    """A log that keeps the last line of a console."""

    last = ""

    def __init__(self, say: Say):
        self._say = say

    def __getattr__(self, level: str) -> Callable[..., None]:
        def relay(event: str, **fields: Any) -> None:
            type(self).last = self._say(level, event, **fields)

        return relay
