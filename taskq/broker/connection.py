"""Connections to Redis: redis-py's, with its retries off, and its errors in our words.

redis-py repeats a command whose reply was lost; with a queue that stores a job twice or loses one. So nothing is ever
repeated below this module: who sends a call knows whether it may be sent again.
"""

from __future__ import annotations

import re
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, InvalidResponse
from redis.retry import Retry

from taskq.config import mask
from taskq.errors import BrokerError, BrokerUnavailable, ConfigError, QueueFull

CONNECT_TIMEOUT = 1.5
ANSWER_TIMEOUT = 2.0
"""Seconds until a call that blocks nobody counts as lost."""
READ_TIMEOUT = 5.0
"""Seconds. More than any doorbell blocks."""

_PASSING = (
    *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED", "BUSY "),
    *("MISCONF", "NOREPLICAS"),  # it takes no writes: its disk is full, or it has lost its replicas
    "NOSCRIPT",  # loaded, and flushed again before it was called
    "max number of clients",
)
_PASSING_ERRORS = (redis.exceptions.ReadOnlyError, redis.exceptions.ClusterDownError, redis.exceptions.TryAgainError)
"""Of these redis-py cuts the word off the text."""

_IN_SCRIPT = re.compile(r"^Error running script \(call to \w+\): (?:@user_script: ?\d+: )*-?")
"""What Redis 6.2 puts before the error of a command that a script called."""


def pool_for(url: str) -> redis.ConnectionPool:
    """A pool of connections to `url` (redis://, rediss://, unix://); nothing is connected yet. Raises ConfigError."""
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
    try:
        return redis.ConnectionPool.from_url(url, **options)
    except ValueError as error:
        # "Port could not be cast to integer value as '...'" quotes from a password that has a "/".
        reason = str(error).split(" as '", maxsplit=1)[0]
        hint = "redis://[user:password@]host:port/db, with / : @ of the password as %2F %3A %40"
        raise ConfigError(f"cannot use the Redis URL {mask(url)!r}: {reason}\n  hint: {hint}") from None


def is_unknown_script(reply: object) -> bool:
    """redis-py cuts the word off the text; hiredis does not."""
    return isinstance(reply, redis.exceptions.NoScriptError) or (
        isinstance(reply, redis.ResponseError) and str(reply).startswith("NOSCRIPT")
    )


BROKEN = (redis.ConnectionError, redis.TimeoutError, OSError)
"""What a connection raises when it is of no more use."""


def translate(error: BaseException, url: str) -> Exception:
    """`error` of redis-py as one of ours. `url` is shown masked."""
    text, shown = _text(error), mask(url)
    if isinstance(error, InvalidResponse):
        return BrokerUnavailable(f"cannot talk to Redis at {shown}: what answers there is no Redis ({text})")
    if _is_broken(error):
        return BrokerUnavailable(f"cannot reach Redis at {shown} ({text.lower() or type(error).__name__})")
    if text.startswith("OOM") or isinstance(error, redis.exceptions.OutOfMemoryError):
        return QueueFull(
            "cannot enqueue: Redis has reached its maxmemory\n  hint: let workers drain the queues, or raise maxmemory"
        )
    if text.startswith(_PASSING) or isinstance(error, _PASSING_ERRORS):
        return BrokerUnavailable(f"cannot use Redis at {shown} now ({text})")
    return BrokerError(f"Redis at {shown} refused a command: {text}")


def _text(error: BaseException) -> str:
    text = re.sub(r"^Error \S+ (while )?connecting to .*?\. ", "", str(error)).strip().rstrip(".")
    return _IN_SCRIPT.sub("", text.removeprefix("ERR "))  # redis-py has taken that word off


def _is_broken(error: BaseException) -> bool:
    """redis-py calls a wrong password a connection error, which it is not: the server answers."""
    return isinstance(error, (*BROKEN, BusyLoadingError)) and not isinstance(error, redis.AuthenticationError)
