"""Words between a child and its supervisor."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from taskq_workers.channel import Channel
from taskq_workers.waiting import readable

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
"""Python 3.12 and newer warn of a fork in a process with threads."""


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = Channel.pair()
    yield one, other
    one.close()
    other.close()


def test_what_one_end_sends_the_other_receives(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    assert one.send({"ready": {"url": "redis://h", "tasks": [{"name": "käse", "timeout": None}]}})
    assert other.receive() == [{"ready": {"url": "redis://h", "tasks": [{"name": "käse", "timeout": None}]}}]
    assert other.send({"stop": True})
    assert one.receive() == [{"stop": True}]


def test_receiving_never_waits(ends: tuple[Channel, Channel]) -> None:
    assert ends[0].receive() == []


def test_messages_arrive_in_order_and_one_by_one(ends: tuple[Channel, Channel]) -> None:
    for number in range(3):
        ends[0].send({"number": number, "text": "two\nlines"})
    assert [message["number"] for message in ends[1].receive() or []] == [0, 1, 2]
    assert ends[1].receive() == []


def test_half_a_message_waits_for_its_other_half() -> None:
    raw, end = socket.socketpair()
    channel = Channel(end)
    raw.sendall(b'{"number": 1}\n{"num')
    assert channel.receive() == [{"number": 1}]
    assert channel.receive() == []
    raw.sendall(b'ber": 2}\n')
    assert channel.receive() == [{"number": 2}]
    raw.close()
    channel.close()


def test_a_long_message_arrives_whole(ends: tuple[Channel, Channel]) -> None:
    text = "x" * 100_000
    ends[0].send({"error": text})
    got = ends[1].receive()
    while got == []:
        got = ends[1].receive()
    assert got == [{"error": text}]


def test_all_is_read_before_the_end_is_seen(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    one.send({"error": "no such module"})
    other.send({"stop": True})
    one.close()
    assert other.receive() == [{"error": "no such module"}]
    assert other.receive() is None
    assert other.receive() is None


def test_sending_to_nobody_says_so(ends: tuple[Channel, Channel]) -> None:
    ends[0].close()
    assert ends[1].send({"stop": True}) is False


def test_a_channel_can_be_waited_for(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    assert readable([one, other], 0) == []
    one.send({})
    assert readable([one, other], 10) == [other]
    other.receive()
    other.close()
    assert readable([one], 10) == [one]


def test_the_end_of_a_child_is_seen_by_its_supervisor(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    child = os.fork()
    if child == 0:
        ours.close()
        theirs.send({"error": "gone"})
        os._exit(0)
    theirs.close()
    os.waitpid(child, 0)
    assert ours.receive() == [{"error": "gone"}]
    assert ours.receive() is None


def test_files_with_large_numbers_can_be_waited_for(ends: tuple[Channel, Channel]) -> None:
    high = os.dup2(ends[0].fileno(), 1500)
    channel = Channel(socket.socket(fileno=high))
    ends[1].send({})
    assert readable([channel], 10) == [channel]
    channel.close()
