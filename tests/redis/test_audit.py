"""`taskq audit`: every kind of damage is found and repaired, what is well is left alone, also while it moves."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskq import exit_codes, ids
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.embedded import Server
from taskq.broker.keys import LANES
from taskq.broker.records import Bookmark
from taskq.cli.audit import survey
from taskq.cli.audit.closely import Glass, Sight
from taskq.cli.audit.findings import KINDS
from taskq.cli.audit.lines import Reader
from taskq.codec import Envelope, encode_job
from tests.redis.test_cli import Site
from tests.support import aof
from tests.support.census import ask, one_place, take_census
from tests.support.clock import FakeClock
from tests.support.console import Console
from tests.support.servers import server_or_skip

ROUTE, SOLO = "default:io", "default:solo"
EPOCH = "web-1-7-0"
FILLING = 2500
"""Jobs in a line of more than two pages."""


class Wreck(Site):
    """A site that is damaged by hand: raw commands to the keys of the model."""

    def enqueue_all(self, names: list[str], route: str = ROUTE) -> None:
        """Many jobs in few calls."""
        bodies = [(ids.named_id(name), self.body(name, route)) for name in names]
        for start in range(0, len(bodies), 500):
            assert self.broker.run(calls.enqueue(route, bodies[start : start + 500])) == len(
                bodies[start : start + 500]
            )

    def body(self, name: str, route: str) -> bytes:
        return encode_job(
            Envelope(task="shop.f", args=(), kwargs={}, enqueued_at=self.clock.now(), key=name, route=route)
        )

    def ask(self, command: str, row: str, rest: str | bytes = b"", *words: Any) -> Any:
        return ask(self.broker, command, self.broker.key(row, rest), *words)

    def take_out(self, name: str, route: str = ROUTE) -> None:
        assert self.ask("LREM", "ready", route, 0, member(name, route)) == 1

    def put_in_line(self, name: str, route: str = ROUTE) -> None:
        self.ask("RPUSH", "ready", route, member(name, route))

    def give_record(self, name: str, *, lasting: bool = False) -> None:
        words = () if lasting else ("PX", 60_000)
        self.ask("SET", "result", ids.named_id(name), self.record(state="done", value=1), *words)

    def forget_body(self, name: str) -> None:
        assert self.ask("HDEL", "jobs", b"", ids.named_id(name)) == 1

    def has(self, row: str, name: str) -> bool:
        return bool(self.ask("HEXISTS", row, b"", ids.named_id(name)))


def member(name: str, route: str = ROUTE) -> bytes:
    return ids.named_id(name) + route.encode()


@pytest.fixture
def site(broker: Broker, clock: FakeClock) -> Wreck:
    return Wreck(broker, clock)


@pytest.fixture
def console(broker: Broker, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line on `broker`. When the test is over, each job must be in exactly one place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield Console(broker, clock)
    assert one_place(take_census(broker)) == []


def kinds(console: Console) -> list[str]:
    """The kinds of what an audit finds."""
    console.slept.clear()
    return sorted(finding["kind"] for finding in console("audit", "--json").data["findings"])


# Damage, each with what is found and where the job is when it is repaired

Damage = Callable[[Wreck], None]
DAMAGES: dict[str, tuple[Damage, list[str], str]] = {}


def damage(*found: str, then: str) -> Callable[[Damage], Damage]:
    def register(function: Damage) -> Damage:
        DAMAGES[function.__name__] = (function, sorted(found), then)
        return function

    return register


@damage("lost", then="queued")
def taken_out_of_its_line(site: Wreck) -> None:
    site.enqueue("a", "b")
    site.take_out("a")


@damage("lost", then="queued")
def taken_out_of_the_delayed(site: Wreck) -> None:
    site.enqueue("a", delay=60)
    site.ask("ZREM", "delayed", "default", member("a"))


@damage("lost", then="queued")
def forgotten_by_its_worker(site: Wreck) -> None:
    site.hold("a", "b")
    site.ask("ZREM", "held", EPOCH, member("a"))


@damage("lost", then="queued")
def a_body_that_cannot_be_read(site: Wreck) -> None:
    site.enqueue("a", "b")
    site.take_out("a")
    site.ask("HSET", "jobs", b"", ids.named_id("a"), b"\xc1 no job")


@damage("lost", then="delayed")
def taken_out_where_a_foreign_member_stands_for_another(site: Wreck) -> None:
    """Who else can write to Redis wrote a member of no route of ours: it counts, under the id that it has."""
    site.enqueue("b", "c", delay=60)
    site.ask("ZREM", "delayed", "default", member("b"))
    site.ask("ZADD", "delayed", "default", 1, ids.named_id("b") + b"\xff no route")
    site.enqueue("a", delay=60)
    site.ask("ZREM", "delayed", "default", member("c"))


@damage("lost", then="queued")
def taken_out_of_a_long_line(site: Wreck) -> None:
    fill(site, before=True)
    site.enqueue("a")
    fill(site)
    site.take_out("a")


@damage("double", then="running")
def held_and_in_line(site: Wreck) -> None:
    site.hold("a")
    site.put_in_line("a")


@damage("double", then="running")
def held_and_in_the_middle_of_a_long_line(site: Wreck) -> None:
    site.hold("a")
    fill(site, before=True)
    site.put_in_line("a")
    fill(site)


@damage("double", then="queued")
def delayed_and_in_line(site: Wreck) -> None:
    site.enqueue("a", delay=60)
    site.put_in_line("a")


@damage("double", "blank", then="delayed")
def delayed_and_dead(site: Wreck) -> None:
    site.enqueue("a", delay=60)
    site.ask("ZADD", "dead", "default", 1, member("a"))


@damage("double", then="queued")
def twice_in_line(site: Wreck) -> None:
    site.enqueue("a", "b")
    site.put_in_line("a")


@damage("double", then="queued")
def twice_in_line_once_under_a_foreign_route(site: Wreck) -> None:
    site.enqueue("a", "b")
    site.ask("RPUSH", "ready", ROUTE, ids.named_id("a") + b"\xff no route")


@damage("double", then="queued")
def delayed_under_a_foreign_route_and_in_line(site: Wreck) -> None:
    site.enqueue("a", delay=60)
    site.ask("ZREM", "delayed", "default", member("a"))
    site.ask("ZADD", "delayed", "default", 1, ids.named_id("a") + b"\xff no route")
    site.put_in_line("a")


@damage("double", then="queued")
def twice_in_a_long_line(site: Wreck) -> None:
    site.enqueue("a")
    fill(site)
    site.put_in_line("a")
    fill(site, start=FILLING)


@damage("double", then="queued")
def in_line_and_in_the_solo_lane(site: Wreck) -> None:
    site.enqueue("a", "b")
    site.put_in_line("a", SOLO)


@damage("double", then="queued")
def in_lines_of_two_priorities(site: Wreck) -> None:
    site.enqueue("b", route=f"{ROUTE}:9")
    site.enqueue("a")
    site.put_in_line("a", f"{ROUTE}:9")


@damage("double", then="running")
def held_by_two(site: Wreck) -> None:
    site.hold("a")
    assert site.broker.run(calls.register("web-2-9-0", 20.0, {}))
    site.ask("ZADD", "held", "web-2-9-0", 1, member("a"))


@damage("double", then="dead")
def dead_and_in_line(site: Wreck) -> None:
    site.bury("a")
    site.put_in_line("a")


@damage("double", "blank", then="queued")
def revived_by_half(site: Wreck) -> None:
    site.bury("a")
    site.ask("DEL", "result", ids.named_id("a"))
    site.put_in_line("a")


@damage("hollow", then="unknown")
def no_body_in_line(site: Wreck) -> None:
    site.enqueue("a", "b")
    site.forget_body("a")


@damage("hollow", then="unknown")
def no_body_delayed(site: Wreck) -> None:
    site.enqueue("a", delay=60)
    site.forget_body("a")


@damage("hollow", then="done")
def committed_and_still_held(site: Wreck) -> None:
    site.hold("a")
    site.give_record("a")
    site.forget_body("a")


@damage("hollow", then="done")
def a_dead_letter_without_a_body(site: Wreck) -> None:
    site.bury("a")
    site.forget_body("a")
    site.ask("HDEL", "attempts", b"", ids.named_id("a"))


@damage("hollow", "double", then="unknown")
def no_body_in_two_places(site: Wreck) -> None:
    site.enqueue("a", delay=60)
    site.put_in_line("a")
    site.forget_body("a")


@damage("lost", then="queued")
def marked_as_elsewhere_and_nowhere_else(site: Wreck) -> None:
    site.enqueue("a")
    site.ask("HSET", "cancelled", b"", ids.named_id("a"), ROUTE)


@damage("ghost", then="unknown")
def cancelled_and_not_in_line(site: Wreck) -> None:
    site.enqueue("b")
    site.ask("HSET", "cancelled", b"", ids.named_id("a"), ROUTE)


@damage("undead", then="done")
def in_line_with_an_outcome(site: Wreck) -> None:
    site.enqueue("a", "b")
    site.give_record("a")


@damage("undead", then="done")
def held_with_an_outcome(site: Wreck) -> None:
    site.hold("a")
    site.give_record("a")


@damage("undead", then="dead")
def buried_by_half(site: Wreck) -> None:
    site.hold("a")
    site.give_record("a", lasting=True)


@damage("undead", "lost", then="dead")
def a_dead_letter_taken_out(site: Wreck) -> None:
    site.bury("a")
    site.ask("ZREM", "dead", "default", member("a"))


@damage("blank", then="dead")
def a_dead_letter_without_its_record(site: Wreck) -> None:
    site.bury("a")
    site.ask("DEL", "result", ids.named_id("a"))


@damage("stray", then="unknown")
def attempts_and_losses_of_nobody(site: Wreck) -> None:
    site.ask("HSET", "attempts", b"", ids.named_id("a"), b"history")
    site.ask("HSET", "losses", b"", ids.named_id("a"), 1)


@damage("stray", then="unknown")
def somebody_waits_for_nobody(site: Wreck) -> None:
    site.ask("HSET", "awaited", b"", ids.named_id("a"), b"client-1")


@damage("orphan", then="running")
def held_by_somebody_who_is_not_known(site: Wreck) -> None:
    site.hold("a")
    site.ask("ZREM", "workers", b"", EPOCH)


@damage("orphan", "double", then="running")
def held_by_somebody_and_by_nobody(site: Wreck) -> None:
    site.hold("a")
    site.ask("ZADD", "held", "web-9-9-9", 1, member("a"))


@damage("bell", then="queued")
def a_bell_with_two_tokens(site: Wreck) -> None:
    site.enqueue("a")
    site.ask("RPUSH", "wake", ROUTE, "1")


@damage("bell", then="delayed")
def a_timer_with_two_tokens(site: Wreck) -> None:
    site.enqueue("a", delay=60)
    site.ask("RPUSH", "wake", "timer", "1")


@damage("silent", then="queued")
def a_silent_bell(site: Wreck) -> None:
    site.register()
    site.enqueue("a")
    site.ask("DEL", "wake", ROUTE)


@damage("unlisted", then="queued")
def a_queue_that_is_not_listed(site: Wreck) -> None:
    site.enqueue("a")
    site.ask("SREM", "queues", b"", "default")


@damage("unlisted", then="queued")
def a_priority_that_is_not_listed(site: Wreck) -> None:
    site.enqueue("a", route=f"{ROUTE}:9")
    site.ask("SREM", "levels", b"", ROUTE)


def fill(site: Wreck, *, before: bool = False, start: int = 0) -> None:
    """A line of more than two pages."""
    letter = "p" if before else "q"
    names = [f"{letter}{number}" for number in range(start, start + FILLING)]
    site.enqueue_all(names)


every_damage = pytest.mark.parametrize("name", DAMAGES)


@every_damage
def test_damage_is_found_and_repaired(console: Console, site: Wreck, name: str) -> None:
    harm, found, then = DAMAGES[name]
    assert kinds(console) == []
    harm(site)
    assert kinds(console) == found
    before = take_census(site.broker)
    console.slept.clear()
    said = console("audit", "--repair", "--dry-run")
    assert (said.code, "repaired" in said.err, "next:" in said.out) == (exit_codes.FAILED, False, False)
    assert take_census(site.broker) == before

    console.slept.clear()
    said = console("audit", "--repair", "--yes")
    assert (said.code, f"repaired: {len(found)} of {len(found)}" in said.err) == (exit_codes.OK, True)
    assert one_place(take_census(site.broker)) == []
    assert site.place("a", f"{ROUTE}:9" if "priority" in name else ROUTE) == then
    after = take_census(site.broker)
    console.slept.clear()
    assert console("audit", "--repair", "--yes").code == exit_codes.OK
    assert take_census(site.broker) == after


@pytest.mark.parametrize("seed", range(30))
def test_whatever_stands_where_is_judged_as_a_census_does_and_comes_right(
    console: Console, site: Wreck, seed: int
) -> None:
    scatter(site, random.Random(seed))
    assert (kinds(console) == []) == (one_place(take_census(site.broker)) == [])
    console.slept.clear()
    assert console("audit", "--repair", "--yes").code == exit_codes.OK
    assert one_place(take_census(site.broker)) == []
    assert kinds(console) == []


def scatter(site: Wreck, chance: random.Random) -> None:
    """Jobs with bodies or without, in any places or in none, with any leavings."""
    site.register()
    site.ask("SADD", "queues", b"", "default")
    site.ask("RPUSH", "wake", ROUTE, "1")
    for name in (f"j{number}" for number in range(chance.randint(1, 8))):
        if chance.random() < 0.7:
            site.ask("HSET", "jobs", b"", ids.named_id(name), site.body(name, ROUTE))
        if chance.random() < 0.3:
            site.give_record(name, lasting=chance.random() < 0.5)
        place(site, chance, name)
        for row in (row for row in ("attempts", "losses", "awaited", "cancelled") if chance.random() < 0.1):
            site.ask("HSET", row, b"", ids.named_id(name), ROUTE if row == "cancelled" else b"12345678")


def place(site: Wreck, chance: random.Random, name: str) -> None:
    aside = (("held", EPOCH), ("delayed", "default"), ("parked", "default"), ("dead", "default"))
    route = chance.choice([ROUTE, ROUTE, SOLO])
    for row, rest in (each for each in aside if chance.random() < 0.2):
        site.ask("ZADD", row, rest, 10, member(name, route))
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        site.put_in_line(name, chance.choice([ROUTE, ROUTE, SOLO]))


def test_there_is_damage_of_every_kind() -> None:
    assert {kind for _, found, _ in DAMAGES.values() for kind in found} == set(KINDS)


# What is well


def test_a_namespace_that_never_had_a_job_is_well(console: Console) -> None:
    said = console("audit")
    assert (said.code, said.err) == (exit_codes.OK, "")
    assert "no job is in any place" in said.out
    assert "every job is in one place" in said.out


def test_every_place_is_counted_by_queue(console: Console, site: Wreck) -> None:
    site.finish("f", 1)
    site.bury("d", route="low:io")
    site.hold("e", route="low:io")
    site.enqueue("a", "b")
    site.enqueue("c", delay=60)
    data = console("audit", "--json").data
    assert data == {
        "ok": True,
        "bodies": 5,
        "outcomes": 1,
        "empty_places": 0,
        "queues": [
            {"name": "default", "ready": 2, "delayed": 1, "held": 0, "parked": 0, "dead": 0},
            {"name": "low", "ready": 0, "delayed": 0, "held": 1, "parked": 0, "dead": 1},
        ],
        "findings": [],
        "unsettled": 0,
        "repaired": None,
    }
    assert console("audit").rows[:3] == [
        ["QUEUE", "READY", "DELAYED", "HELD", "PARKED", "DEAD"],
        ["default", "2", "1", "0", "0", "0"],
        ["low", "0", "0", "1", "0", "1"],
    ]


def test_a_cancelled_job_leaves_an_empty_place_and_nothing_is_wrong(console: Console, site: Wreck) -> None:
    site.enqueue("a", "b")
    assert console("jobs", "cancel", "a", "--yes").code == exit_codes.OK
    data = console("audit", "--json").data
    assert (data["ok"], data["empty_places"], data["bodies"]) == (True, 1, 1)


def test_parked_jobs_and_those_of_a_fenced_process_are_well(console: Console, site: Wreck) -> None:
    held = site.hold("a", "b")
    assert not site.broker.run(calls.park(EPOCH, 60.0, held[:1]))
    site.ask("SADD", "fenced", b"", EPOCH)
    site.ask("ZREM", "workers", b"", EPOCH)
    assert kinds(console) == []


def test_a_member_with_a_foreign_route_counts_for_the_line_in_which_it_stands(console: Console, site: Wreck) -> None:
    site.enqueue("a", route="low:io")
    site.ask("LSET", "ready", "low:io", 0, ids.named_id("a") + b"\xff no route")
    data = console("audit", "--json").data
    assert (data["findings"], [(row["name"], row["ready"]) for row in data["queues"]]) == ([], [("low", 1)])


def test_other_namespaces_are_not_looked_at(console: Console, site: Wreck) -> None:
    ask(site.broker, "HSET", b"{taskq2}:jobs", ids.named_id("a"), b"body")
    ask(site.broker, "RPUSH", b"taskq:ready:default:io", b"x")
    assert kinds(console) == []
    ask(site.broker, "DEL", b"{taskq2}:jobs", b"taskq:ready:default:io")


# What is said


def test_what_was_found_is_explained_with_what_to_type(console: Console, site: Wreck) -> None:
    site.enqueue(*"abcdefghijkl")
    for name in "abcdefghijkl":
        site.take_out(name)
    said = console("audit")
    assert said.code == exit_codes.FAILED
    assert "! lost 12: each has a body and stands nowhere: nobody will run it" in said.out
    assert f"{ids.show(ids.named_id('a'))}  no place; body" in said.out or "and 2 more" in said.out
    assert "and 2 more: --json lists them all" in said.out
    assert "next: taskq audit --repair" in said.out
    (first, *_) = console("audit", "--json").data["findings"]
    assert first.keys() == {"kind", "subject", "detail", "means"}
    assert console("audit", "--repair", "--yes").code == exit_codes.OK


def test_a_repair_asks_first(console: Console, site: Wreck) -> None:
    site.enqueue("a")
    site.take_out("a")
    said = console("audit", "--repair")
    assert (said.code, "add --yes" in said.err) == (exit_codes.USAGE, True)
    console.terminal = True
    said = console("audit", "--repair", answer="n\n")
    assert (said.code, "repair 1 finding?" in said.err) == (exit_codes.FAILED, True)
    assert site.ask("LLEN", "ready", ROUTE) == 0
    assert console("audit", "--repair", answer="y\n").code == exit_codes.OK
    assert site.ask("LLEN", "ready", ROUTE) == 1


def test_a_repair_prints_json_too(console: Console, site: Wreck) -> None:
    site.enqueue("a")
    site.take_out("a")
    said = console("audit", "--repair", "--yes", "--json")
    assert (said.code, said.data["ok"], said.data["repaired"]) == (exit_codes.OK, False, 1)


@pytest.mark.parametrize("flag", ["--yes", "--dry-run"])
def test_flags_of_a_repair_want_a_repair(console: Console, flag: str) -> None:
    said = console("audit", flag)
    assert (said.code, said.err.splitlines()[0]) == (exit_codes.USAGE, "error: --yes and --dry-run are for --repair")


def test_on_a_terminal_it_says_how_far_it_is(console: Console, site: Wreck, clock: FakeClock) -> None:
    site.enqueue("a")
    console.terminal = True
    clock.advance(1)
    said = console("audit")
    assert "reading jobs: 1" in said.err
    assert said.err.endswith("\r\x1b[K")


# What becomes of what was repaired


def test_a_job_that_was_lost_runs(console: Console, site: Wreck) -> None:
    site.enqueue("a")
    site.take_out("a")
    site.ask("DEL", "wake", ROUTE)
    console("audit", "--repair", "--yes")
    assert site.ask("LLEN", "wake", ROUTE) == 1
    site.register()
    (job,) = site.broker.run(calls.claim(EPOCH, 0, {"io": 1}, ["default"])).jobs
    assert job.member == member("a")


def test_an_orphaned_holding_is_reaped_by_the_next_supervisor(console: Console, site: Wreck) -> None:
    site.hold("a")
    site.ask("ZREM", "workers", b"", EPOCH)
    console("audit", "--repair", "--yes")
    assert site.broker.run(calls.heartbeat(15.0, 9.0, {})).victim == EPOCH
    assert site.broker.run(calls.reap(EPOCH, b"lost", None)).given_back == 1
    assert site.place("a") == "queued"


def test_a_place_that_was_emptied_is_passed_over(console: Console, site: Wreck) -> None:
    site.enqueue("a", "b")
    site.put_in_line("a")
    console("audit", "--repair", "--yes")
    site.register()
    claim = site.broker.run(calls.claim(EPOCH, 0, {"io": 10}, ["default"]))
    assert [job.member for job in claim.jobs] == [member("a"), member("b")]


def test_a_dead_letter_without_a_record_gets_one_that_says_so(console: Console, site: Wreck) -> None:
    site.bury("a")
    site.ask("DEL", "result", ids.named_id("a"))
    console("audit", "--repair", "--yes")
    assert "record was lost" in console("dead", "show", "a").out
    assert console("dead", "retry", "a").code == exit_codes.OK


def test_the_record_of_a_dead_letter_that_is_gone_does_not_stay_for_ever(console: Console, site: Wreck) -> None:
    site.bury("a")
    site.forget_body("a")
    console("audit", "--repair", "--yes")
    assert 0 < site.ask("PTTL", "result", ids.named_id("a")) <= 86_400_000


def test_who_waits_for_a_job_that_ended_is_told(console: Console, site: Wreck) -> None:
    site.enqueue("a")
    assert site.broker.run(calls.await_outcome(b"client-1", [ids.named_id("a")])) == [None]
    site.give_record("a")
    console("audit", "--repair", "--yes")
    assert site.ask("LRANGE", "reply", b"client-1", 0, -1) == [ids.named_id("a")]


# A repair that is cut short


@pytest.fixture(scope="module")
def writing_server() -> Iterator[Server]:
    """A server that writes down what scripts do, before it answers: with everysec it may be late."""
    with server_or_skip(appendonly="yes", appendfsync="no") as server:
        yield server


@pytest.mark.parametrize("name", [name for name in DAMAGES if "long_line" not in name])
def test_a_repair_of_which_only_a_beginning_survived_is_done_by_the_next(
    writing_server: Server, clock: FakeClock, name: str
) -> None:
    harm, _, then = DAMAGES[name]
    broker = Broker(writing_server.url, now=clock.now)
    site = Wreck(broker, clock)

    def repaired() -> str:
        assert Console(broker, clock)("audit", "--repair", "--yes").code == exit_codes.OK
        assert one_place(take_census(broker)) == []
        return site.place("a", f"{ROUTE}:9" if "priority" in name else ROUTE)

    def damaged() -> int:
        """How many units of writes it took, from empty."""
        ask(broker, "FLUSHALL")
        site.claimed = 0
        harm(site)
        return len(aof.units(aof.live(writing_server.folder)))

    before = damaged()
    assert repaired() == then
    writes = [
        command.words
        for unit in aof.units(aof.live(writing_server.folder))[before:]
        for command in unit
        if command.words[0].upper() not in (b"MULTI", b"EXEC")
    ]
    assert writes
    for length in range(1, len(writes)):
        damaged()
        for words in writes[:length]:
            ask(broker, *words)
        assert repaired() == then, f"after {writes[:length]}"
    broker.close()


# What moves while it is looked at


class Moving(Broker):
    """A broker on which something happens before each call of some script."""

    def __init__(self, broker: Broker, name: str, act: Callable[[], object], least: int = 0):
        """`least`: how many words a call has before which something happens."""
        self.__dict__.update(broker.__dict__)
        self._act_before, self._act, self._least = name, act, least
        self.times = 0

    def run(self, call: Any) -> Any:
        if call.name == self._act_before and len(call.args) >= self._least:
            self.times += 1
            self._act()
        return super().run(call)


class Counting(Broker):
    """A broker that remembers in how many lists each look is."""

    def __init__(self, broker: Broker):
        self.__dict__.update(broker.__dict__)
        self.lists: list[int] = []

    def run(self, call: Any) -> Any:
        if call.name in ("trace", "mend"):
            self.lists.append(int(call.args[1]))
        return super().run(call)


def test_a_job_that_moves_on_every_look_is_no_finding(site: Wreck, clock: FakeClock) -> None:
    """It goes from the line to a worker's hands and back, whenever the audit asks for something."""
    site.register()
    site.enqueue("a")
    held: list[bytes] = []

    def move() -> None:
        if held:
            assert site.broker.run(calls.give_back(EPOCH, held)) == 1
            held.clear()
        else:
            site.claimed += 1
            held.extend(
                job.member for job in site.broker.run(calls.claim(EPOCH, site.claimed, {"io": 9}, ["default"])).jobs
            )

    for name in ("trace", "HSCAN", "SCAN", "ZRANGE"):
        if bool(held) != (name == "ZRANGE"):  # it is looked for where it stands
            move()
        moving = Moving(site.broker, name, move)
        said = Console(moving, clock)("audit", "--json")
        assert (said.code, said.data["findings"], moving.times > 0) == (exit_codes.OK, [], True)


