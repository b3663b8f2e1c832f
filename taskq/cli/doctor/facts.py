"""What a doctor is told, and how it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from taskq._version import __version__
from taskq.broker import calls, keys
from taskq.broker.call import Call
from taskq.broker.records import QueueRow, WorkerRow
from taskq.cli.orphans import orphans_among
from taskq.cli.session import Session
from taskq.errors import BrokerError, BrokerUnavailable

T = TypeVar("T")
SETTINGS = (
    "appendonly",
    "appendfsync",
    "aof-load-truncated",
    "save",
    "maxmemory",
    "maxmemory-policy",
    "maxclients",
    "timeout",
    "min-replicas-to-write",
    "lua-time-limit",
    "busy-reply-threshold",
    "disable-thp",
)
_STEP = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`info` is what INFO says and `settings` what CONFIG GET says: what is forbidden or not known is missing.

    `skew`: by how many seconds this host's clock is ahead of the server's; None where it is not known. `fenced`: worker
    processes declared dead that are not reaped yet; `orphans`: how many jobs those hold whom nobody knows. `version`:
    that of this taskq.
    """

    url: str = "redis://localhost:6379/0"
    info: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    skew: float | None = None
    queues: Sequence[QueueRow] = ()
    workers: Sequence[WorkerRow] = ()
    fenced: frozenset[str] = frozenset()
    orphans: Mapping[str, int] = field(default_factory=dict)
    version: str = __version__

    @property
    def alive(self) -> list[WorkerRow]:
        """The worker processes whose lease is good."""
        return [row for row in self.workers if row.lease_left > 0]

    def number(self, name: str) -> int | None:
        """What INFO or CONFIG GET says under this name, where it is a whole number."""
        text = self.info.get(name, self.settings.get(name, ""))
        return int(text) if text.isdigit() else None


def gather(session: Session) -> Facts:
    """Ask for everything. Raises BrokerUnavailable."""
    url, namespace = session.target()
    skew = _skew(session)  # first, as it opens the connection and asks about the schema
    prefix = keys.prefix(namespace)
    info = _allowed(session, calls.info())
    queues, workers = session.ask(calls.overview(1)), session.ask(calls.holdings())
    fenced = session.ask(calls.names(keys.full_key(prefix, "fenced")))
    return Facts(
        url=url.value,
        info=info or {},
        settings=_settings(session),
        skew=skew,
        queues=queues,
        workers=workers,
        fenced=frozenset(fenced),
        orphans=_orphans(session, prefix),
    )


def _allowed(session: Session, call: Call[T]) -> T | None:
    """The answer to `call`; None where it is forbidden, or not known to this server."""
    try:
        return session.ask(call)
    except BrokerUnavailable:
        raise
    except BrokerError:
        return None


def _settings(session: Session) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in SETTINGS:
        answer = _allowed(session, calls.setting(name))
        if answer is None:
            return found
        found.update(answer)
    return found


def _skew(session: Session) -> float | None:
    """The second question is measured: the first one had to connect."""
    if _allowed(session, calls.server_time()) is None:
        return None
    before = session.clock.now()
    there = session.ask(calls.server_time())
    return (before + session.clock.now()) / 2 - there


def _orphans(session: Session, prefix: bytes) -> dict[str, int]:
    start = keys.full_key(prefix, "held")
    epochs: set[str] = set()
    cursor = 0
    while True:
        cursor, found = session.ask(calls.scan(cursor, start + b"*", _STEP))
        epochs |= {keys.text(key.removeprefix(start)) for key in found}
        if not cursor:
            break
    return orphans_among(session.ask, epochs)
