"""The Lua scripts: one atomic transition a file, put together and named here.

A script file opens with a header (what it does, ARGV, returns, `-- uses:` keys, `-- include:` parts). `load` puts in
front of it one local for each key it uses, made from the data model, and the parts it includes from `lib/`. Every
script gets exactly one KEYS: the namespace's prefix, which carries the hash tag that all its keys share.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from taskq.broker.keys import MODEL

_TIME_AS_ARGUMENT = "local at = tonumber(table.remove(ARGV))\nlocal function now() return at end\n"


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it is sent. `timed` where it asks for the time, `uses`: the rows of the model that it touches."""

    name: str
    source: str
    sha: str
    timed: bool
    uses: tuple[str, ...]


@cache
def load(name: str, *, time_as_argument: bool = False) -> Script:
    """The script `name`. With `time_as_argument` a last ARGV is the time (ms) instead of the server's: for tests."""
    body = _read(f"{name}.lua")
    included, uses = _header(body, "include"), _header(body, "uses")
    parts = [f"local {key.upper()} = KEYS[1] .. '{MODEL[key].suffix}'\n" for key in uses]
    parts += [
        _TIME_AS_ARGUMENT if part == "now" and time_as_argument else _read(f"lib/{part}.lua") for part in included
    ]
    source = "".join([*parts, body])
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, "now" in included, tuple(uses))


def preload() -> None:
    """Read all files now: `load` then needs none, whatever else happens to this process."""
    for folder in ("", "lib/"):
        for file in files(__name__).joinpath(folder).iterdir():
            if file.name.endswith(".lua"):
                _read(folder + file.name)


@cache
def _read(path: str) -> str:
    return files(__name__).joinpath(path).read_text(encoding="utf-8")


def _header(body: str, field: str) -> list[str]:
    found = re.search(rf"^-- {field}: (.+)$", body, re.MULTILINE)
    return found[1].split() if found else []
