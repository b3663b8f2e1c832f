"""Commands that ask Redis: what they print, what they change, and what they say when they cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from taskq import TaskQ, exit_codes, ids
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.cli.search import PAGE
from taskq.codec import Attempt, Envelope, ErrorInfo, Record, encode_history, encode_job, encode_record
from tests.support.census import one_place, take_census
from tests.support.clock import FakeClock
from tests.support.console import Console

ERASE = "\x1b[2J"
LEASE = 15.0
INFO: dict[str, Any] = {
    "host": "web-1",
    "pid": 7,
    "supervisor": "web-1-7",
    "queues": "default,low",
    "slots": "4 io + 1 cpu + 10 async",
    "app": "shop:app",
    "version": "0.1.0",
    "started_at": 1_699_999_940.0,
}


class Site:
    """A namespace with jobs in it. Jobs are named; their ids are those that the names stand for."""

    def __init__(self, broker: Broker, clock: FakeClock):
        self.broker, self.clock = broker, clock
        self.claimed = 0

    def enqueue(self, *names: str, route: str = "default:io", delay: float | None = None, args: Any = (2, 3)) -> None:
        for name in names:
            envelope = Envelope(
                task=f"shop.{name[0]}", args=args, kwargs={}, enqueued_at=self.clock.now(), key=name, route=route
            )
            job = (ids.named_id(name), encode_job(envelope))
            assert self.broker.run(calls.enqueue(route, [job], delay=delay)) == 1

    def register(self) -> None:
        assert self.broker.run(calls.register("web-1-7-0", LEASE, INFO))

    def hold(self, *names: str, route: str = "default:io", **options: Any) -> list[bytes]:
        """New jobs in the hands of a worker."""
        self.register()
        self.enqueue(*names, route=route, **options)
        queue, lane = route.split(":")[:2]
        claim = self.broker.run(calls.claim("web-1-7-0", self.claimed, {lane: len(names)}, [queue]))
        self.claimed += len(claim.jobs)
        assert [job.member[:16] for job in claim.jobs] == [ids.named_id(name) for name in names]
        return [job.member for job in claim.jobs]

    def bury(self, *names: str, text: str = "bad image", **options: Any) -> None:
        """Jobs that failed for good."""
        for member in self.hold(*names, **options):
            trace = f"Traceback\n  File 'x'\nValueError: {text}"
            error = ErrorInfo(type="builtins.ValueError", text=text, traceback=trace, args=(text,))
            attempt = Attempt(
                started_at=self.clock.now() - 1, seconds=0.5, worker="web-1-7-0", error=f"ValueError: {text}"
            )
            history = encode_history(4, [attempt, attempt])
            assert not self.broker.run(
                calls.bury("web-1-7-0", [(member, self.record(state="dead", error=error), history)])
            )

    def finish(self, name: str, value: Any) -> None:
        (member,) = self.hold(name)
        record = self.record(state="done", value=value)
        assert not self.broker.run(calls.commit("web-1-7-0", [(member, 60.0, "b12", record)]))

    def record(self, **values: Any) -> bytes:
        now = self.clock.now()
        known: dict[str, Any] = {"task": "shop.f", "enqueued_at": now - 2, "started_at": now - 1, "worker": "web-1-7-0"}
        return encode_record(Record(**{**known, "seconds": 0.5, "attempt": 4, **values}))

    def place(self, name: str, route: str = "default:io") -> str:
        return self.broker.run(calls.locate(ids.named_id(name), route)).place


@pytest.fixture
def site(broker: Broker, clock: FakeClock) -> Site:
    return Site(broker, clock)


@pytest.fixture
def console(broker: Broker, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line on `broker`. When the test is over, each job must still be in exactly one place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield Console(broker, clock)
    assert one_place(take_census(broker)) == []


# Where it asks


def test_url_and_namespace_may_stand_before_and_after_the_command(console: Console) -> None:
    console("--url", "redis://a", "--namespace", "b", "queues", "list")
    console("queues", "list", "--url", "redis://a", "--namespace", "b")
    console("--url", "redis://no", "--namespace", "no", "queues", "list", "--url", "redis://a", "--namespace", "b")
    console("queues", "list", env={"TASKQ_URL": "redis://a", "TASKQ_NAMESPACE": "b"})
    console("queues", "list", "--url", "redis://a", env={"TASKQ_URL": "redis://no", "TASKQ_NAMESPACE": "b"})
    assert console.asked == [("redis://a", "b")] * 5


def test_the_project_says_where_and_flags_say_otherwise(console: Console, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.taskq]\nurl = "redis://a"\nnamespace = "b"\n')
    console("status")
    console("status", "--namespace", "c", env={"REDIS_URL": "redis://d"})
    assert console.asked == [("redis://a", "b"), ("redis://d", "c")]


def test_an_app_that_a_flag_names_says_where(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("shop")
    module.app = TaskQ("redis://its", namespace="own")
    monkeypatch.setitem(sys.modules, "shop", module)
    console("status", "-A", "shop")
    console("status", env={"TASKQ_APP": "nowhere", "TASKQ_URL": "redis://a"})
    assert console.asked == [("redis://its", "own"), ("redis://a", "taskq")]


# queues


def test_queues_are_listed_with_what_they_have(console: Console, site: Site) -> None:
    site.enqueue("a", "b")
    site.enqueue("c", delay=10)
    site.hold("d", route="low:io")
    site.bury("e", route="low:io")
    assert console("queues", "list").rows == [
        ["default", "2", "1", "0", "0", "0", ""],
        ["low", "0", "0", "1", "0", "1", ""],
    ]
    (first, second) = console("queues", "list", "--json").data
    assert {"name": "default", "ready": 2, "delayed": 1}.items() <= first.items()
    assert {"name": "low", "running": 1, "dead": 1, "processes": 1}.items() <= second.items()


def test_without_queues_there_is_nothing_on_stdout(console: Console) -> None:
    said = console("queues", "list")
    assert (said.code, said.out, said.err) == (exit_codes.OK, "", "no queue has had a job yet\n")
    assert console("queues", "list", "--json").data == []


def test_one_queue_is_shown_with_who_works_on_it(console: Console, site: Site) -> None:
    site.finish("a", 1)
    said = console("queues", "show", "default")
    assert said.code == exit_codes.OK
    assert " workers   web-1-7-0\n" in said.out
    assert " state     well\n" in said.out
    data = console("queues", "show", "default", "--json").data
    assert data["workers"] == ["web-1-7-0"]
    assert data["p50"] == pytest.approx(0.003072)


def test_a_queue_is_shown_with_its_order_and_bound(console: Console, broker: Broker) -> None:
    broker.run(calls.enqueue("mail:io", [(ids.named_id("a"), b"")], terms="lifo 20"))
    said = console("queues", "show", "mail")
    assert " order     lifo: the newest job first\n" in said.out
    assert " ready     1 of 20 that may be   oldest -\n" in said.out
    data = console("queues", "show", "mail", "--json").data
    assert (data["order"], data["max_length"]) == ("lifo", 20)
    assert "order" not in console("queues", "show", "default").out


def test_a_queue_of_which_outcomes_came_too_late_says_how_many(console: Console, site: Site) -> None:
    site.finish("a", 1)
    assert "dropped" not in console("queues", "show", "default").out
    site.broker.run(calls.commit("gone", [(ids.named_id("a") + b"default:io", 60, "b3", b"late")]))
    said = console("queues", "show", "default")
    assert " dropped   1 outcome of workers that had been cut off or had stood still in the last 10 min\n" in said.out
    assert console("queues", "show", "default", "--json").data["dropped"] == 1


@pytest.mark.parametrize("command", ["show", "purge"])
def test_an_unknown_queue_is_not_found(console: Console, site: Site, command: str) -> None:
    site.enqueue("a")
    said = console("queues", command, "defualt")
    assert (said.code, said.out) == (exit_codes.NOT_FOUND, "")
    assert said.err == "error: there is no queue 'defualt'\n  hint: did you mean 'default'?\n"


def test_a_queue_is_paused_and_goes_on(console: Console, site: Site) -> None:
    site.enqueue("a")
    assert console("queues", "pause", "default").err == "queue default is paused\n"
    assert console("queues", "pause", "default").err == "queue default was paused before\n"
    site.clock.advance(90)
    assert "PAUSED by " in (state := console("queues", "list").rows[0][-1])
    assert state.endswith(" 1m30 ago")
    assert console("queues", "resume", "default").err == "queue default goes on\n"
    assert console("queues", "resume", "default").err == "queue default was not paused\n"
    assert "PAUSED" not in console("queues", "list").out


def test_a_queue_that_has_had_no_job_can_be_paused_and_that_is_said(console: Console, site: Site) -> None:
    site.enqueue("a")
    said = console("queues", "pause", "defualt")
    assert (said.code, said.out) == (exit_codes.OK, "")
    assert said.err == "queue defualt is paused\n  it has had no job yet\n  hint: did you mean 'default'?\n"


def test_a_purge_deletes_what_waits_in_all_lanes_and_levels_and_nothing_else(console: Console, site: Site) -> None:
    for index, route in enumerate(["default:io", "default:io:9", "default:cpu:0", "default:async", "low:io"]):
        site.enqueue(f"a{index}", f"b{index}", route=route)
    site.enqueue("later", delay=10)
    said = console("queues", "purge", "default", "--yes")
    assert (said.code, said.out, said.err) == (exit_codes.OK, "", "deleted 8 jobs\n")
    assert [(row[0], row[1], row[2]) for row in console("queues", "list").rows] == [
        ("default", "0", "1"),
        ("low", "2", "0"),
    ]
    assert console("queues", "purge", "default").err == "no job waits in queue default\n"


# Asking


def test_a_destructive_command_asks_with_the_number_of_jobs(console: Console, site: Site) -> None:
    site.enqueue("a", "b")
    console.terminal = True
    no = console("queues", "purge", "default", answer="n\n")
    assert no.code == exit_codes.FAILED
    assert no.err.startswith("delete 2 waiting jobs of queue default? [y/N]:")
    assert no.err.endswith("nothing was done\n")
    assert site.place("a") == "queued"
    yes = console("queues", "purge", "default", answer="y\n")
    assert yes.code == exit_codes.OK
    assert yes.err.endswith("deleted 2 jobs\n")


@pytest.mark.parametrize("command", ["queues purge default", "jobs cancel a", "jobs delete a", "dead delete --all"])
def test_without_a_terminal_it_refuses_and_says_add_yes(console: Console, site: Site, command: str) -> None:
    site.enqueue("a")
    site.bury("b", route="low:io")
    said = console(*command.split(), answer="y\n")
    assert (said.code, said.out) == (exit_codes.USAGE, "")
    assert said.err.startswith("error: cannot ")
    assert said.err.endswith(" without asking, and there is no terminal\n  hint: add --yes\n")
    assert (site.place("a"), site.place("b", "low:io")) == ("queued", "dead")


@pytest.mark.parametrize(
    "command",
    ["queues purge default", "jobs cancel a", "jobs delete a", "dead delete --all", "dead retry --all", "dead retry b"],
)
def test_a_dry_run_changes_nothing(console: Console, site: Site, command: str) -> None:
    site.enqueue("a")
    site.bury("b", route="low:io")
    said = console(*command.split(), "--dry-run")
    assert (said.code, said.out) == (exit_codes.OK, "")
    assert said.err.startswith("would ")
    assert " 1 " in said.err
    assert (site.place("a"), site.place("b", "low:io")) == ("queued", "dead")


# jobs list


def test_jobs_are_listed_in_every_state(console: Console, site: Site) -> None:
    site.hold("r")
    site.bury("d")
    site.enqueue("q")
    site.enqueue("l", delay=90)
    (parked,) = site.hold("p", route="low:io")
    site.broker.run(calls.park("web-1-7-0", 600, [parked]))
    site.clock.advance(5)
    assert console("jobs", "list").rows == [
        ["r", "running", "default", "5.0s ago", "shop.r(2, 3)", "-"],
        ["q", "queued", "default", "5.0s ago", "shop.q(2, 3)", "-"],
        ["l", "delayed", "default", "in 1m25", "shop.l(2, 3)", "-"],
        ["p", "parked", "low", "in 9m55", "shop.p(2, 3)", "-"],
        ["d", "dead", "default", "5.0s ago", "shop.d(2, 3)", "ValueError: bad image"],
    ]


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ("--state queued", "a b c x"),
        ("--state delayed", "l"),
        ("--state running", "r"),
        ("--state dead", "d"),
        ("--queue low", "x"),
        ("--task shop.b", "b"),
        ("--limit 2", "r a"),
        ("--state queued --limit 3", "a b c"),
        ("--task shop.nothing", ""),
    ],
)
def test_jobs_are_found_by_state_queue_and_task(console: Console, site: Site, flags: str, names: str) -> None:
    site.hold("r")
    site.bury("d")
    site.enqueue("a", "b", "c")
    site.enqueue("x", route="low:cpu:9")
    site.enqueue("l", delay=90)
    said = console("jobs", "list", *flags.split())
    assert " ".join(row[0] for row in said.rows) == names
    assert [job["key"] for job in console("jobs", "list", *flags.split(), "--json").data] == names.split()
    assert ("there are more" in said.err) == ("--limit" in flags)


def test_a_job_as_json_has_all_that_its_body_has(console: Console, site: Site) -> None:
    site.enqueue("x", route="low:cpu:9", delay=90, args=(1, {"a": (2,)}, float("nan")))
    (job,) = console("jobs", "list", "--json").data
    assert job == {
        "id": ids.show(ids.named_id("x")),
        "key": "x",
        "state": "delayed",
        "queue": "low",
        "lane": "cpu",
        "priority": 9,
        "task": "shop.x",
        "args": [1, {"a": [2]}, "nan"],
        "kwargs": {},
        "enqueued_at": site.clock.now(),
        "due_at": site.clock.now() + 90,
        "died_at": None,
        "worker": None,
        "error": None,
        "problem": None,
    }


def test_a_long_line_is_read_in_pages(console: Console, site: Site) -> None:
    site.enqueue(*(f"a{index}" for index in range(2 * PAGE + 5)))
    site.enqueue("b1")
    assert [row[0] for row in console("jobs", "list", "--task", "shop.b").rows] == ["b1"]
    assert len(console("jobs", "list", "--limit", "1000").rows) == 2 * PAGE + 6


def test_cancelled_jobs_that_stand_in_line_are_not_listed(console: Console, site: Site) -> None:
    site.enqueue(*(f"a{index}" for index in range(PAGE + 10)))
    site.enqueue("b1", "b2", route="default:cpu")
    gone = [f"a{index}" for index in range(PAGE // 2)]
    assert console("jobs", "cancel", "--yes", *gone).code == exit_codes.OK
    names = [row[0] for row in console("jobs", "list", "--limit", "1000").rows]
    assert sorted(names) == sorted([f"a{index}" for index in range(PAGE // 2, PAGE + 10)] + ["b1", "b2"])


def test_nothing_in_a_job_can_command_the_terminal(console: Console, site: Site) -> None:
    site.bury(f"b{ERASE}", text=f"bad {ERASE}\nimage\x9b1m")
    site.enqueue("a", args=(ERASE,))
    for terminal in (False, True):
        console.terminal = terminal
        for command in ("jobs list", "jobs list --json", "dead list", "status", "jobs show a --json"):
            said = console(*command.split())
            assert all(line.isprintable() for line in said.out.replace("\t", "").splitlines())
        said = console("dead", "show", f"b{ERASE}")
        assert said.code == exit_codes.OK
        assert all(line.isprintable() for line in said.out.splitlines())


# jobs show


def test_a_job_in_line_is_shown_with_what_to_type_next(console: Console, site: Site) -> None:
    site.enqueue("a", route="default:cpu:9")
    site.clock.advance(65)
    assert console("jobs", "show", "a").out.splitlines() == [
        f" job       {ids.show(ids.named_id('a'))}   'a'",
        " state     queued",
        " task      shop.a(2, 3)",
        " queue     default   lane cpu   priority 9",
        " enqueued  2023-11-14 22:13:20Z   1m05 ago",
        " next      taskq queues show default",
        " next      taskq jobs cancel a",
    ]


def test_a_job_is_found_by_its_own_id_too(console: Console, site: Site) -> None:
    site.enqueue("a")
    assert console("jobs", "show", ids.show(ids.named_id("a"))).out == console("jobs", "show", "a").out


def test_a_dead_job_is_shown_with_its_attempts_and_traceback(console: Console, site: Site) -> None:
    site.bury("d")
    said = console("jobs", "show", "d")
    assert said.code == exit_codes.OK
    assert said.out == console("dead", "show", "d").out
    lines = said.out.splitlines()
    assert lines[1] == " state     dead"
    assert " error     ValueError: bad image" in lines
    assert " failed    4 times, at last:" in lines
    at = lines.index(" failed    4 times, at last:")
    assert lines[at + 1].split() == ["#", "STARTED", "TOOK", "WORKER", "ERROR"]
    assert lines[at + 2].split() == [
        "3",
        "2023-11-14",
        "22:13:19Z",
        "500ms",
        "web-1-7-0",
        "ValueError:",
        "bad",
        "image",
    ]
    assert lines[at + 3].split()[0] == "4"
    assert lines[-6:] == [
        " traceback",
        "   Traceback",
        "     File 'x'",
        "   ValueError: bad image",
        " next      taskq dead retry d",
        " next      taskq dead delete d",
    ]


def test_a_dead_job_as_json(console: Console, site: Site) -> None:
    site.bury("d")
    data = console("jobs", "show", "d", "--json").data
    assert data["error"]["type"] == "builtins.ValueError"
    assert data["failed_attempts"] == 4
    assert [attempt["error"] for attempt in data["attempts"]] == ["ValueError: bad image"] * 2
    assert {"state": "dead", "seconds": 0.5, "losses": 0, "result": None}.items() <= data.items()


def test_a_running_job_is_shown_with_who_runs_it(console: Console, site: Site) -> None:
    site.hold("r")
    assert " state     running on web-1-7-0\n" in console("jobs", "show", "r").out
    assert console("jobs", "show", "r", "--json").data["worker"] == "web-1-7-0"


def test_a_delayed_and_a_parked_job_are_shown_with_their_time(console: Console, site: Site) -> None:
    site.enqueue("l", delay=90)
    site.broker.run(calls.park("web-1-7-0", 600, site.hold("p")))
    assert " state     delayed: due in 1m30\n" in console("jobs", "show", "l").out
    assert " state     parked: given up in 10m00\n" in console("jobs", "show", "p").out


def test_a_job_that_waits_for_the_limit_of_its_task_is_shown_with_how_many_are_before_it(
    console: Console, site: Site
) -> None:
    held = [member for name in "abc" for member in site.hold(name)]
    site.broker.run(calls.admit("web-1-7-0", "shop.c", 1, held))
    waits = " state     delayed: waits for the concurrency limit of its task, 1 before it\n"
    assert waits in console("jobs", "show", "c").out
    assert console("jobs", "show", "c", "--json").data["waits_behind"] == 1
    assert console("jobs", "show", "a", "--json").data["waits_behind"] is None


def test_a_finished_job_is_shown_with_its_result(console: Console, site: Site) -> None:
    site.finish("f", {"a": (1, 2)})
    said = console("jobs", "show", "f")
    assert " state     done\n" in said.out
    assert " result    {'a': (1, 2)}\n" in said.out or " result    {'a': [1, 2]}\n" in said.out
    data = console("jobs", "show", "f", "--json").data
    assert {
        "state": "done",
        "result": {"a": [1, 2]},
        "queue": None,
        "args": None,
        "error": None,
    }.items() <= data.items()


def test_a_job_that_cannot_be_read_is_found_and_shown(console: Console, site: Site) -> None:
    site.register()
    site.broker.run(calls.enqueue("default:io", [(b"m" * 16, b"nonsense")]))
    (job,) = site.broker.run(calls.claim("web-1-7-0", 0, {"io": 1}, ["default"])).jobs
    error = ErrorInfo(type="taskq.errors.MalformedJob", text="cannot decode")
    site.broker.run(calls.bury("web-1-7-0", [(job.member, site.record(state="dead", error=error, task=""), b"")]))
    name = ids.show(b"m" * 16)
    assert console("dead", "list").rows == [[name, "dead", "default", "0ms ago", "?(?)", "MalformedJob: cannot decode"]]
    assert " problem   cannot decode " in console("jobs", "show", name).out
    assert console("dead", "delete", name, "--yes").code == exit_codes.OK
    assert console("jobs", "show", name).code == exit_codes.NOT_FOUND


@pytest.mark.parametrize("command", ["jobs show", "dead show"])
def test_a_job_that_is_not_there_is_not_found(console: Console, command: str) -> None:
    said = console(*command.split(), "nope")
    assert (said.code, said.out) == (exit_codes.NOT_FOUND, "")
    assert said.err == (
        "error: there is no job 'nope'\n"
        "  it was never enqueued here, was deleted, or its result expired\n"
        "  hint: taskq jobs list\n"
    )


def test_a_job_that_lives_is_no_dead_letter(console: Console, site: Site) -> None:
    site.enqueue("a")
    said = console("dead", "show", "a")
    assert said.code == exit_codes.NOT_FOUND
    assert said.err == "error: there is no dead job 'a': it is queued\n  hint: taskq jobs show a\n"
    assert console("dead", "delete", "a", "--yes").code == exit_codes.NOT_FOUND
    assert site.place("a") == "queued"


# retry, cancel, delete


def test_jobs_are_put_back_in_line(console: Console, site: Site) -> None:
    site.bury("d")
    site.enqueue("l", delay=90)
    said = console("jobs", "retry", "d", "l", "d")
    assert (said.code, said.out, said.err) == (exit_codes.OK, "", "put in line: 2 jobs\n")
    assert (site.place("d"), site.place("l")) == ("queued", "queued")


def test_jobs_are_cancelled_and_who_waits_is_told(console: Console, site: Site) -> None:
    site.enqueue("a", "b")
    said = console("jobs", "cancel", "a", "b", "--yes")
    assert (said.code, said.err) == (exit_codes.OK, "cancelled: 2 jobs\n")
    data = console("jobs", "show", "b", "--json").data
    assert data["state"] == "cancelled"
    assert data["error"]["text"] == "job b was cancelled"


def test_jobs_are_deleted(console: Console, site: Site) -> None:
    site.finish("f", 1)
    site.enqueue("a")
    assert console("jobs", "delete", "f", "a", "--yes").err == "deleted: 2 jobs\n"
    assert (site.place("a"), site.place("f")) == ("unknown", "unknown")


def test_what_cannot_be_done_is_said_of_each_job(console: Console, site: Site) -> None:
    site.hold("r")
    site.enqueue("a")
    said = console("jobs", "cancel", "r", "a", "--yes")
    assert (said.code, said.err) == (exit_codes.FAILED, "r: not cancelled, it is running\ncancelled: 1 job\n")
    said = console("jobs", "retry", "r", "nope")
    assert said.code == exit_codes.NOT_FOUND
    assert said.err == "there is no job 'nope'\nr: not put in line, it is running\nput in line: 0 jobs\n"
    assert console("jobs", "delete", "nope", "--yes").code == exit_codes.NOT_FOUND


# dead


def test_dead_letters_are_listed_last_first(console: Console, site: Site) -> None:
    for name in "abc":
        site.bury(name)
        site.clock.advance(1)
    site.enqueue("x")
    assert [row[0] for row in console("dead", "list").rows] == ["c", "b", "a"]
    assert [job["key"] for job in console("dead", "list", "--task", "shop.b", "--json").data] == ["b"]


def test_all_dead_letters_of_a_queue_are_retried(console: Console, site: Site) -> None:
    site.bury("a", "b")
    site.bury("c", route="low:io")
    console.terminal = True
    said = console("dead", "retry", "--queue", "default", "--all", answer="y\n")
    assert said.code == exit_codes.OK
    assert said.err.startswith("retry 2 dead letters? [y/N]:")
    assert said.err.endswith("put in line: 2 jobs\n")
    assert (site.place("a"), site.place("b"), site.place("c", "low:io")) == ("queued", "queued", "dead")


def test_more_dead_letters_than_fit_a_page_are_deleted(console: Console, site: Site) -> None:
    site.bury(*(f"a{index}" for index in range(PAGE + 20)))
    said = console("dead", "delete", "--all", "--yes")
    assert (said.code, said.err) == (exit_codes.OK, f"deleted: {PAGE + 20} jobs\n")
    assert console("dead", "delete", "--all", "--yes").err == "no such dead letters\n"


def test_one_dead_letter_is_retried_without_asking(console: Console, site: Site) -> None:
    site.bury("a", "b")
    assert console("dead", "retry", "a").err == "put in line: 1 job\n"
    assert (site.place("a"), site.place("b")) == ("queued", "dead")


@pytest.mark.parametrize("which", ["", "a --all", "--queue default", "a --task t"])
def test_it_must_be_said_which_dead_letters(console: Console, which: str) -> None:
    said = console("dead", "retry", *which.split())
    assert said.code == exit_codes.USAGE
    assert said.err.startswith("error: which dead letters?\n  hint: retry ID..., or --all")


# workers


def test_workers_are_listed(console: Console, site: Site) -> None:
    site.hold("r")
    row = [
        "web-1-7-0",
        "web-1",
        "7",
        "1m00",
        "default,low",
        "4 io + 1 cpu + 10 async",
        "1",
        "15.0s",
        "shop:app",
        "0.1.0",
    ]
    assert console("workers", "list").rows == [row]
    (data,) = console("workers", "list", "--json").data
    assert data == {
        "process": "web-1-7-0",
        "supervisor": "web-1-7",
        "host": "web-1",
        "pid": 7,
        "started_at": 1_699_999_940.0,
        "queues": ["default", "low"],
        "weights": {},
        "slots": "4 io + 1 cpu + 10 async",
        "holds": 1,
        "lease_seconds": 15.0,
        "app": "shop:app",
        "version": "0.1.0",
    }
    site.clock.advance(LEASE + 1)
    assert console("workers", "list").rows[0][7] == "run out"


@pytest.mark.parametrize(("weights", "known"), [("a=6,b=1", {"a": 6, "b": 1}), ("a=many", {})])
def test_the_weights_of_a_workers_queues_are_shown(
    console: Console, broker: Broker, weights: str, known: dict[str, int]
) -> None:
    broker.run(calls.register("w1", LEASE, {"queues": "a,b", "weights": weights}))
    assert console("workers", "list").rows[0][4] == weights
    (data,) = console("workers", "list", "--json").data
    assert (data["queues"], data["weights"]) == (["a", "b"], known)


def test_without_workers_there_is_nothing_on_stdout(console: Console) -> None:
    said = console("workers", "list")
    assert (said.code, said.out, said.err) == (exit_codes.OK, "", "no worker is alive\n")


# status


def test_all_is_well_where_nothing_waits_for_nobody(console: Console, site: Site) -> None:
    said = console("status")
    assert said.code == exit_codes.OK
    assert " no queue has had a job yet\n" in said.out
    site.finish("f", 1)
    said = console("status")
    assert said.code == exit_codes.OK
    assert said.out.splitlines()[1:] == [
        "QUEUE\tREADY\tOLDEST\tDELAYED\tRUNNING\tDEAD\tIN/min\tOUT/min\tp50\tp95\tSTATE",
        "default\t0\t-\t0\t0\t0\t0.1\t0.1\t3ms\t4ms\t",
        " workers 1 . processes 1 . 15 slots . running 0 . 0.0% died in 10 min",
    ]


def test_jobs_that_nobody_runs_are_said_and_are_a_failure(console: Console, site: Site) -> None:
    site.enqueue("a")
    console.terminal = True
    said = console("status")
    assert said.code == exit_codes.FAILED
    header, line, workers, trouble = said.out.splitlines()[1:]
    assert header.split()[:3] == ["QUEUE", "READY", "OLDEST"]
    assert line.split() == ["default", "1", "0ms", "0", "0", "0", "0.1", "0", "-", "-", "no", "worker"]
    assert workers == " workers 0 . processes 0 . running 0"
    assert trouble == " ! 1 job in line or delayed, and no worker is alive: taskq worker -A module:app"


def test_status_as_json_says_the_same(console: Console, site: Site) -> None:
    site.enqueue("a")
    said = console("status", "--json")
    assert said.code == exit_codes.FAILED
    assert (said.data["ok"], said.data["workers"], said.data["queues"][0]["ready"]) == (False, 0, 1)
    assert said.data["problems"] == ["1 job in line or delayed, and no worker is alive: taskq worker -A module:app"]


@pytest.mark.parametrize(("flags", "pause"), [("--watch", 2.0), ("--watch 5", 5.0), ("--watch=0", 0.1)])
def test_watching_draws_again_until_it_is_interrupted(console: Console, flags: str, pause: float) -> None:
    console.terminal = True
    said = console("status", *flags.split())
    assert said.code == 130
    assert console.slept == [pause, pause]
    assert said.out.count("\x1b[H\x1b[2J") == said.out.count(" redis ") == 2


def test_watching_as_json_is_an_object_on_each_line(console: Console) -> None:
    said = console("status", "--watch", "--json")
    assert [line[:11] for line in said.out.splitlines()] == ['{"ok": true'] * 2


# call


@pytest.fixture
def shop(broker: Broker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> TaskQ:
    app, module = TaskQ(clock=clock), ModuleType("shop")
    app.use(broker)

    @app.task(name="shop.f")
    def f(x: Any, y: Any = None) -> None: ...

    module.app = app
    monkeypatch.setitem(sys.modules, "shop", module)
    return app


@pytest.mark.parametrize(
    ("words", "args", "kwargs"),
    [
        (["2", "hello"], [2, "hello"], {}),
        (["[1, null]", '"2"'], [[1, None], "2"], {}),
        (["2", "--kw", "y=a=b"], [2], {"y": "a=b"}),
        (["--kw", "x=1", "--kw", 'y={"a": 2}'], [], {"x": 1, "y": {"a": 2}}),
        (["--json-args", '["a", -2]'], ["a", -2], {}),
        (["--json-args", '{"x": 1}'], [], {"x": 1}),
        (["--", "-2", "--wait"], [-2, "--wait"], {}),
    ],
)
def test_a_call_enqueues_what_was_typed(
    console: Console, shop: TaskQ, words: list[str], args: list[Any], kwargs: dict[str, Any]
) -> None:
    said = console("-A", "shop", "call", "shop.f", *words)
    assert (said.code, said.err) == (exit_codes.OK, "")
    (job,) = console("jobs", "list", "--json").data
    assert (job["id"], job["args"], job["kwargs"]) == (said.out.strip(), args, kwargs)


def test_a_call_takes_the_options_of_a_task(console: Console, shop: TaskQ, site: Site) -> None:
    flags = "--delay 10s --queue low --priority 9 --job-id invoice-7"
    assert console("call", "shop.f", "2", *flags.split(), "-A", "shop").out == "invoice-7\n"
    (job,) = console("jobs", "list", "--json").data
    assert {"key": "invoice-7", "queue": "low", "priority": 9, "due_at": site.clock.now() + 10}.items() <= job.items()


@pytest.mark.parametrize("flags", [["--wait"], ["--wait", "5"], ["--wait=5s"]])
@pytest.mark.parametrize(("value", "printed"), [({"a": [1]}, '{"a": [1]}'), ({1}, "{1}"), (ERASE, '"\\u001b[2J"')])
def test_a_result_is_waited_for_and_printed(
    console: Console, shop: TaskQ, site: Site, flags: list[str], value: Any, printed: str
) -> None:
    site.finish("f1", value)
    said = console("call", "shop.f", "2", "-A", "shop", "--job-id", "f1", *flags)
    assert (said.code, said.out, said.err) == (exit_codes.OK, f"{printed}\n", "job f1\n")


def test_wait_takes_no_word_that_is_not_a_time(console: Console, shop: TaskQ, site: Site) -> None:
    site.finish("f1", 5)
    assert console("-A", "shop", "call", "--job-id", "f1", "--wait", "shop.f", "2").out == "5\n"


def test_a_job_that_failed_prints_its_error(console: Console, shop: TaskQ, site: Site) -> None:
    site.bury("f1", text=f"bad {ERASE}")
    said = console("call", "shop.f", "2", "-A", "shop", "--job-id", "f1", "--wait")
    assert (said.code, said.out) == (exit_codes.FAILED, "")
    assert said.err == (
        "job f1\n"
        "error: job f1 failed: ValueError: bad \\x1b[2J\n"
        "  Traceback\n"
        "    File 'x'\n"
        "  ValueError: bad \\x1b[2J\n"
        "  hint: taskq jobs show f1\n"
    )
