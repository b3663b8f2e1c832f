"""`taskq doctor` on servers that are really set up badly, and what it prints."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from taskq import exit_codes
from taskq.broker import calls
from taskq.broker.broker import Broker
from taskq.broker.keys import SCHEMA
from tests.redis.test_cli import INFO, Site
from tests.support.census import ask as command
from tests.support.clock import FakeClock
from tests.support.console import Console, Said
from tests.support.pair import pair
from tests.support.servers import ask, server_or_skip

GOOD = {"appendonly": "yes", "appendfsync": "always", "aof-load-truncated": "no", "maxmemory": "100mb"}


def doctor(broker: Broker, *flags: str, clock: Any = None) -> Said:
    return Console(broker, clock)("doctor", *flags) if clock else Console(broker)("doctor", *flags)


def levels(broker: Broker) -> dict[str, str]:
    """What each check says that does not say ok."""
    said = doctor(broker, "--json").data
    return {found["check"]: found["level"] for found in said["checks"] if found["level"] != "ok"}


@contextmanager
def served(**settings: str) -> Iterator[Broker]:
    with server_or_skip(**{**GOOD, **settings}) as server:
        broker = Broker(server.url)
        yield broker
        broker.close()


def test_a_server_that_is_set_up_well_is_well() -> None:
    with served() as broker:
        assert levels(broker) == {"workers": "note"}
        said = doctor(broker)
        assert (said.code, said.err) == (exit_codes.OK, "")
        assert " 0 problems . 0 warnings . 0 unknown" in said.out


BAD: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"maxmemory-policy": "allkeys-lru"}, {"eviction": "problem"}),
    ({"maxmemory-policy": "volatile-lru"}, {"eviction": "problem"}),
    ({"maxmemory": "0"}, {"memory": "warning"}),
    ({"appendonly": "no"}, {"persistence": "problem"}),
    ({"appendonly": "no", "save": "3600 1"}, {"persistence": "warning"}),
    ({"appendfsync": "everysec"}, {"fsync": "note"}),
    ({"appendfsync": "no"}, {"fsync": "warning"}),
    ({"aof-load-truncated": "yes"}, {"torn-file": "note"}),
    ({"timeout": "5"}, {"idle-clients": "warning"}),
    ({"lua-time-limit": "20"}, {"scripts": "warning"}),
    ({"disable-thp": "no"}, {"pauses": "warning"}),
    ({"replicaof": "127.0.0.1 1"}, {"role": "problem"}),
]


@pytest.mark.parametrize(("settings", "found"), BAD, ids=lambda case: " ".join(map(" ".join, case.items())))
def test_a_bad_setting_is_found(settings: dict[str, str], found: dict[str, str]) -> None:
    with served(**settings) as broker:
        assert levels(broker) == {"workers": "note", **found}
        assert doctor(broker).code == (exit_codes.FAILED if "problem" in found.values() else exit_codes.OK)


def test_a_server_that_is_nearly_full_is_found() -> None:
    with served() as broker:
        ask(broker.url, "SETRANGE filling 30000000 x")
        used = int(broker.run(calls.info())["used_memory"])
        assert ask(broker.url, f"CONFIG SET maxmemory {int(used / 0.85)}") == "+OK"
        assert levels(broker)["memory"] == "warning"
        assert ask(broker.url, f"CONFIG SET maxmemory {used // 2}") == "+OK"
        assert levels(broker)["memory"] == "problem"


def test_a_replica_that_is_attached_wants_a_bound_for_what_a_failover_loses() -> None:
    with pair() as servers:
        broker = Broker(servers.primary.url)
        assert levels(broker)["replicas"] == "warning"
        assert ask(servers.primary.url, "CONFIG SET min-replicas-to-write 1") == "+OK"
        assert "replicas" not in levels(broker)
        broker.close()


def test_what_is_forbidden_is_unknown() -> None:
    with served() as broker:
        assert ask(broker.url, "ACL SETUSER careful on >secret ~* &* +@all -config -info") == "+OK"
        careful = Broker(broker.url.replace("unix://", "unix://careful:secret@"))
        said = levels(careful)
        careful.close()
        unknown = {name for name, level in said.items() if level == "unknown"}
        assert {"version", "eviction", "persistence", "fsync", "memory", "idle-clients"} <= unknown
        assert said["workers"] == "note"


def test_settings_that_info_tells_are_known_without_config() -> None:
    with served(maxmemory_policy="allkeys-lru") as broker:
        assert ask(broker.url, "ACL SETUSER careful on >secret ~* &* +@all -config") == "+OK"
        careful = Broker(broker.url.replace("unix://", "unix://careful:secret@"))
        said = levels(careful)
        careful.close()
        assert (said["eviction"], said["fsync"]) == ("problem", "unknown")
        assert "persistence" not in said


def test_a_clock_that_differs_is_found(broker: Broker) -> None:
    with served() as real:
        clock = FakeClock(time.time() + 90)
        said = json.loads(doctor(real, "--json", clock=clock).out)
        (found,) = [found for found in said["checks"] if found["check"] == "clock"]
        assert (found["level"], "ahead of the server" in found["value"]) == ("warning", True)


# Workers and queues


@pytest.fixture
def site(broker: Broker, clock: FakeClock) -> Site:
    return Site(broker, clock)


def test_jobs_that_nobody_will_run_are_found(broker: Broker, site: Site) -> None:
    site.enqueue("a")
    assert levels(broker)["workers"] == "problem"
    site.register()
    assert not {"workers", "listeners"} & levels(broker).keys()
    site.enqueue("b", route="mail:io")
    said = doctor(broker)
    assert said.code == exit_codes.FAILED
    assert "nobody works on mail" in said.out
    assert "fix: taskq worker -A module:app --queues mail" in said.out


def test_holdings_that_nobody_gives_back_are_found(broker: Broker, site: Site, clock: FakeClock) -> None:
    site.hold("a", "b")
    assert "leases" not in levels(broker)
    clock.advance(60)
    assert levels(broker)["leases"] == "problem"
    command(broker, "ZREM", broker.key("workers"), "web-1-7-0")
    said = levels(broker)
    assert ("leases" in said, said["orphans"]) == (False, "problem")
    assert broker.run(calls.fence(["web-1-7-0"])) == 1
    said = levels(broker)
    assert (said["leases"], "orphans" in said) == ("problem", False)


def test_paused_queues_parked_jobs_and_mixed_versions_are_found(broker: Broker, site: Site) -> None:
    held = site.hold("a")
    site.broker.run(calls.park("web-1-7-0", 600.0, held))
    site.enqueue("b")
    assert broker.run(calls.pause("default", "me 1"))
    assert broker.run(calls.register("web-2-8-0", 15.0, {**INFO, "version": "9.9"})) == str(SCHEMA)
    said = levels(broker)
    assert (said["paused"], said["parked"], said["versions"]) == ("warning", "warning", "warning")


def test_json_has_every_check(broker: Broker) -> None:
    said = doctor(broker, "--json")
    assert said.data.keys() == {"ok", "checks"}
    assert all(found.keys() == {"check", "level", "value", "why", "fix"} for found in said.data["checks"])
    assert len(said.data["checks"]) == 24


def test_where_no_redis_answers_it_says_so() -> None:
    said = Console()("doctor", "--url", "redis://localhost:1")
    assert (said.code, "cannot reach Redis" in said.err) == (exit_codes.UNREACHABLE, True)
