"""A broker without a server."""

from __future__ import annotations

import fakeredis
import redis

from taskq.broker.broker import Broker, Now

_CONNECTION = getattr(fakeredis, "FakeRedisConnection", None) or fakeredis.FakeConnection
"""Older versions know only the second name, newer ones warn of it."""


def fake_broker(now: Now | None = None, namespace: str = "taskq") -> Broker:
    """A broker on a fakeredis of its own; `now` (seconds since the epoch) stands in for the server's clock."""
    server = fakeredis.FakeServer(version=(7, 0))
    pool = redis.ConnectionPool(connection_class=_CONNECTION, server=server, protocol=2, max_connections=2**31)
    return Broker("redis://fake", namespace, pool=pool, now=now)