def test_a_job_that_is_claimed_from_a_long_line_and_given_back_is_no_finding(site: Wreck, clock: FakeClock) -> None:
    site.register()
    site.enqueue("a")
    fill(site)

    def move() -> None:
        site.claimed += 9
        jobs = site.broker.run(calls.claim(EPOCH, site.claimed, {"io": 3}, ["default"])).jobs
        site.broker.run(calls.give_back(EPOCH, [job.member for job in jobs]))

    moving = Moving(site.broker, "trace", move)
    said = Console(moving, clock)("audit", "--json")
    assert (said.code, said.data["findings"], moving.times > 2) == (exit_codes.OK, [], True)


def test_a_line_that_never_holds_still_is_not_judged(site: Wreck, clock: FakeClock) -> None:
    """A lost job of a line whose head goes on every look: it is counted as not judged, and found when that ends."""
    site.register()
    fill(site)
    site.enqueue("a")
    site.take_out("a")

    def drain() -> None:
        site.claimed += 2000
        site.broker.run(calls.claim(EPOCH, site.claimed, {"io": 2000}, ["default"]))
        site.enqueue_all([f"r{site.claimed}-{number}" for number in range(2000)])

    close_look = len(calls.trace(1, [Bookmark(ROUTE), Bookmark(SOLO)], (), [b"id"]).args)
    said = Console(Moving(site.broker, "trace", drain, close_look), clock)("audit", "--json")
    assert (said.code, said.data["findings"], said.data["unsettled"]) == (exit_codes.OK, [], 1)
    assert kinds(Console(site.broker, clock)) == ["lost"]


