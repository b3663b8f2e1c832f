"""What a doctor says, by facts made by hand: each check with what is well, what is not, and what nobody knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from taskq.broker.records import QueueRow, WorkerRow
from taskq.cli.doctor.command import CHECKS, diagnose
from taskq.cli.doctor.facts import Facts
from taskq.cli.doctor.finding import Finding

REMOTE = "redis://redis.example:6379/0"
INFO = {
    "redis_version": "7.2.4",
    "role": "master",
    "connected_slaves": "0",
    "maxmemory_policy": "noeviction",
    "maxmemory": str(1 << 30),
    "used_memory": str(1 << 20),
    "evicted_keys": "0",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "connected_clients": "10",
    "maxclients": "10000",
    "latest_fork_usec": "900",
}
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "aof-load-truncated": "no",
    "save": "",
    "timeout": "0",
    "min-replicas-to-write": "0",
    "lua-time-limit": "5000",
    "disable-thp": "yes",
}


def worker(epoch: str = "w1", *, lease: float = 10.0, held: int = 0, **info: str) -> WorkerRow:
    members = tuple(bytes([number]) * 16 + b"default:io" for number in range(held))
    return WorkerRow(epoch, lease, members, {"host": "a", "queues": "default", "version": "1.0", **info})


def queue(name: str = "default", ready: int = 0, **counts: Any) -> QueueRow:
    row = QueueRow(name, ready, 0, 0, 0, None, None)
    return replace(row, **counts)


WELL = Facts(
    url="rediss://:secret@redis.example:6379/0",
    info=INFO,
    settings=SETTINGS,
    skew=0.01,
    queues=[queue(ready=3)],
    workers=[worker()],
    version="1.0",
)


def with_info(**values: str) -> Facts:
    return replace(WELL, info={**INFO, **values})


def with_settings(**values: str) -> Facts:
    return replace(WELL, settings={**SETTINGS, **{name.replace("_", "-"): value for name, value in values.items()}})


def without(*names: str) -> Facts:
    info = {name: value for name, value in INFO.items() if name not in names}
    return replace(WELL, info=info, settings={k: v for k, v in SETTINGS.items() if k not in names})


def test_where_all_is_well_every_check_says_so() -> None:
    assert {name: found for name, found in diagnose(WELL).items() if found.level != "ok"} == {}


NOTHING_IS_KNOWN = Facts(url=WELL.url)
FROM_THE_SERVER = {
    "version", "role", "replicas", "eviction", "evicted", "memory", "persistence", "fsync", "torn-file", "last-write",
    "clients", "idle-clients", "scripts", "pauses", "clock",
}  # fmt: skip


def test_what_the_server_does_not_say_is_unknown_and_not_well() -> None:
    said = diagnose(NOTHING_IS_KNOWN)
    assert {name for name, found in said.items() if found.level == "unknown"} == FROM_THE_SERVER


CASES: list[tuple[str, Facts, str, str]] = [
    ("version", with_info(redis_version="6.0.16"), "problem", "6.0.16"),
    ("version", with_info(redis_version="6.2.0"), "ok", "6.2.0"),
    ("version", with_info(redis_version="7.2.4", valkey_version="8.1.0"), "ok", "Valkey 8.1.0"),
    ("version", with_info(redis_version="255.255.255"), "ok", "255"),
    ("role", with_info(role="slave", master_host="db-1", master_port="6380"), "problem", "replica of db-1:6380"),
    ("replicas", with_info(connected_slaves="2"), "warning", "2, min-replicas-to-write 0"),
    ("replicas", replace(with_info(connected_slaves="2"), settings={}), "unknown", "does not say"),
    (
        "replicas",
        replace(with_info(connected_slaves="2"), settings={"min-replicas-to-write": "1"}),
        "ok",
        "min-replicas-to-write 1",
    ),
    ("eviction", with_info(maxmemory_policy="allkeys-lru"), "problem", "allkeys-lru"),
    ("eviction", with_info(maxmemory_policy="volatile-ttl"), "problem", "volatile-ttl"),
    ("eviction", with_info(maxmemory_policy="allkeys-lru", maxmemory="0"), "warning", "allkeys-lru"),
    ("evicted", with_info(evicted_keys="12"), "problem", "12 keys"),
    ("memory", with_info(maxmemory="0"), "warning", "1 MB used, no maxmemory"),
    ("memory", with_info(used_memory=str(800 << 20)), "warning", "800 MB of 1 GB, 78%"),
    ("memory", with_info(used_memory=str(1 << 30)), "problem", "1 GB of 1 GB, 100%"),
    ("persistence", replace(with_info(aof_enabled="0"), settings={"save": ""}), "problem", "off"),
    (
        "persistence",
        replace(with_info(aof_enabled="0"), settings={"save": "3600 1"}),
        "warning",
        "snapshots only (3600 1)",
    ),
    ("persistence", replace(with_info(aof_enabled="0"), settings={}), "unknown", "does not say"),
    ("persistence", replace(without("aof_enabled"), settings={"appendonly": "yes"}), "ok", "append-only"),
    ("fsync", with_settings(appendfsync="everysec"), "note", "everysec"),
    ("fsync", with_settings(appendfsync="no"), "warning", "no"),
    ("fsync", replace(with_info(aof_enabled="0"), settings={}), "ok", "nothing to sync"),
    ("torn-file", with_settings(aof_load_truncated="yes"), "note", "loaded up to the tear"),
    ("torn-file", with_info(aof_enabled="0"), "ok", "no append-only file"),
    ("last-write", with_info(aof_last_write_status="err"), "problem", "failed: append-only file"),
    ("last-write", with_info(rdb_last_bgsave_status="err"), "problem", "failed: snapshot"),
    ("clients", with_info(connected_clients="8000"), "warning", "8000 of 10000"),
    ("clients", with_info(connected_clients="9999"), "problem", "9999 of 10000"),
    ("clients", with_info(rejected_connections="4"), "warning", "10 of 10000, 4 refused"),
    ("idle-clients", with_settings(timeout="5"), "warning", "closed after 5 s"),
    ("idle-clients", with_settings(timeout="300"), "ok", "closed after 300 s"),
    ("scripts", with_settings(lua_time_limit="20"), "warning", "20 ms"),
    ("scripts", with_settings(busy_reply_threshold="20"), "warning", "20 ms"),
    ("scripts", with_settings(lua_time_limit="0"), "ok", "0 ms"),
    ("pauses", with_settings(disable_thp="no"), "warning", "huge pages"),
    ("pauses", with_info(latest_fork_usec="2500000"), "warning", "2.5 s"),
    ("encryption", replace(WELL, url="redis://:secret@redis.example"), "warning", "none, to redis.example"),
    ("encryption", replace(WELL, url=f"{REMOTE}?password=secret"), "warning", "none, to redis.example"),
    ("encryption", replace(WELL, url=REMOTE), "note", "none, to redis.example"),
    ("password", replace(WELL, url=REMOTE), "warning", "none, at redis.example"),
    ("clock", replace(WELL, skew=-90.0), "warning", "1m30 behind the server"),
    ("clock", replace(WELL, skew=2.5), "warning", "2.5s ahead of the server"),
    ("workers", replace(WELL, workers=[]), "problem", "none"),
    ("workers", replace(WELL, workers=[worker(lease=-1)]), "problem", "none"),
    ("workers", replace(WELL, workers=[], queues=[queue()]), "note", "none"),
    ("workers", replace(WELL, workers=[worker(), worker("w2", host="b")]), "ok", "2 processes on 2 hosts"),
    ("leases", replace(WELL, workers=[worker(lease=-1, held=2)]), "problem", "1 process ran out, 2 jobs held"),
    ("leases", replace(WELL, workers=[worker(), worker("w2", lease=-1, held=2)]), "note", "1 process ran out"),
    ("leases", replace(WELL, workers=[], fenced=frozenset({"w3", "w4"})), "problem", "2 processes ran out"),
    ("orphans", replace(WELL, orphans={"w9": 3}), "problem", "3 jobs held by w9"),
    ("listeners", replace(WELL, queues=[queue("mail", 1), queue(ready=1)]), "problem", "nobody works on mail"),
    ("listeners", replace(WELL, queues=[queue("mail", delayed=1)]), "problem", "nobody works on mail"),
    ("listeners", replace(WELL, queues=[queue("mail", 1, paused="me 1")]), "ok", "every queue"),
    ("listeners", replace(WELL, queues=[queue("mail")]), "ok", "every queue"),
    ("listeners", replace(WELL, workers=[]), "ok", "there are no workers"),
    ("paused", replace(WELL, queues=[queue(ready=2, delayed=1, paused="me 1")]), "warning", "default (3 jobs)"),
    ("paused", replace(WELL, queues=[queue(paused="me 1")]), "ok", "no queue that has jobs"),
    ("parked", replace(WELL, queues=[queue(parked=1)]), "warning", "1 job of default"),
    (
        "versions",
        replace(WELL, workers=[worker(), worker("2", version="1.1")]),
        "warning",
        "1.0 (1 process), 1.1 (1 process)",
    ),
    ("versions", replace(WELL, workers=[worker(), worker("w2", lease=-1, version="1.1")]), "ok", "1.0 (1 process)"),
    ("versions", replace(WELL, version="2.0"), "note", "workers 1.0 (1 process), this 2.0"),
    ("versions", replace(WELL, workers=[], version="2.0"), "ok", "2.0"),
]


@pytest.mark.parametrize(
    ("check", "facts", "level", "value"), CASES, ids=lambda case: case if isinstance(case, str) else ""
)
def test_a_check_says_how_bad_it_is(check: str, facts: Facts, level: str, value: str) -> None:
    found = CHECKS[check](facts)
    assert (found.level, value in found.value) == (level, True), found
    assert bool(found.why) == bool(found.fix) == (level != "ok")


def test_every_check_has_a_case_that_is_not_well() -> None:
    assert {check for check, _, level, _ in CASES if level not in ("ok", "unknown")} == set(CHECKS)


@pytest.mark.parametrize(
    "url",
    ["redis://localhost", "redis://127.0.0.1:6379/0", "redis://[::1]:6379", "unix:///run/redis.sock", "embedded://"],
)
def test_on_this_host_neither_tls_nor_a_password_is_asked_for(url: str) -> None:
    said = diagnose(replace(WELL, url=url))
    assert said["encryption"] == said["password"] == Finding("ok", "not needed: the server is on this host")


@pytest.mark.parametrize("url", ["rediss://redis.example", "sentinels://:secret@a.example,b.example:1/main"])
def test_tls_is_encryption_but_to_whom_only_a_certificate_says(url: str) -> None:
    assert CHECKS["encryption"](replace(WELL, url=url)) == Finding("ok", "TLS")
    anybody = CHECKS["encryption"](replace(WELL, url=f"{url}?ssl_cert_reqs=none"))
    assert (anybody.level, "no certificate is checked" in anybody.why) == ("warning", True)
    assert "secret" not in str(anybody)


@pytest.mark.parametrize("check", ["encryption", "password"])
def test_no_finding_shows_the_password(check: str) -> None:
    for url in ("redis://:hunter2@redis.example", f"{REMOTE}?password=hunter2", "redis://me:hunter2@redis.example/1"):
        assert "hunter2" not in str(CHECKS[check](replace(WELL, url=url)))
