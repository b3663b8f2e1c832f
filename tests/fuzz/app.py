"""The app of the workers that are given bodies which nobody meant to write."""

from __future__ import annotations

from typing import Any

from taskq import TaskQ
from tests.fuzz.bodies import TASK, Colour, Perm, Point

app = TaskQ()
for kind in (Point, Colour, Perm):
    app.register_type(kind, name=kind.__name__)


@app.task(name=TASK, retries=0)
def echo(*args: Any, **kwargs: Any) -> int:
    """Takes whatever there is."""
    return len(args) + len(kwargs)