def test_no_script_looks_in_all_lists_of_a_large_system(console: Console, site: Wreck, clock: FakeClock) -> None:
    """What a job without a body left behind needs no look at places; a job that may stand in any is not judged."""
    for number in range(60):
        for lane in LANES:
            site.enqueue(f"{number}-{lane}", route=f"q{number}:{lane}")
    attempts_and_losses_of_nobody(site)
    site.ask("HSET", "jobs", b"", ids.named_id("b"), b"\xc1 no job")
    counting = Counting(site.broker)
    said = Console(counting, clock)("audit", "--repair", "--yes", "--json")
    assert ([one["kind"] for one in said.data["findings"]], said.data["repaired"]) == (["stray"], 1)
    assert said.data["unsettled"] == 1
    assert 0 < max(counting.lists) <= 50
    assert not site.has("attempts", "a")
    assert "1 job moved too fast to be judged, or may stand in too many lists" in console("audit").out
    site.forget_body("b")


def test_what_was_left_behind_by_a_job_that_is_enqueued_again_is_its_own(site: Wreck, clock: FakeClock) -> None:
    attempts_and_losses_of_nobody(site)
    moving = Moving(site.broker, "mend", lambda: site.enqueue("a", route="low:io"))
    Console(moving, clock)("audit", "--repair", "--yes")
    assert (moving.times, site.place("a", "low:io")) == (1, "queued")
    assert one_place(take_census(site.broker)) == []
    assert site.ask("LLEN", "ready", "low:io") == 1
    assert kinds(Console(site.broker, clock)) == []


