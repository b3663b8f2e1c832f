"""Job ids: 16 bytes, shown as 26 characters of Crockford's base 32 (a ULID).

Ids made here begin with their time in milliseconds, so they sort by age. An id that the user chose ("invoice-7") is
hashed to 16 bytes.
"""

from __future__ import annotations

import hashlib
import os

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_LENGTH = 26


def new_id(now: float) -> bytes:
    """A fresh id: 6 bytes of time (`now` in seconds since the epoch), 10 of chance."""
    return int(now * 1000).to_bytes(6, "big") + os.urandom(10)


def new_ids(now: float, count: int) -> list[bytes]:
    """`count` fresh ids of one moment."""
    head, chance = int(now * 1000).to_bytes(6, "big"), os.urandom(10 * count)
    return [head + chance[at : at + 10] for at in range(0, 10 * count, 10)]


def named_id(name: str) -> bytes:
    """The id of the job that the user called `name`; a 26-character id as it is shown stands for itself."""
    shown = _parse(name)
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest() if shown is None else shown


def show(job_id: bytes) -> str:
    """`job_id` as people see it."""
    number = int.from_bytes(job_id, "big")
    return "".join([_DIGITS[(number >> shift) & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)])


def _parse(text: str) -> bytes | None:
    if len(text) != _LENGTH or text[0] > "7" or not all(digit in _VALUES for digit in text):
        return None
    number = 0
    for digit in text:
        number = number << 5 | _VALUES[digit]
    return number.to_bytes(16, "big")
