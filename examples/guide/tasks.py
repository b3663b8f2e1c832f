"""The guide's three kinds of work, each a task in the lane that suits it.

    count_tokens   reads a file, then calculates in pure Python: a process for each core
    fetch          waits for an answer: a thread for each request
    count_primes   calculates in pure Python: a process for each core

Calling one of them, `count_primes(100)`, runs it here. `count_primes.enqueue(100)` sends it to a worker.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from tokenize import TokenError, tokenize

from examples.guide.primes import count
from examples.guide.web import read
from taskq import TaskQ

app = TaskQ()  # on the Redis of TASKQ_URL


@app.task(pool="cpu")
def count_tokens(path: str) -> tuple[int, int] | None:
    """Lines and tokens of a Python source file; None where it cannot be tokenized."""
    with Path(path).open("rb") as file:
        try:
            tokens = list(tokenize(file.readline))
        except (TokenError, SyntaxError, UnicodeDecodeError):
            return None
    return tokens[-1].start[0] - 1, len(tokens)


@app.task
def fetch(url: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 of what is at `url`."""
    body = read(url)
    return len(body), sha256(body).hexdigest()


@app.task(pool="cpu")
def count_primes(limit: int) -> int:
    """How many primes there are below `limit`."""
    return count(0, limit)
