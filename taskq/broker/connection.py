"""Connections to Redis: redis-py's, with its retries off.

redis-py repeats a command whose reply was lost; with a queue that stores a job twice or loses one. So nothing is ever
repeated below this module: who sends a call knows whether it may be sent again.
"""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from taskq.broker import sentinels
from taskq.config import mask
from taskq.errors import ConfigError

CONNECT_TIMEOUT = 1.5
ANSWER_TIMEOUT = 2.0
"""Seconds until a call that blocks nobody counts as lost."""
READ_TIMEOUT = 5.0
"""Seconds. More than any doorbell blocks."""
SENTINEL_TIMEOUT = 0.5
"""Seconds for a sentinel to be reached and to answer, before the next is asked."""
FORMS = (
    "redis://[user:password@]host:port/db, rediss:// for TLS, unix:///path?db=0, sentinel://host:port,host:port/service,"
    " with / : @ of a password as %2F %3A %40"
)


def pool_for(url: str) -> redis.ConnectionPool:
    """A pool of connections to `url` (redis://, rediss://, unix://, sentinel://, sentinels://). Raises ConfigError.

    Nothing is connected yet. With sentinels each connection asks them first where the primary is.
    """
    if sentinels.is_sentinel(url):
        return _by_sentinels(sentinels.parse(url))
    options: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": READ_TIMEOUT,
        "protocol": 2,
        "max_connections": 1 << 31,  # the pool only makes connections, and redis-py 8 would fail at the 101st
    }
    if not url.startswith("unix:"):
        options["socket_keepalive"] = True
    else:
        del options["socket_connect_timeout"]
    if url.startswith("rediss:") and "ssl_cert_reqs=none" not in url:
        options["ssl_check_hostname"] = True  # older versions of redis-py do not by themselves
    try:
        return redis.ConnectionPool.from_url(url, **options)
    except ValueError as error:
        # "Port could not be cast to integer value as '...'" quotes from a password that has a "/".
        reason = str(error).split(" as '", maxsplit=1)[0]
        raise ConfigError(f"cannot use the Redis URL {mask(url)!r}: {reason}\n  hint: {FORMS}") from None


_Sentinel: Any = Sentinel  # redis-py has no types for these
_SentinelConnectionPool: Any = SentinelConnectionPool


def _by_sentinels(whom: sentinels.Sentinels) -> redis.ConnectionPool:
    asked = [pool_for(whom.sentinel(*host)) for host in whom.hosts]
    for pool in asked:
        pool.connection_kwargs |= {"socket_connect_timeout": SENTINEL_TIMEOUT, "socket_timeout": SENTINEL_TIMEOUT}
    manager = _Sentinel([])
    manager.sentinels = [redis.Redis(connection_pool=pool) for pool in asked]
    server = pool_for(whom.server("primary", 0)).connection_kwargs
    options = {name: value for name, value in server.items() if name not in ("host", "port")}
    options |= {"ssl": whom.tls, "max_connections": 1 << 31}
    by_sentinels: redis.ConnectionPool = _SentinelConnectionPool(whom.service, manager, **options)
    return by_sentinels
