"""The queues that a worker serves, as they are written: "mail,default" in that order, "mail=6,default=1" by weight."""

from __future__ import annotations

from collections.abc import Sequence

from taskq.errors import ConfigError, shown

MOST = 1000
"""The largest weight."""


def name_of(word: str) -> str:
    """The queue of "mail=6"."""
    return word.partition("=")[0]


def weights_of(words: Sequence[str]) -> dict[str, int]:
    """The weights by queue; {} where they are served in order. Raises ConfigError for weights that cannot be."""
    weighted = [word for word in words if "=" in word]
    if not weighted:
        return {}
    for word in words:
        if word not in weighted:
            raise ConfigError(
                f"cannot serve queue '{word}' without a weight beside '{weighted[0]}'\n"
                f"  hint: a weight for each ({','.join(f'{name_of(w)}=1' for w in words)}), or for none"
            )
    weights = {name_of(word): _weight(word) for word in words}
    if len(weights) < len(words):
        twice = next(name for name in weights if sum(name == name_of(word) for word in words) > 1)
        raise ConfigError(f"cannot serve queue '{twice}' with two weights\n  hint: name it once")
    return weights


def _weight(word: str) -> int:
    name, _, text = word.partition("=")
    weight = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 0 < weight <= MOST:
        raise ConfigError(f"weight of queue '{name}' is {shown(text)}\n  hint: a whole number from 1 to {MOST}")
    return weight