def test_a_repair_does_nothing_to_lists_that_have_moved_on(site: Wreck, clock: FakeClock) -> None:
    site.register()
    fill(site)
    site.enqueue("a")
    site.take_out("a")
    claimed: list[int] = []

    def claim() -> None:
        site.claimed += 2000
        claimed.append(len(site.broker.run(calls.claim(EPOCH, site.claimed, {"io": 1200}, ["default"])).jobs))
        site.enqueue_all([f"s{site.claimed}-{number}" for number in range(1500)])

    said = Console(Moving(site.broker, "mend", claim), clock)("audit", "--repair", "--yes")
    assert (said.code, "repaired: 0 of 1" in said.err) == (exit_codes.FAILED, True)
    assert Console(site.broker, clock)("audit", "--repair", "--yes").code == exit_codes.OK
    assert site.place("a") == "queued"


def test_what_was_repaired_by_somebody_else_meanwhile_stays_so(console: Console, site: Wreck, clock: FakeClock) -> None:
    site.enqueue("a", "b")
    site.take_out("a")
    moving = Moving(site.broker, "mend", lambda: console("audit", "--repair", "--yes"))
    Console(moving, clock)("audit", "--repair", "--yes")
    assert (moving.times, site.ask("LLEN", "ready", ROUTE)) == (1, 2)


