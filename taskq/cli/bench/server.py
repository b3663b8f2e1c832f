"""What Redis says of itself while it is measured; None where INFO is not allowed, or does not have it."""

from __future__ import annotations

from urllib.parse import urlsplit

from taskq.broker import calls
from taskq.cli.bench.figures import Server
from taskq.cli.session import Session
from taskq.config import mask
from taskq.errors import BrokerError, BrokerUnavailable


def server(session: Session) -> Server:
    """Which Redis this is."""
    url = session.target()[0].value
    return Server(url=mask(url), version=_info(session).get("redis_version"), local=is_local(url))


def is_local(url: str) -> bool:
    """Does the Redis at `url` run on this machine, as far as its address says?"""
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    return parts.scheme in ("unix", "embedded") or host in ("localhost", "::1") or host.startswith("127.")


def redis_cpu(session: Session) -> float | None:
    """CPU seconds that the main thread has used, or the process, where the server does not tell them apart."""
    info = _info(session)
    for thread in ("_main_thread", ""):
        user, system = (_number(info, f"used_cpu_{part}{thread}") for part in ("user", "sys"))
        if user is not None and system is not None:
            return user + system
    return None


def redis_memory(session: Session) -> float | None:
    """Bytes that the server's data takes."""
    return _number(_info(session), "used_memory")


def _info(session: Session) -> dict[str, str]:
    try:
        return session.ask(calls.info())
    except BrokerUnavailable:
        raise
    except BrokerError:  # it may be forbidden
        return {}


def _number(info: dict[str, str], name: str) -> float | None:
    return float(info[name]) if name in info else None
