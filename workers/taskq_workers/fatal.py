"""What goes wrong outside of a job's own code ends the process: half of one would hold its jobs for ever."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

from taskq import exit_codes


def or_die(work: Callable[..., object], *args: Any) -> None:
    """Do `work`, in whatever thread this is. An exception ends the process.

    A thread that died of it would cost a slot, or the time limits, and nobody would notice. So the process dies: its
    supervisor gives back what it held, and starts another.
    """
    try:
        work(*args)
    except BaseException:
        try:
            traceback.print_exc()
        finally:  # also where a job has broken stderr, or `print`
            os._exit(exit_codes.FAILED)
