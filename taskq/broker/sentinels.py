"""`sentinel://` URLs: whom to ask where the primary is, and how it is reached then.

sentinel://[user:password@]host[:port][,host[:port]...]/service[/db][?sentinel_username=..&sentinel_password=..&...]

User, password and db are for the servers of the service. `sentinels://` speaks TLS to sentinels and servers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from taskq.config import mask
from taskq.errors import ConfigError

SCHEMES = ("sentinel", "sentinels")
_PORT = 26379
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:@]+)(?::(\d{1,5}))?")
_LOGIN = ("username", "password")
Query = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sentinels:
    """What such a URL says. `hosts`: (host, port) of each sentinel."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    tls: bool
    login: str
    db: str
    query: Query

    def server(self, host: str, port: int) -> str:
        """The URL of a server of the service."""
        rest = [(name, value) for name, value in self.query if not name.startswith("sentinel_")]
        return _url(self.tls, f"{self.login}@" if self.login else "", host, port, (self.db, rest))

    def sentinel(self, host: str, port: int) -> str:
        """The URL of one sentinel."""
        tls = [(name, value) for name, value in self.query if name.startswith("ssl_")]
        login = [(name.removeprefix("sentinel_"), v) for name, v in self.query if name.startswith("sentinel_")]
        return _url(self.tls, "", host, port, ("", tls + login))


def _url(tls: bool, login: str, host: str, port: int, rest: tuple[str, Query]) -> str:
    db, query = rest
    shown = f"[{host}]" if ":" in host else host
    return f"redis{'s' * tls}://{login}{shown}:{port}/{db}{'?' if query else ''}{urlencode(query, quote_via=quote)}"


def is_sentinel(url: str) -> bool:
    return url.partition("://")[0] in SCHEMES


def parse(url: str) -> Sentinels:
    """What `url` says. Raises ConfigError."""
    parts = urlsplit(url)
    login, _, netloc = parts.netloc.rpartition("@")
    service, _, db = parts.path.strip("/").partition("/")
    query = parse_qsl(parts.query, keep_blank_values=True)
    odd = [name for name, _ in query if name.startswith("sentinel_") and name.removeprefix("sentinel_") not in _LOGIN]
    hosts = [_HOST.fullmatch(host) for host in netloc.split(",")]
    if not service or (db and not db.isdigit()) or odd or not all(hosts):
        why = f"there is no option {odd[0]}" if odd else "it does not name sentinels and a service"
        hint = "sentinel://[user:password@]host:port,host:port/service[/db], with / : @ of the password as %2F %3A %40"
        raise ConfigError(f"cannot use the Redis URL {mask(url)!r}: {why}\n  hint: {hint}")
    found = tuple((unquote(match[1]).strip("[]"), int(match[2] or _PORT)) for match in hosts if match)
    return Sentinels(found, unquote(service), parts.scheme == "sentinels", login, db, query)
