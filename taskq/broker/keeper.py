"""Runs a private server until its last client has left: `python keeper.py DIR COMMAND...`.

    client ---- shared flock ----.
    client ---- shared flock ----+-- DIR/clients.lock -- exclusive flock, waited for -- keeper -- child --> server
                                     DIR/server.lock  -- exclusive flock, held by ---- keeper and server together

1. Takes `server.lock`, or ends with status 1: somebody else keeps a server here.
2. Leaves the process that started it: its first process ends with status 0, the second one is nobody's child.
3. Starts COMMAND as its child. The child inherits `server.lock`, so nobody can start a second server on the same data
   before the first has ended, also when the keeper was killed. The child dies with the keeper (Linux).
4. Waits, without polling, for whichever comes first:
   the server ends (a crash, a shutdown): the keeper ends, and the next client starts another one;
   it gets `clients.lock`, so nobody is left: it stops the server and ends. A client that comes meanwhile waits for the
   lock, which it gets when the server has ended.

This file is run by its path under `python -I -S`, imports the standard library only, and must stay so.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

CLIENTS = "clients.lock"
SERVER = "server.lock"
PATIENCE = 30.0  # seconds from SIGTERM to SIGKILL
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def keep(folder: Path, command: list[str]) -> NoReturn:
    """Run `command` until nobody holds `folder`/clients.lock. See the module."""
    os.umask(0o077)
    clients = _open(folder / CLIENTS)
    owned = _open(folder / SERVER)
    try:
        fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(1)
    if os.fork():
        os._exit(0)
    server = _start(command, owned)
    threading.Thread(target=_stop_when_alone, args=(clients, server), name="taskq-keeper", daemon=True).start()
    os.waitpid(server, 0)
    os._exit(0)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _start(command: list[str], inherited: int) -> int:
    """Start `command` with the open file `inherited`; returns its process id."""
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])  # a mask is inherited, and SIGTERM must reach the server
        fcntl.fcntl(inherited, fcntl.F_SETFD, 0)  # stays open across exec
        _die_with(keeper)
        os.execv(command[0], command)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error}\n")
    os._exit(1)


def _die_with(parent: int) -> None:
    """Have the kernel end this process with SIGTERM when `parent` dies. Where there is no such kernel: nothing."""
    if sys.platform == "linux":
        import ctypes  # not at the top: `embedded` imports this module for its names only

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)


def _stop_when_alone(clients: int, server: int) -> None:
    """Wait until nobody holds `clients`, then stop `server`. The main thread ends this process when it has ended."""
    fcntl.flock(clients, fcntl.LOCK_EX)
    os.kill(server, signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(server, signal.SIGKILL)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2:])