def test_a_line_that_grows_beyond_a_page_before_a_look_is_looked_at_again(site: Wreck) -> None:
    site.enqueue("a")
    moving = Moving(site.broker, "trace", lambda: None if moving.times > 1 else fill(site))
    sights = Glass(moving.run, site.broker.prefix).look([ROUTE, SOLO], [ids.named_id("a")])
    assert sights == {ids.named_id("a"): Sight(("ready",), frozenset({"body"}))}


def test_a_line_that_grows_beyond_a_page_before_a_repair_is_looked_at_again(
    console: Console, site: Wreck, clock: FakeClock
) -> None:
    site.enqueue("a", "b")
    site.take_out("a")

    def come_back() -> None:
        if moving.times == 1:
            site.put_in_line("a")
            fill(site)

    moving = Moving(site.broker, "mend", come_back)
    Console(moving, clock)("audit", "--repair", "--yes")
    assert site.ask("LRANGE", "ready", ROUTE, 0, -1).count(member("a")) == 1


def test_a_job_that_was_lost_twice_stays_in_the_solo_lane(console: Console, site: Wreck) -> None:
    site.enqueue("a", "b")
    site.put_in_line("a", SOLO)
    console("audit", "--repair", "--yes")
    assert site.ask("LRANGE", "ready", SOLO, 0, -1) == [member("a", SOLO)]


