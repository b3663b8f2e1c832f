"""Starting children: what is left where that fails, and what a child does not inherit."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskq_workers.board import Board
from taskq_workers.channel import Channel
from taskq_workers.crew import Berth, Crew
from taskq_workers.waiting import readable


def until_told(berth: Berth, board: Board, channel: Channel) -> int:
    """A life: says that it is there, and ends with its supervisor."""
    channel.send({"ready": {}})
    while channel.receive() == []:
        readable([channel], 60.0)
    return 0


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew("w", lambda solo: 1, until_told)
    yield crew
    for child in crew.children:
        child.process.kill()
        child.bury()


def test_a_connection_of_the_supervisor_ends_when_it_closes_it_though_children_live(crew: Crew) -> None:
    ours, redis = socket.socketpair()
    crew.private = lambda: [ours.fileno()]
    child = crew.start(0)
    assert readable([child.channel], 30.0)
    assert child.hear() == [{"ready": {}}]
    ours.close()
    redis.settimeout(5.0)
    assert redis.recv(1) == b""
    assert not readable([child.process], 0.0), "it lives on"
    redis.close()


def refuse(*_: object) -> object:
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.mark.parametrize(
    ("where", "what"), [("os", "fork"), ("os", "pipe"), ("socket", "socketpair"), ("mmap", "mmap")]
)
def test_a_start_that_fails_leaves_no_file_open(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, where: str, what: str
) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    files = Path("/proc/self/fd")
    before = len(list(files.iterdir()))
    with monkeypatch.context() as broken:
        broken.setattr(f"{where}.{what}", refuse)
        with pytest.raises(BlockingIOError) as error:
            crew.start(0)
    assert len(list(files.iterdir())) == before, f"{error.value}: no garbage is collected while its frames are held"
    assert crew.children == []
