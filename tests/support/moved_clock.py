"""A wall clock that the test moves, for a server or a worker: a library that is compiled here and preloaded into it.

clock = MovedClock(folder)
with fragile(clock.wrap(binary)) as server, worker(url, **MovedClock(other, ahead=3600).environ):
    clock.jump(3600)
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from shlex import quote

import pytest

SOURCE = Path(__file__).with_suffix(".c")


class MovedClock:
    """`ahead`: by how many seconds. Its files are in `folder`. Skips where there is no C compiler."""

    def __init__(self, folder: Path, ahead: int = 0):
        compiler = shutil.which("cc") or pytest.skip("needs a C compiler (cc), to move a clock")
        folder.mkdir(exist_ok=True)
        library, self._folder, self._offset = folder / "clock.so", folder, folder / "ahead"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE], check=True)
        self.environ = {"LD_PRELOAD": str(library), "TASKQ_TEST_CLOCK": str(self._offset)}
        self._ahead = 0
        self.jump(ahead)

    def jump(self, seconds: int) -> None:
        """Set the clock forward, or back, at once."""
        self._ahead += seconds
        with self._offset.open("r+b" if self._offset.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("=q", self._ahead))

    def wrap(self, binary: str) -> str:
        """A program that runs `binary` with this clock."""
        environment = " ".join(f"{name}={quote(value)}" for name, value in self.environ.items())
        wrapper = self._folder / Path(binary).name
        wrapper.write_text(f'#!/bin/sh\n{environment} exec {quote(binary)} "$@"\n')
        wrapper.chmod(0o700)
        return str(wrapper)