def test_a_lane_that_moves_on_is_not_silent(site: Wreck, clock: FakeClock) -> None:
    site.register()
    site.enqueue("a", "b")
    site.ask("DEL", "wake", ROUTE)
    moving = Moving(
        site.broker, "holdings", lambda: site.take_out("a") if site.ask("LLEN", "ready", ROUTE) == 2 else None
    )
    console = Console(moving, clock)
    assert "silent" not in kinds(console)
    assert len(console.slept) == 1
    assert site.ask("LLEN", "ready", ROUTE) == 1
    site.put_in_line("a")


@pytest.mark.parametrize("why", ["paused", "busy", "elsewhere", "late"])
def test_a_lane_is_not_silent_where_nobody_is_idle_for_it(site: Wreck, clock: FakeClock, why: str) -> None:
    console = Console(site.broker, clock)
    site.hold("c", "d", "e", "f") if why == "busy" else site.register()
    site.enqueue("a", route="other:io" if why == "elsewhere" else ROUTE)
    if why == "paused":
        assert console("queues", "pause", "default").code == exit_codes.OK
    if why == "late":
        clock.advance(60)
    site.ask("DEL", "wake", "other:io" if why == "elsewhere" else ROUTE)
    assert kinds(console) == []
    assert console.slept == []


# Parts


