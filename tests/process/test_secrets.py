"""A password in the URL is in no log, error, traceback, repr, banner, command line, or key of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from taskq import TaskQ
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.link import Link
from taskq.cli.session import Session
from taskq.config import Sourced, WorkerSettings, advice
from taskq.errors import TaskqError
from taskq_workers.child import Assignment
from taskq_workers.worker import Order
from tests.process import jobs
from tests.process.test_cli_process import taskq
from tests.support.census import take_census
from tests.support.console import Console
from tests.support.servers import free_port, server_or_skip
from tests.support.workers import Worker

PASSWORD = "hush7/h:u@s&h%8?9"
FORBIDDEN = ("hush7", "h:u", "s&h", "s%26h", "h%8", "h%258")
"""Parts of the password, as it is and as a URL quotes it."""


def any_call(*_: object) -> None: ...


def leaks(text: object) -> list[str]:
    return [part for part in FORBIDDEN if part in str(text)]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where a server listens that wants the password."""
    number = free_port()
    with server_or_skip(port=str(number), requirepass=PASSWORD):
        yield number


@pytest.fixture(scope="module")
def url(port: int) -> str:
    return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0"


@pytest.fixture(autouse=True)
def _app_without_connections() -> Iterator[None]:
    """It keeps those that a test made it open, at whatever URL that was."""
    jobs.app.close()
    yield
    jobs.app.close()


def urls(port: int) -> list[str]:
    """URLs that cannot be used: a wrong password, half a URL, a password that is not quoted or stands elsewhere."""
    return [
        f"redis://:{quote(PASSWORD + 'x', safe='')}@127.0.0.1:{port}/0",
        f"redis://nobody:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0",
        f"redis://{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0",
        f"redis://127.0.0.1:{port}/0?password={quote(PASSWORD + 'x', safe='')}",
        f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:1/0",
        f"redis://:{quote(PASSWORD, safe='')}@{'h' * 80}:{port}/0",
        f"unix:///nowhere/redis.sock?password={quote(PASSWORD, safe='')}",
        f"redis://:{PASSWORD}@127.0.0.1:{port}/0",
        f"redis://user:{PASSWORD}",
        f"redis://:{PASSWORD}@127.0.0.1:port/0",
        f"http://:{PASSWORD}@127.0.0.1:{port}/0",
        f":{PASSWORD}@127.0.0.1:{port}",
    ]


def test_a_worker_keeps_the_password_to_itself(url: str) -> None:
    broker = Broker(url)
    app = TaskQ(url)
    add, fail = app.task(name="tests.process.jobs.add")(any_call), app.task(name="tests.process.jobs.fail")(any_call)
    seen: list[object] = []
    for style in ("json", "console"):
        with Worker(url, "--procs", "1", "--log-format", style, "--log-level", "debug") as worker:
            sent = [add.enqueue(2, 3), fail.enqueue("value"), fail.enqueue("own")]
            app.gather(sent, 30, return_exceptions=True)
            for pid in (worker.process.pid, *worker.children()):
                seen.append(Path(f"/proc/{pid}/cmdline").read_bytes())
            seen += [take_census(broker), broker.run(calls.holdings())]
            worker.process.terminate()
            worker.end()
        seen.append(worker.log())
    assert all(seen)
    assert [leaks(text) for text in seen] == [[]] * len(seen)
    assert "***" in str(seen)
    app.close()
    broker.close()


COMMANDS = [
    "status",
    "jobs list",
    "queues list",
    "dead list",
    "workers list",
    "call -A tests.process.jobs tests.process.jobs.add 2 3",
    "health",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_cannot_use_the_url_does_not_show_it(port: int, command: str) -> None:
    for bad in urls(port):
        said = Console()("--debug", *command.split(), env={"TASKQ_URL": bad})
        assert said.code
        assert "error: " in said.err
        assert leaks(said.out + said.err) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_can_use_the_url_does_not_show_it(url: str, command: str) -> None:
    said = Console()("--debug", *command.split(), env={"TASKQ_URL": url})
    assert "error: " not in said.err
    assert leaks(said.out + said.err) == []


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a server listens that does not know AUTH: it answers with the words that it was sent."""
    number, more = free_port(), tmp_path_factory.mktemp("unlocked") / "redis.conf"
    more.write_text("rename-command AUTH login\n")
    with server_or_skip(port=str(number), include=str(more)):
        yield number


@pytest.mark.parametrize("user", ["", "somebody"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_quotes_the_password_is_not_quoted(unlocked: int, command: str, user: str) -> None:
    at = f"redis://{user}:{quote(PASSWORD, safe='')}@127.0.0.1:{unlocked}/0"
    said = Console()("--debug", *command.split(), env={"TASKQ_URL": at})
    assert "unknown command" in said.err
    assert leaks(said.out + said.err) == []


def test_a_command_as_people_start_it_shows_no_more(port: int) -> None:
    said = taskq("--debug", "status", TASKQ_URL=urls(port)[0])
    assert "Traceback" in said.stderr
    assert leaks(said.stdout + said.stderr) == []


@pytest.mark.parametrize("index", [0, 4, 9])
def test_a_worker_that_cannot_use_the_url_does_not_show_it(port: int, index: int) -> None:
    said = taskq("--debug", "worker", "-A", "tests.process.jobs", "--procs", "1", TASKQ_URL=urls(port)[index])
    assert said.returncode
    assert "***" in said.stderr
    assert leaks(said.stdout + said.stderr) == []


def test_errors_and_reprs_do_not_show_the_password(port: int, url: str) -> None:
    shown: list[Any] = []
    for each in [url, *urls(port)]:
        sourced = Sourced(each, "--url")
        shown += [sourced, advice(sourced), Session(given={"url": sourced}), TaskQ(each)]
        shown.append(Order(app=Sourced("a", "-A"), url=each, settings=WorkerSettings()))
        shown.append(Assignment(app="a", url=each, settings=WorkerSettings(), epoch="e", supervisor="s", number=0))
        shown += _used(each)
    texts = [f"{thing!r} {thing}" for thing in shown]
    assert [leaks(text) for text in texts] == [[]] * len(texts)
    assert "***" in str(texts)


def _used(url: str) -> list[object]:
    """What there is to look at of a broker at `url`, and the errors on the way."""
    try:
        broker = Broker(url)
    except TaskqError as error:
        return [error, error.args]
    link, app = Link(broker), TaskQ(url)
    task = app.task(name="t")(any_call)
    found: list[object] = [broker, link, broker.wire(), app, task]
    for use in (lambda: broker.run(calls.ping()), lambda: link.exchange(calls.ping()), lambda: task.enqueue(1, 2)):
        try:
            found.append(use())
        except TaskqError as error:
            found += [error, error.args, error.__dict__]
    link.close()
    broker.close()
    app.close()
    return found
