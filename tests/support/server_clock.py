"""A server whose wall clock the test moves, by a library that is compiled here and preloaded into it.

clock = ServerClock(folder, binary)
with fragile(clock.binary) as server:
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


class ServerClock:
    """The wall clock of the server that `binary` runs. Skips where there is no C compiler."""

    def __init__(self, folder: Path, binary: str):
        compiler = shutil.which("cc") or pytest.skip("needs a C compiler (cc), to move a server's clock")
        library, self._offset, wrapper = folder / "clock.so", folder / "ahead", folder / "redis-server"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE], check=True)
        self.ahead = 0
        self.jump(0)
        environment = f"LD_PRELOAD={quote(str(library))} TASKQ_TEST_CLOCK={quote(str(self._offset))}"
        wrapper.write_text(f'#!/bin/sh\n{environment} exec {quote(binary)} "$@"\n')
        wrapper.chmod(0o700)
        self.binary = str(wrapper)

    def jump(self, seconds: int) -> None:
        """Set the server's clock forward, or back, at once."""
        self.ahead += seconds
        with self._offset.open("r+b" if self._offset.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("=q", self.ahead))
