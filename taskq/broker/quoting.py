"""What Redis quotes of a command that it refuses: of AUTH, that is a password."""

from __future__ import annotations

import re

_WORDS = re.compile(r"[,;]?\s*(?:and\s+)?with args beginning with\b.*", re.DOTALL | re.IGNORECASE)


def without_words(text: str) -> str:
    """An error of Redis without the words of the command, which servers quote where they do not know it."""
    return _WORDS.sub("", text)