def test_a_line_is_read_once_and_no_member_twice_while_it_grows_and_shrinks(site: Wreck) -> None:
    site.register()
    fill(site)
    reader, read = Reader(ROUTE), []
    for round_ in range(10):
        (stretch,) = site.broker.run(calls.trace(500, [reader.bookmark], (), ())).stretches
        assert stretch is not None
        reader.take(stretch)
        read += [*stretch.members, *stretch.newer]
        if not stretch.left:
            break
        site.enqueue_all([f"n{round_}-{number}" for number in range(7)])
        site.claimed += 10
        site.broker.run(calls.claim(EPOCH, site.claimed, {"io": 3}, ["default"]))
    line = site.ask("LRANGE", "ready", ROUTE, 0, -1)
    assert sorted(read) == sorted(line)
    assert reader.left == 0


def test_a_reader_whose_place_is_gone_is_told_so(site: Wreck) -> None:
    site.enqueue("a", "b", "c")
    found = site.broker.run(calls.trace(10, [Bookmark(ROUTE, member("c"), 2, member("a"))], (), ()))
    assert found.stretches == (None,)
    found = site.broker.run(calls.trace(10, [Bookmark(ROUTE, member("x"), 2, member("b"))], (), ()))
    assert found.stretches == (None,)
    assert site.broker.run(calls.trace(10, [Bookmark(ROUTE, member("c"), 2, member("b"))], (), ())).stretches == (
        (0, (member("a"),), ()),
    )


def test_bodies_are_read_fewer_at_a_time_where_they_are_large(site: Wreck) -> None:
    steps: list[int] = []
    replies = iter([(1, [], survey.LARGE_PAGE + 1), (2, [], survey.LARGE_PAGE + 1), (3, [], 10), (0, [], 10)])

    def ask_for(call: Any) -> Any:
        steps.append(call.args[-1])
        return next(replies)

    survey._Walk(ask_for, b"", lambda *_: None, survey.Survey()).bodies()
    assert steps == [10, 5, 2, 4]
