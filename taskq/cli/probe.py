"""A conversation with Redis of a few words, without a client library: for probes that must start fast.

PING, TIME, ZCOUNT  ->  how many worker processes have a lease that has not run out
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any, BinaryIO, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from taskq.broker import keys, sentinels
from taskq.broker.quoting import without_words
from taskq.config import mask
from taskq.errors import BrokerError, BrokerUnavailable, ConfigError

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds until Redis counts as out of reach."""
_FALSE = ("", "0", "f", "false", "n", "no")


def live_workers(url: str, namespace: str, patience: float = PATIENCE) -> int:
    """How many worker processes of `namespace` have a live lease, by the clock of Redis.

    Raises BrokerUnavailable when there is no answer within `patience` seconds, BrokerError when Redis refuses.
    """
    key = keys.prefix(namespace) + keys.MODEL["workers"].suffix.encode()
    shown = mask(url)

    def ask() -> int:
        try:
            server = _server(url, patience)
            with closing(_connected(server, patience)) as line, line.makefile("rwb") as file:
                *_, (seconds, micros) = _exchange(file, [*_greeting(server), ("PING",), ("TIME",)], shown)
                now = int(seconds) * 1000 + int(micros) // 1000
                return int(_exchange(file, [("ZCOUNT", key, f"({now}", "+inf")], shown)[0])
        except OSError as error:
            if isinstance(error, BrokerUnavailable):
                raise
            why = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise BrokerUnavailable(f"cannot reach Redis at {shown} ({why.lower()})") from None

    return _within(patience, ask, f"cannot reach Redis at {shown} (no answer within {patience:g} s)")


def _within(patience: float, ask: Callable[[], T], late: str) -> T:
    """What `ask` returns or raises, if in time. In a thread, as looking up a host's name knows no time-out."""
    answers: list[T | BaseException] = []

    def answer() -> None:
        try:
            answers.append(ask())
        except BaseException as error:
            answers.append(error)

    thread = threading.Thread(target=answer, name="taskq-probe", daemon=True)
    thread.start()
    thread.join(patience)
    if not answers:
        raise BrokerUnavailable(late)
    if isinstance(answers[0], BaseException):
        raise answers[0]
    return answers[0]


# Where it is


def _server(url: str, patience: float) -> str:
    """The URL of the server that `url` means: with sentinels, that of the primary they name."""
    if not sentinels.is_sentinel(url):
        return url
    whom = sentinels.parse(url)
    for host in whom.hosts:
        with suppress(OSError, BrokerError):
            asked = whom.sentinel(*host)
            with closing(_connected(asked, patience / len(whom.hosts))) as line, line.makefile("rwb") as file:
                question = ("SENTINEL", "get-master-addr-by-name", whom.service)
                *_, found = _exchange(file, [*_greeting(asked), question], mask(asked))
                if found:
                    return whom.server(found[0].decode(), int(found[1]))
    raise BrokerUnavailable(f"cannot find the primary by {mask(url)}: no sentinel that answers knows of one")


def _connected(url: str, patience: float) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme in ("unix", "embedded"):
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(patience)
        try:
            line.connect(_path(url, parts))
        except BaseException:
            line.close()
            raise
        return line
    if parts.scheme not in ("redis", "rediss"):
        raise ConfigError(
            f"cannot use the Redis URL {mask(url)!r}\n  hint: redis://, rediss://, unix://, sentinel:// or embedded://"
        )
    host = unquote(parts.hostname or "localhost")
    line = socket.create_connection((host, _port(url, parts)), timeout=patience)
    return _encrypted(line, host, _query(parts)) if parts.scheme == "rediss" else line


def _path(url: str, parts: SplitResult) -> str:
    if parts.scheme == "unix":
        return unquote(parts.path)
    from taskq.broker.embedded import socket_of

    return str(socket_of(url))


def _port(url: str, parts: SplitResult) -> int:
    try:
        return parts.port or 6379
    except ValueError:
        raise ConfigError(
            f"cannot use the Redis URL {mask(url)!r}: its port is not a number\n"
            "  hint: redis://[user:password@]host:port/db, with / : @ of the password as %2F %3A %40"
        ) from None


def _encrypted(line: socket.socket, host: str, query: dict[str, str]) -> socket.socket:
    import ssl

    context = ssl.create_default_context(cafile=query.get("ssl_ca_certs"), capath=query.get("ssl_ca_path"))
    wanted = query.get("ssl_cert_reqs", "required")
    context.check_hostname = wanted != "none" and query.get("ssl_check_hostname", "true").lower() not in _FALSE
    context.verify_mode = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL}.get(wanted, ssl.CERT_REQUIRED)
    if "ssl_certfile" in query:
        context.load_cert_chain(query["ssl_certfile"], query.get("ssl_keyfile"), query.get("ssl_password"))
    return context.wrap_socket(line, server_hostname=host)


def _query(parts: SplitResult) -> dict[str, str]:
    return dict(parse_qsl(parts.query))


def _greeting(url: str) -> list[Sequence[bytes | str]]:
    """AUTH and SELECT, where the URL asks for them."""
    parts = urlsplit(url)
    query, path = _query(parts), parts.path.strip("/") if parts.scheme in ("redis", "rediss") else ""
    user = query.get("username") or unquote(parts.username or "")
    password = query.get("password") or unquote(parts.password or "")
    db = query.get("db") or unquote(path) or "0"
    words: list[Sequence[bytes | str]] = []
    if password:
        words.append(("AUTH", user, password) if user else ("AUTH", password))
    return words if db == "0" else [*words, ("SELECT", db)]


# What is said


def _exchange(file: Any, commands: Sequence[Sequence[bytes | str]], url: str) -> list[Any]:
    """Send `commands` in one write; their replies. An error in reply is raised."""
    for command in commands:
        words = [word if isinstance(word, bytes) else word.encode() for word in command]
        file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
    file.flush()
    return [_reply(file, url) for _ in commands]


def _reply(file: BinaryIO, url: str) -> Any:
    line = file.readline()
    kind, rest = line[:1], line[1:].rstrip(b"\r\n")
    if kind == b"-":
        raise _refusal(rest.decode(errors="replace"), url)
    if kind == b"+":
        return rest
    if kind not in (b":", b"$", b"*") or not rest.lstrip(b"-").isdigit():
        raise BrokerUnavailable(
            f"cannot reach Redis at {url} ({'it hung up' if not line else 'what answers is no Redis'})"
        )
    number = int(rest)
    if kind == b"$":
        return file.read(number + 2)[:-2] if number >= 0 else None
    return number if kind == b":" else [_reply(file, url) for _ in range(number)]


def _refusal(text: str, url: str) -> BrokerError:
    if text.startswith(("LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY ")):
        return BrokerUnavailable(f"cannot use Redis at {url} now ({text})")
    return BrokerError(f"Redis at {url} refused a command: {without_words(text)}")
