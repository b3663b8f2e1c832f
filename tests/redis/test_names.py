"""Names and arguments of any text: each is used as it is, or refused in few words before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskq import TaskQ, exit_codes
from taskq.broker.broker import Broker
from taskq.errors import BadArguments, ConfigError, EnqueueError, TaskqError, shown
from tests.support.census import take_census
from tests.support.clock import FakeClock
from tests.support.console import Console
from tests.support.inline import Inline

TEXTS = {
    "empty": "",
    "braces": "{a}",
    "open brace": "{",
    "space": "a b",
    "newline": "a\n",
    "NUL": "a\0b",
    "colon": "a:io",
    "star": "a*?[x]",
    "unicode": "grün好🙂",
    "surrogate": "\ud800",
    "ANSI": "\x1b[2Ja",
    "bidi": "a\u202eb",
    "quotes": "a'\"b",
    "1 MB": "x" * (1 << 20),
}
NAMES = {"letters": "mail", "all": "A-z_0.9", "longest": "x" * 100}
each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
SHORT = 1000
"""Characters that an error may have."""


def call(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@pytest.fixture
def app(broker: Broker) -> Iterator[TaskQ]:
    app = TaskQ()
    app.use(broker)
    yield app
    app.close()


def refused(use: Callable[[], object], kind: type[Exception] = ConfigError) -> None:
    """It raises an error of `kind` that is short, on printable lines, and tells what to do."""
    with pytest.raises(kind) as caught:
        use()
    text = str(caught.value)
    assert len(text) < SHORT
    assert all(line.isprintable() for line in text.splitlines())
    assert "hint: " in text or "nothing was sent" in text


# Parts of keys: refused unless they are plain


@each_text
def test_a_text_that_is_no_name_is_neither_namespace_nor_queue(app: TaskQ, text: str) -> None:
    refused(lambda: TaskQ(namespace=text))
    refused(lambda: app.task(name="t", queue=text)(call))
    task = app.task(name="t")(call)
    refused(lambda: task.options(queue=text))
    assert not take_census(app.broker)["jobs"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_plain_name_is_namespace_and_queue(broker: Broker, name: str) -> None:
    assert TaskQ(namespace=name).namespace == name
    app = TaskQ()
    app.use(broker)
    job = app.task(name="t", queue=name)(call).enqueue(1)
    assert (job.queue, job.status()) == (name, "queued")
    app.close()


# Names of tasks: what can be printed


@each_text
def test_a_task_may_have_any_name_that_can_be_printed_on_a_line(app: TaskQ, text: str) -> None:
    if text.isprintable() and 0 < len(text) <= 200:
        with Inline(app).serving():
            assert app.task(name=text)(call).enqueue(1).result(10) == [[1], {}]
    else:
        refused(lambda: app.task(name=text)(call))


# Ids of jobs: any text of 1 to 1000 characters


@each_text
def test_a_job_may_have_any_id_of_up_to_a_thousand_characters(app: TaskQ, text: str) -> None:
    task = app.task(name="t")(call)
    if not 0 < len(text) <= 1000:
        refused(lambda: task.options(job_id=text))
        return
    job = task.options(job_id=text).enqueue(1)
    assert (job.id, task.options(job_id=text).enqueue(2)) == (text, job)
    assert repr(job).isprintable()
    with Inline(app).serving():
        assert app.job(text).result(10) == [[1], {}]


# Arguments: any text, up to the limit


@each_text
def test_an_argument_may_be_any_text_up_to_the_limit(app: TaskQ, text: str) -> None:
    task = app.task(name="t")(call)
    if len(text) > app.size_limit:
        refused(lambda: task.enqueue(text), EnqueueError)
        refused(lambda: task.enqueue(**{text: 1}), EnqueueError)
        refused(lambda: task.enqueue(**{text: object()}), EnqueueError)
        return
    with Inline(app).serving():
        assert task.enqueue(text, **{text: text}).result(10) == [[text], {text: text}]


@each_text
def test_arguments_that_do_not_fit_are_told_in_few_words(app: TaskQ, text: str) -> None:
    task: Any = app.task(name="t")(lambda x: x)
    refused(lambda: task.enqueue(1, text), BadArguments)
    refused(lambda: task.enqueue(**{text: text}), BadArguments)
    refused(lambda: task.enqueue(*[text] * 1000), BadArguments)


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


STRANGE = {
    "5000 digits": 10**5000,
    "text": "x" * 10**6,
    "bytes": b"x" * 10**6,
    "list": [0] * 10**6,
    "ANSI": "\n\x1b[2J",
    "no repr": Unspeakable(),
}


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
def test_a_setting_of_any_value_is_refused_in_few_words(app: TaskQ, value: Any) -> None:
    task = app.task(name="t")(call)
    for name in ("delay", "eta", "queue", "priority"):
        refused(lambda name=name: task.options(**{name: value}), TaskqError)
    for name in ("queue", "pool", "timeout", "result_ttl", "name"):
        refused(lambda name=name: app.task(**{"name": "u", name: value})(call))


def test_a_value_is_shown_on_one_line_whatever_it_is() -> None:
    assert [shown(7), shown("a\n"), shown("x" * 100)] == ["7", r"'a\n'", "'" + "x" * 56 + "..."]
    assert [shown(10**5000), shown(Unspeakable())] == ["<a int>", "<a Unspeakable>"]
    assert shown(type("T", (), {"__repr__": lambda self: "a\n\x1b"})()).isprintable()


# The command line


@pytest.fixture
def console(broker: Broker, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.chdir(tmp_path)
    return Console(broker, clock)


@each_text
@pytest.mark.parametrize(
    "words",
    [
        "queues show",
        "queues pause",
        "jobs show",
        "jobs cancel",
        "dead retry",
        "status --namespace",
        "jobs list --queue",
    ],
)
def test_a_command_takes_any_text_or_refuses_it_in_few_words(console: Console, words: str, text: str) -> None:
    said = console(*words.split(), text)
    assert said.code in (exit_codes.OK, exit_codes.USAGE, exit_codes.NOT_FOUND, exit_codes.FAILED)
    assert len(said.out) + len(said.err) < 5000
    assert "fault of taskq" not in said.err
    assert all(line.replace("\t", " ").isprintable() for line in (said.out + said.err).splitlines())
