"""The command line: thin, lazy, one file for each command or group. `taskq --help` imports neither redis nor an app."""

from taskq.cli.root import main

__all__ = ["main"]
