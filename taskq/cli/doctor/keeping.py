"""Checks of what survives when the server, or its machine, dies."""

from __future__ import annotations

from taskq.cli.doctor.facts import Facts
from taskq.cli.doctor.finding import Finding, ok, set_to, unknown

_ON = {"1": True, "yes": True, "0": False, "no": False}


def persistence(facts: Facts) -> Finding:
    appends = _appends(facts)
    if appends:
        return ok("append-only file")
    saves = facts.settings.get("save")
    if appends is None or saves is None:
        return unknown("without persistence a restart of the server loses every job")
    fix = set_to("appendonly", "yes")
    if saves:
        return Finding(
            "warning",
            f"snapshots only ({saves})",
            "a crash of the server loses every job that was enqueued since the last snapshot, minutes of them",
            fix,
        )
    return Finding("problem", "off", "a restart or crash of the server loses every job", fix)


def fsync(facts: Facts) -> Finding:
    if _appends(facts) is False:
        return ok("nothing to sync: no append-only file")
    how = facts.settings.get("appendfsync")
    if how is None:
        return unknown("how often the file reaches the disk is what a power failure loses")
    if how == "always":
        return ok(how)
    if how == "everysec":
        return Finding(
            "note",
            how,
            "when the machine dies, the last second or two of acknowledged jobs are lost (a crash of Redis loses none)",
            f"where that is too much: {set_to('appendfsync', 'always')}",
        )
    return Finding(
        "warning",
        how,
        "when the machine dies, up to half a minute of acknowledged jobs is lost",
        set_to("appendfsync", "everysec"),
    )


def torn_file(facts: Facts) -> Finding:
    """Redis 7.0.15 and many others; the versions that mend it are not the same in Redis and in Valkey."""
    if _appends(facts) is False:
        return ok("no append-only file")
    loads = facts.settings.get("aof-load-truncated")
    if loads is None:
        return unknown("after a crash that tore the file, some versions bring half of a script back")
    if loads == "no":
        return ok("not loaded")
    return Finding(
        "note",
        "loaded up to the tear",
        "where the tear is inside a script, many versions bring half of it back with the restart after the next",
        "when the server's log says 'Truncating the AOF': redis-cli BGREWRITEAOF, then taskq audit",
    )


def last_write(facts: Facts) -> Finding:
    states = {
        "append-only file": facts.info.get("aof_last_write_status"),
        "its rewrite": facts.info.get("aof_last_bgrewrite_status"),
        "snapshot": facts.info.get("rdb_last_bgsave_status"),
    }
    if not any(states.values()):
        return unknown("a server that cannot write to its disk refuses jobs, or loses them")
    failed = [name for name, state in states.items() if state not in (None, "ok")]
    if failed:
        return Finding(
            "problem",
            f"failed: {', '.join(failed)}",
            "the server cannot write to its disk: it refuses new jobs, or loses them with its next restart",
            "look into the server's log, and at the room on its disk",
        )
    return ok("ok")


def _appends(facts: Facts) -> bool | None:
    return _ON.get(facts.info.get("aof_enabled") or facts.settings.get("appendonly", ""))
