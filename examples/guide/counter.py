"""The guide's counter: ten jobs in several processes each add 100,000 to one file, and it comes out at 1,000,000.

    TASKQ_URL=embedded:// taskq worker -A examples.guide.counter:app --procs 4
    TASKQ_URL=embedded:// python -m examples.guide.counter

Read, add, write: without the lock two jobs read the same number, and the additions of one of them are gone. To take and
release the lock costs two round trips to Redis; so a job adds a thousand at a time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from taskq import TaskQ

JOBS, TIMES, AT_ONCE = 10, 100_000, 1_000

app = TaskQ()


@app.task
def add(file: str, times: int) -> int:
    """Add one to the number in `file`, so many times. The answer is the fence of the last hold on the lock."""
    fence = 0
    for _ in range(0, times, AT_ONCE):
        with app.lock("counter") as held:
            number = int(Path(file).read_text(encoding="ascii"))
            for _ in range(AT_ONCE):
                number += 1
            Path(file).write_text(str(number), encoding="ascii")
            fence = held.fence
    return fence


def count(folder: str) -> int:
    """What stands in the file when all jobs have ended."""
    file = Path(folder, "counter")
    file.write_text("0", encoding="ascii")
    jobs = add.enqueue_many([(str(file), TIMES)] * JOBS)
    fences = app.gather(jobs, timeout="5m")
    assert len(set(fences)) == JOBS  # no two holds had the same
    return int(file.read_text(encoding="ascii"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(f"{count(home):,}")
    app.close()
