"""What redis-py raises and Redis answers, in our words. redis-py cuts the first word off some errors, hiredis none."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.exceptions import AskError, BusyLoadingError, InvalidResponse, NoPermissionError, OutOfMemoryError
from redis.sentinel import MasterNotFoundError

from taskq.broker.quoting import without_words
from taskq.config import mask
from taskq.errors import BrokerError, BrokerUnavailable, NotPermitted, QueueFull

_PASSING = (
    *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED", "BUSY "),
    *("MISCONF", "NOREPLICAS"),  # it takes no writes: its disk is full, or it has lost its replicas
    "NOSCRIPT",  # loaded, and flushed again before it was called
    "max number of clients",
)
_PASSING_ERRORS = (redis.exceptions.ReadOnlyError, redis.exceptions.ClusterDownError, redis.exceptions.TryAgainError)
_BROKEN = (redis.ConnectionError, redis.TimeoutError, OSError, BusyLoadingError)
_LOGIN = re.compile(r"^(NOAUTH|WRONGPASS|invalid username-password|Authentication required)")
_DENIED = re.compile(r"^NOPERM|no permissions to |executing the script can't|ACL failure in script")
_IN_SCRIPT = re.compile(r"^Error running script \(call to \w+\): (?:@user_script: ?\d+: )*-?")
"""What Redis 6.2 puts before the error of a command that a script called."""
_PLACE = re.compile(r" script: [0-9a-f]{40}, on @user_script:\d+$")
"""What Redis 7 puts behind it."""


def is_unknown_script(reply: object) -> bool:
    return isinstance(reply, redis.exceptions.NoScriptError) or (
        isinstance(reply, redis.ResponseError) and str(reply).startswith("NOSCRIPT")
    )


def translate(error: BaseException, url: str) -> Exception:
    """`error` of redis-py as one of ours. `url` is shown masked."""
    text = re.sub(r"^Error \S+ (while )?connecting to .*?\. ", "", str(error)).strip().rstrip(".")
    text = without_words(_PLACE.sub("", _IN_SCRIPT.sub("", text.removeprefix("ERR ")))).rstrip(".")
    return next(make(text, url, error) for applies, make in _KINDS if applies(error, text))


def _is_broken(error: BaseException, _: str) -> bool:
    """redis-py calls a wrong password a connection error, which it is not: the server answers."""
    return isinstance(error, _BROKEN) and not isinstance(error, redis.AuthenticationError)


def _out_of_reach(text: str, url: str, error: BaseException) -> Exception:
    return BrokerUnavailable(f"cannot reach Redis at {mask(url)} ({text.lower() or type(error).__name__})")


def _no_primary(_: str, url: str, error: BaseException) -> Exception:
    return BrokerUnavailable(f"cannot find the primary by {mask(url)}: no sentinel that answers knows of one")


def _no_redis(text: str, url: str, error: BaseException) -> Exception:
    return BrokerUnavailable(f"cannot talk to Redis at {mask(url)}: what answers there is no Redis ({text})")


def _elsewhere(text: str, url: str, error: BaseException) -> Exception:
    return BrokerError(
        f"cannot use Redis at {mask(url)}: it is a node of a cluster, and this namespace is kept by another: "
        f"{text.rpartition(' ')[2]}\n"
        "  hint: give the URL of that node, or of a Redis without cluster mode (docs/connections.md)"
    )


def _full(_: str, url: str, error: BaseException) -> Exception:
    return QueueFull(
        "cannot enqueue: Redis has reached its maxmemory\n  hint: let workers drain the queues, or raise maxmemory"
    )


def _passing(text: str, url: str, error: BaseException) -> Exception:
    return BrokerUnavailable(f"cannot use Redis at {mask(url)} now ({text})")


def _denied(text: str, url: str, error: BaseException) -> Exception:
    return NotPermitted(
        f"Redis at {mask(url)} refused a command of user '{user_of(url)}': {text}\n"
        "  hint: the rights of workers, producers and readers are in docs/acl.md"
    )


def _unknown_user(text: str, url: str, error: BaseException) -> Exception:
    return BrokerError(
        f"Redis at {mask(url)} refused user '{user_of(url)}': {text}\n"
        "  hint: redis://user:password@host:port/db, with / : @ of the password as %2F %3A %40"
    )


def _refused(text: str, url: str, error: BaseException) -> Exception:
    return BrokerError(f"Redis at {mask(url)} refused a command: {text}")


def user_of(url: str) -> str:
    """The user whose rights count."""
    parts = urlsplit(url)
    user = unquote(parts.username or "") if parts.password else ""  # alone it may be a password that lost its colon
    return user or parse_qs(parts.query).get("username", ["default"])[0]


_KINDS: tuple[tuple[Callable[[BaseException, str], object], Callable[[str, str, BaseException], Exception]], ...] = (
    (lambda error, _: isinstance(error, MasterNotFoundError), _no_primary),
    (lambda error, _: isinstance(error, InvalidResponse), _no_redis),
    (_is_broken, _out_of_reach),
    (lambda error, text: isinstance(error, AskError) or text.startswith(("MOVED ", "ASK ")), _elsewhere),
    (lambda error, text: isinstance(error, OutOfMemoryError) or text.startswith("OOM"), _full),
    (lambda error, text: isinstance(error, _PASSING_ERRORS) or text.startswith(_PASSING), _passing),
    (lambda error, text: isinstance(error, NoPermissionError) or _DENIED.search(text), _denied),
    (lambda error, text: isinstance(error, redis.AuthenticationError) or _LOGIN.search(text), _unknown_user),
    (lambda *_: True, _refused),
)
"""The first that applies says what an error is."""
