"""The command `taskq doctor`."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict

import click

from taskq import exit_codes
from taskq.cli.doctor import fleet, keeping, reaching, server
from taskq.cli.doctor.facts import Facts, gather
from taskq.cli.doctor.finding import Check, Finding
from taskq.cli.options import connection_options, json_flag, with_session
from taskq.cli.output import paint, plain, say, to_json
from taskq.cli.picture import count
from taskq.cli.session import Session

CHECKS: dict[str, Check] = {
    "version": server.version,
    "role": server.role,
    "replicas": server.replicas,
    "eviction": server.eviction,
    "evicted": server.evicted,
    "memory": server.memory,
    "persistence": keeping.persistence,
    "fsync": keeping.fsync,
    "torn-file": keeping.torn_file,
    "last-write": keeping.last_write,
    "clients": server.clients,
    "idle-clients": server.idle_clients,
    "scripts": server.scripts,
    "pauses": server.pauses,
    "encryption": reaching.encryption,
    "password": reaching.password,
    "clock": reaching.clock,
    "workers": fleet.workers,
    "leases": fleet.leases,
    "orphans": fleet.orphans,
    "listeners": fleet.listeners,
    "paused": fleet.paused,
    "parked": fleet.parked,
    "versions": fleet.versions,
}
_COLORS = {"ok": "green", "note": "blue", "unknown": "magenta", "warning": "yellow", "problem": "red"}


@click.command("doctor")
@json_flag
@connection_options()
@with_session
def doctor(session: Session, as_json: bool) -> int:
    """Look for what is set up so that jobs can be lost, refused or forgotten, and say how to mend it.

    \b
    problem   jobs are or will be lost or stuck; ends with 1
    warning   that can happen when something else goes wrong
    note      worth knowing
    unknown   the server does not say: CONFIG or INFO is forbidden to this user
    """
    findings = diagnose(gather(session))
    if as_json:
        say(to_json(_data(findings)))
    else:
        say("\n".join([*(_lines(name, finding) for name, finding in findings.items()), _summary(findings)]))
    return exit_codes.FAILED if any(found.level == "problem" for found in findings.values()) else exit_codes.OK


def diagnose(facts: Facts) -> dict[str, Finding]:
    """What every check says."""
    return {name: check(facts) for name, check in CHECKS.items()}


def _lines(name: str, finding: Finding) -> str:
    level = paint(f"{finding.level:8}", sys.stdout, fg=_COLORS[finding.level], bold=finding.level == "problem")
    lines = [f" {level} {name:13} {plain(finding.value)}"]
    if finding.why:
        lines += [f"{'':10}{plain(finding.why)}", f"{'':10}fix: {plain(finding.fix)}"]
    return "\n".join(lines)


def _summary(findings: dict[str, Finding]) -> str:
    levels = Counter(finding.level for finding in findings.values())
    parts = [count(levels["problem"], "problem"), count(levels["warning"], "warning"), f"{levels['unknown']} unknown"]
    return f" {' . '.join(parts)}"


def _data(findings: dict[str, Finding]) -> dict[str, object]:
    return {
        "ok": not any(finding.level == "problem" for finding in findings.values()),
        "checks": [{"check": name, **asdict(finding)} for name, finding in findings.items()],
    }
