"""A virtual environment for each system under .bench/, with compiled bytecode, as an installed program has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.catalogue import System

ROOT = Path(__file__).parents[1]
BENCH = ROOT / ".bench"


def install(system: System) -> None:
    """Make the environment, or bring it up to date: this project's is made anew, a peer's once."""
    home = _home(system)
    stamp, wanted = home / ".installed", "\n".join(system.packages)
    if stamp.exists() and stamp.read_text() == wanted and not system.packages[0].startswith("."):
        return
    if not (home / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    again = ["--force-reinstall", "--no-deps"] if stamp.exists() and stamp.read_text() == wanted else []
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--compile"]
    subprocess.run([*pip, *again, *system.packages], check=True, cwd=ROOT, env=environment(system))
    subprocess.run([str(home / "bin" / "python"), "-m", "compileall", "-q", str(home / "lib")], check=False)
    stamp.write_text(wanted)


def versions(system: System) -> dict[str, str]:
    """What is installed there, by name."""
    pip = [
        str(_home(system) / "bin" / "python"),
        "-m",
        "pip",
        "list",
        "--format",
        "json",
        "--disable-pip-version-check",
    ]
    out = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    return {row["name"].lower(): row["version"] for row in json.loads(out)}


def binary(system: System, name: str) -> str:
    """The path of a program in the environment of `system`."""
    return str(_home(system) / "bin" / name)


def environment(system: System) -> dict[str, str]:
    """The variables that its programs run with."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKQ_", "PYTHON", "REDIS_"))}
    return {
        **kept,
        "PATH": f"{_home(system) / 'bin'}{os.pathsep}{kept.get('PATH', '')}",
        "VIRTUAL_ENV": str(_home(system)),
    }


def _home(system: System) -> Path:
    return BENCH / system.name
