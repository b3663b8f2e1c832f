"""Two versions of an app on one namespace: the older one does not know the type of the jobs that the newer sends."""

from __future__ import annotations

import os
from dataclasses import dataclass

from taskq import TaskQ

older, newer = TaskQ(), TaskQ()


@newer.register_type
@dataclass(frozen=True)
class Point:
    x: int


def step(point: Point) -> tuple[Point, int]:
    return Point(point.x + 1), os.getppid()


move = newer.task(name="move")(step)
older.task(name="move")(step)
