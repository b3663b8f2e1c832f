"""Tasks with `concurrency=`: which of their jobs may begin. Where no task has a limit, nothing is looked at.

claimed -> of a limited task? -> admit -> the lane
                                    `---> delayed, in line behind the others of that task
ended   -> advance -> the next of that task goes to the head of its line
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from taskq.broker import calls
from taskq.broker.call import Call
from taskq.broker.keys import member_id
from taskq.broker.records import Claimed
from taskq.declaration import Declaration
from taskq.executor.chunks import SUFFIX


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs of each task may run at a time, by its name; and how to tell what a body is a job of."""

    most: Mapping[str, int] = field(default_factory=dict)
    declaration_of: Callable[[bytes], Declaration | None] = lambda _: None

    def task_of(self, body: bytes) -> str | None:
        """The name of the limited task that a body is a job of (or a chunk of jobs); None for others."""
        if not any(name.encode() in body for name in self.most):
            return None
        declaration = self.declaration_of(body)
        name = declaration.name.removesuffix(SUFFIX) if declaration else ""
        return name if name in self.most else None


class HasMember(Protocol):
    @property
    def member(self) -> bytes: ...


class Admission:
    """The jobs of limited tasks that this process runs."""

    def __init__(self, epoch: str, limits: Limits):
        self._epoch, self._limits = epoch, limits
        self._inside: dict[bytes, str] = {}

    def sort(self, claimed: Sequence[Claimed]) -> dict[str, Sequence[Claimed]]:
        """`claimed` by the limited task that they are of; "" for those that may begin at once."""
        if not self._limits.most:
            return {"": claimed}
        sorted_: dict[str, list[Claimed]] = {"": []}
        for job in claimed:
            sorted_.setdefault(self._limits.task_of(job.body) or "", []).append(job)
        return dict(sorted_)

    def ask(self, task: str, jobs: Iterable[Claimed]) -> Call[tuple[bytes, ...]]:
        return calls.admit(self._epoch, task, self._limits.most[task], [job.member for job in jobs])

    def admit(self, task: str, jobs: Iterable[Claimed], members: Iterable[bytes]) -> list[Claimed]:
        """Those of `jobs` that are `members`, who may run."""
        inside = dict.fromkeys(members, task)
        self._inside |= inside
        return [job for job in jobs if job.member in inside]

    def ended(self, batch: Iterable[HasMember]) -> list[Call[int]]:
        """What is to be sent before the outcomes of `batch`: then the next are in line when these have gone."""
        ids: dict[str, list[bytes]] = {}
        for each in batch if self._inside else ():
            if each.member in self._inside:
                ids.setdefault(self._inside[each.member], []).append(member_id(each.member))
        return [calls.advance(self._epoch, task, self._limits.most[task], ended) for task, ended in ids.items()]

    def forget(self, batch: Iterable[HasMember]) -> None:
        for each in batch if self._inside else ():
            self._inside.pop(each.member, None)
