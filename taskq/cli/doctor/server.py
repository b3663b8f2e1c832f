"""Checks of the server: its version and role, its memory, its clients."""

from __future__ import annotations

import re

from taskq.cli.doctor.facts import Facts
from taskq.cli.doctor.finding import Finding, ok, set_to, unknown

_OLDEST = (6, 2)
_FULL, _NEARLY = 0.95, 0.75
_IDLE = 10
"""Seconds. A worker's connections say something every three, so it is not them that a longer time-out closes."""
_BUSY = 100
"""Milliseconds. No script of taskq takes as long, but a server that is short of CPU may."""
_FORK = 1_000_000
"""Microseconds that a fork may stop the server."""


def version(facts: Facts) -> Finding:
    shown = facts.info.get("redis_version", "")
    found = re.match(r"(\d+)\.(\d+)", shown)
    if not found:
        return unknown("taskq needs Redis 6.2 or newer, or Valkey")
    if (int(found[1]), int(found[2])) < _OLDEST:
        return Finding("problem", shown, "taskq's scripts use commands that came with Redis 6.2", "upgrade Redis")
    valkey = facts.info.get("valkey_version")
    return ok(f"Valkey {valkey}" if valkey else shown)


def role(facts: Facts) -> Finding:
    found = facts.info.get("role")
    if not found:
        return unknown("a replica takes no jobs")
    if found == "slave":
        primary = f"{facts.info.get('master_host', '?')}:{facts.info.get('master_port', '?')}"
        return Finding(
            "problem",
            f"replica of {primary}",
            "nothing can be written to it, so nothing is enqueued and no worker starts",
            f"use the primary's URL: redis://{primary}",
        )
    return ok("primary" if found == "master" else found)


def replicas(facts: Facts) -> Finding:
    count = facts.number("connected_slaves")
    if count is None:
        return unknown("with replicas, a failover can lose what only the old primary had")
    if not count:
        return ok("none")
    least = facts.number("min-replicas-to-write")
    if least is None:
        return unknown("min-replicas-to-write bounds what a failover loses")
    if not least:
        return Finding(
            "warning",
            f"{count}, min-replicas-to-write 0",
            "a primary that is cut off from its replicas goes on taking jobs, which a failover then loses",
            set_to("min-replicas-to-write", "1"),
        )
    return ok(f"{count}, min-replicas-to-write {least}")


def eviction(facts: Facts) -> Finding:
    policy = facts.info.get("maxmemory_policy") or facts.settings.get("maxmemory-policy")
    if not policy:
        return unknown("a server that evicts keys deletes jobs when its memory is full")
    if policy == "noeviction":
        return ok(policy)
    what = "results are" if policy.startswith("volatile") else "jobs and all else are"
    fix = set_to("maxmemory-policy", "noeviction")
    if not facts.number("maxmemory"):
        return Finding("warning", policy, f"once a maxmemory is set, {what} deleted when it is reached", fix)
    return Finding("problem", policy, f"{what} deleted when maxmemory is reached, and nobody is told", fix)


def evicted(facts: Facts) -> Finding:
    count = facts.number("evicted_keys")
    if count is None:
        return unknown("evicted keys may have been jobs")
    if count:
        return Finding(
            "problem",
            f"{count} keys",
            "the server has deleted keys to make room since it started: they may have been jobs or results",
            "taskq audit   and mend the eviction policy; CONFIG RESETSTAT starts counting anew",
        )
    return ok("no keys")


def memory(facts: Facts) -> Finding:
    used, most = facts.number("used_memory"), facts.number("maxmemory")
    if used is None or most is None:
        return unknown("at maxmemory producers get QueueFull")
    if not most:
        return Finding(
            "warning",
            f"{_size(used)} used, no maxmemory",
            "it grows until the system kills it, instead of refusing new jobs while workers drain the queues",
            f"{set_to('maxmemory', '2gb')} (some three quarters of its machine)",
        )
    share = used / most
    value = f"{_size(used)} of {_size(most)}, {share:.0%}"
    if share < _NEARLY:
        return ok(value)
    return Finding(
        "problem" if share >= _FULL else "warning",
        value,
        "at maxmemory nothing can be enqueued until workers have made room: producers get QueueFull",
        "add workers, shorten result_ttl, delete dead letters (taskq dead list), or raise maxmemory",
    )


def clients(facts: Facts) -> Finding:
    now, most = facts.number("connected_clients"), facts.number("maxclients")
    if now is None or most is None:
        return unknown("beyond maxclients nobody can connect")
    refused = facts.number("rejected_connections") or 0
    value = f"{now} of {most}" + (f", {refused} refused" if refused else "")
    if not refused and now < _NEARLY * most:
        return ok(value)
    return Finding(
        "problem" if now >= _FULL * most else "warning",
        value,
        "beyond maxclients workers and producers cannot connect; a worker process keeps three to five connections",
        set_to("maxclients", str(2 * most)),
    )


def idle_clients(facts: Facts) -> Finding:
    seconds = facts.number("timeout")
    if seconds is None:
        return unknown("a short time-out closes connections that are waiting for their next use")
    if 0 < seconds < _IDLE:
        return Finding(
            "warning",
            f"closed after {seconds} s",
            "connections are closed between two uses and made anew all the time",
            set_to("timeout", "0"),
        )
    return ok(f"closed after {seconds} s" if seconds else "kept")


def scripts(facts: Facts) -> Finding:
    limit = facts.number("busy-reply-threshold") or facts.number("lua-time-limit")
    if limit is None:
        return unknown("while a script is over its time limit, all others are refused")
    if 0 < limit < _BUSY:
        return Finding(
            "warning",
            f"{limit} ms",
            "a server that is short of CPU answers BUSY to everybody while a script is over this limit",
            set_to("lua-time-limit", "5000"),
        )
    return ok(f"{limit} ms")


def pauses(facts: Facts) -> Finding:
    """Huge pages make a fork for a snapshot expensive; INFO tells how long the last fork took."""
    if facts.settings.get("disable-thp") == "no":
        return Finding(
            "warning",
            "transparent huge pages are left on",
            "after a fork for a snapshot each write copies 2 MB instead of 4 KB: latency and memory grow",
            "disable-thp yes in redis.conf, and restart the server",
        )
    fork = facts.number("latest_fork_usec")
    if fork is None:
        return unknown("a long fork stops the server")
    if fork > _FORK:
        return Finding(
            "warning",
            f"the last fork took {fork / 1e6:.1f} s",
            "for as long nothing is enqueued or claimed, and leases are not renewed",
            "keep less in Redis (shorter result_ttl), or give it a machine that forks faster",
        )
    return ok(f"the last fork took {fork / 1000:.1f} ms")


def _size(octets: int) -> str:
    for unit in ("B", "KB", "MB"):
        if octets < 1024:
            return f"{octets} {unit}"
        octets //= 1024
    return f"{octets} GB"
