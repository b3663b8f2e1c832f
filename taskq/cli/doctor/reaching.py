"""Checks of the way to the server, and of this host's clock."""

from __future__ import annotations

import ipaddress
from urllib.parse import parse_qs, unquote, urlsplit

from taskq.cli.doctor.facts import Facts
from taskq.cli.doctor.finding import Finding, ok, unknown
from taskq.units import brief

_SKEW = 1.0
"""Seconds between two clocks that nobody notices."""


def encryption(facts: Facts) -> Finding:
    parts = urlsplit(facts.url)
    if parts.scheme in ("rediss", "sentinels"):
        return _certificates(facts.url)
    if _is_local(facts.url):
        return ok("not needed: the server is on this host")
    if _password(facts.url):
        return Finding(
            "warning",
            f"none, to {parts.hostname}",
            "the password and all arguments can be read on the way",
            "rediss:// (or sentinels://) in the URL, and tls-port in redis.conf",
        )
    return Finding(
        "note", f"none, to {parts.hostname}", "all arguments can be read on the way", "rediss:// where others listen"
    )


def _certificates(url: str) -> Finding:
    if _is_local(url) or parse_qs(urlsplit(url).query).get("ssl_cert_reqs") != ["none"]:
        return ok("TLS")
    return Finding(
        "warning",
        f"TLS to anybody who says to be {urlsplit(url).hostname}",
        "no certificate is checked: who gets between can read and change everything, the password too",
        "ssl_ca_certs=/path/ca.pem in the URL instead of ssl_cert_reqs=none",
    )


def password(facts: Facts) -> Finding:
    if _password(facts.url):
        return ok("set")
    if _is_local(facts.url):
        return ok("not needed: the server is on this host")
    return Finding(
        "warning",
        f"none, at {urlsplit(facts.url).hostname}",
        "whoever reaches the server can enqueue any registered task, and read or delete every job",
        "a user with a password: redis-cli ACL SETUSER, then redis://user:password@host",
    )


def clock(facts: Facts) -> Finding:
    """Leases and delays go by the server's clock alone."""
    if facts.skew is None:
        return unknown("the clocks of this host and the server may differ")
    value = f"this host is {brief(abs(facts.skew))} {'ahead of' if facts.skew > 0 else 'behind'} the server"
    if abs(facts.skew) <= _SKEW:
        return ok(value)
    return Finding(
        "warning",
        value,
        "ages, and an eta= made here, are off by as much; leases, delays and retries go by the server's clock",
        "chronyc tracking   or   timedatectl   on both hosts",
    )


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    if parts.scheme in ("unix", "embedded") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(unquote(host)).is_loopback
    except ValueError:
        return False


def _password(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.password or parse_qs(parts.query).get("password"))
