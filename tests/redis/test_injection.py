"""Text that means to be obeyed or mistaken: on terminals and in logs it is shown, on the line where it belongs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from taskq import ids, log
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.codec import Attempt, Envelope, ErrorInfo, Record, encode_history, encode_job, encode_record
from taskq.config import Sourced, WorkerSettings
from taskq.errors import BrokerError
from taskq.lifecycle import Bury, Delay, Finish, Park
from taskq_workers.lines import log_outcome, tell_trouble
from taskq_workers.outcomes import Settled
from taskq_workers.worker import Order, announce
from tests.support.clock import FakeClock
from tests.support.console import Console

EVIL = {
    "newline": 'a\n{"event": "forged"}\r\n17:00:00 ready',
    "ANSI": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "NUL": "a\0b",
    "bidi": "a\u202egnp.\u2066x",
    "lines": "a\u2028b\u2029c\x85d\x0b",
    "surrogate": "\udfff\ud800",
    "zero width": "a\u200bb\ufeff",
}
each_text = pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
MEMBER = bytes(16) + b"default:io"


def error(text: str) -> ErrorInfo:
    return ErrorInfo(type=f"m.{text}", text=text, traceback=f"Traceback\n  {text}", args=(text,))


# Logs


def lines_of(style: str, say: Callable[[Any], object]) -> list[str]:
    stream = io.StringIO()
    log.configure(style, stream=stream)
    try:
        say(log.logger())
    finally:
        structlog.reset_defaults()
    return stream.getvalue().splitlines()


@each_text
@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize(
    "step", [Finish(b""), Delay(1.0, error("")), Bury(error("")), Park(600.0)], ids=lambda s: type(s).__name__
)
def test_what_the_log_says_of_a_job_is_one_line(style: str, step: Any, text: str) -> None:
    if isinstance(step, (Delay, Bury)):
        step = Delay(1.0, error(text)) if isinstance(step, Delay) else Bury(error(text))
    settled = Settled(bytes(16) + text.encode("utf-8", "surrogatepass"), "io", text, step, 1.0)
    for written in (True, False):
        (line,) = lines_of(style, partial(log_outcome, settled=settled, written=written))
        assert line.isprintable()
        if style == "json":
            assert set(json.loads(line)) >= {"event", "level", "timestamp", "job", "queue"}
            assert json.loads(line)["event"] == text.rsplit(".", 1)[-1] or isinstance(step, Park)


@each_text
@pytest.mark.parametrize("style", ["json", "console"])
def test_what_the_log_says_of_trouble_is_one_line(style: str, text: str) -> None:
    (line,) = lines_of(style, lambda logger: tell_trouble(logger, text, BrokerError(text)))
    assert line.isprintable()


@each_text
def test_the_name_of_a_task_is_cut_in_the_log(text: str) -> None:
    settled = Settled(MEMBER, "io", text * 100_000, Park(600.0), 1.0)
    (line,) = lines_of("json", lambda logger: log_outcome(logger, settled, written=True))
    assert len(line) < 3000


@each_text
@pytest.mark.parametrize("style", ["json", "console"])
def test_the_banner_of_a_worker_obeys_nothing(style: str, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    order = Order(app=Sourced(text, text), url=None, settings=WorkerSettings(), log_format=style)
    task = {"name": text, "queue": text, "lane": "io", "retries": 1, "timeout": None}
    introduction = {"url": f"redis://{text}", "namespace": text, "tasks": [task], "redis": {"redis_version": text}}
    log.configure(style)
    try:
        announce(order, introduction)
    finally:
        structlog.reset_defaults()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == (1 if style == "json" else 4)
    assert all(line.isprintable() for line in lines)


# The command line


@pytest.fixture
def console(broker: Broker, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.chdir(tmp_path)
    return Console(broker, clock)


def populate(broker: Broker, text: str) -> None:
    """Jobs in each place with `text` wherever a text can be."""
    info = dict.fromkeys(
        ("host", "supervisor", "queues", "slots", "app", "version"), text.encode("utf-8", "surrogatepass")
    )
    broker.run(calls.register("w1", 60, dict(info)))
    broker.run(calls.pause("other", "who"))
    for place in ("dead", "running", "queued", "delayed", "done"):
        envelope = Envelope(
            task=text, args=(text,), kwargs={text: [text]}, enqueued_at=1.0, key=place, route="default:io"
        )
        delay = 10.0 if place == "delayed" else None
        broker.run(calls.enqueue("default:io", [(ids.named_id(place), encode_job(envelope))], delay=delay))
        claim = broker.run(calls.claim("w1", 0, {"io": 1 if place in ("dead", "running", "done") else 0}, ["default"]))
        known: dict[str, Any] = {"task": text, "enqueued_at": 1.0, "started_at": 2.0, "seconds": 0.5, "attempt": 1}
        dead = encode_record(Record(state="dead", error=error(text), worker=text, **known))
        done = encode_record(Record(state="done", value={text: text}, worker=text, **known))
        history = encode_history(1, [Attempt(started_at=1.0, seconds=1.0, worker=text, error=text)])
        for job in claim.jobs:
            if place == "dead":
                broker.run(calls.bury("w1", [(job.member, dead, history)]))
            elif place == "done":
                broker.run(calls.commit("w1", [(job.member, 60, "b1", done)]))


@each_text
@pytest.mark.parametrize("terminal", [False, True])
def test_what_a_command_prints_obeys_nothing(broker: Broker, console: Console, text: str, terminal: bool) -> None:
    populate(broker, text)
    console.terminal = terminal
    lists = [
        "status",
        "audit",
        "doctor",
        "queues list",
        "queues show default",
        "workers list",
        "dead list",
        "jobs list",
    ]
    shows = [f"jobs show {place}" for place in ("dead", "running", "queued", "delayed", "done")]
    for command in [*lists, *shows, "dead show dead"]:
        said = console(*command.split())
        assert "fault of taskq" not in said.err
        assert said.out
        assert all(line.replace("\t", " ").isprintable() for line in (said.out + said.err).splitlines()), command
        (line,) = console(*command.split(), "--json").out.splitlines()
        assert line.isprintable()
        json.loads(line)


@each_text
def test_a_table_for_programs_has_a_line_a_job(broker: Broker, console: Console, text: str) -> None:
    populate(broker, text)
    assert len(console("jobs", "list", "--state", "running").rows) == 1
    assert len(console("dead", "list").rows) == 1
