"""Outcome records of jobs that no worker could write one for: the same for all such jobs, so without times."""

from __future__ import annotations

from taskq.broker.calls import LOSS_LIMIT
from taskq.codec import ErrorInfo, Record, encode_record
from taskq.lifecycle import PATIENCE


def _obituary(kind: str, text: str) -> bytes:
    error = ErrorInfo(type=f"taskq.errors.{kind}", text=text, args=(text,))
    return encode_record(
        Record(state="dead", error=error, task="", enqueued_at=0.0, started_at=0.0, seconds=0.0, attempt=0, worker="")
    )


LOST = _obituary("WorkerLost", f"its process died {LOSS_LIMIT} times while it ran")
UNKNOWN = _obituary("UnknownTask", f"no worker knew its task, or could read the job, for {PATIENCE / 60:g} minutes")
