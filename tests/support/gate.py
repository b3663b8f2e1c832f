"""A door to a Redis server that the test shuts and opens: while it is shut a client meets what it can meet of a server.

gate = Gate(server.url)                Broker(gate.url) talks to the server through it
with gate.shut(say(b"-LOADING ...")):  connections are reset, new ones get this error for every command
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

_RESET = struct.pack("ii", 1, 0)


class Passage:
    """A connection of a client, and what becomes of what it sends. `deaf`: nothing gets through, and nobody is told."""

    def __init__(self, client: socket.socket):
        self.client = client
        self.deaf = False
        self._server: socket.socket | None = None

    def connect(self, path: str) -> None:
        """Pass everything to and from the server at `path`, until either side hangs up."""
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(path)
        for ends in ((self.client, self._server), (self._server, self.client)):
            threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if not self.deaf:
                    target.sendall(data)
        if not self.deaf:
            self.end()

    def answer(self, answer: bytes) -> None:
        """Give `answer` to every command."""
        threading.Thread(target=self._answer, args=(answer,), daemon=True).start()

    def _answer(self, answer: bytes) -> None:
        with suppress(OSError), self.client.makefile("rb") as commands:
            while _skip_command(commands):
                self.client.sendall(answer)

    def end(self) -> None:
        """Hang up on both sides: with an RST, where there are such."""
        for end in (self.client, self._server):
            if end is not None:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


def _skip_command(file: BinaryIO) -> bool:
    head = file.readline()
    for _ in range(int(head[1:] or 0)):
        file.read(int(file.readline()[1:]) + 2)
    return bool(head)


Treatment = Callable[[Passage], object]
"""What is done with a new connection."""
reset: Treatment = Passage.end


def silence(passage: Passage) -> None:
    """Never answer."""


def say(answer: bytes) -> Treatment:
    return lambda passage: passage.answer(answer)


class Gate:
    """A port of this machine, in front of the server at a `unix://` URL. It is open at first."""

    def __init__(self, url: str):
        self._path = unquote(urlsplit(url).path)
        self._treatment: Treatment = self._admit
        self._passages: list[Passage] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._serve()

    @contextmanager
    def shut(self, treatment: Treatment) -> Iterator[None]:
        """Every connection is reset, and new ones get this `treatment`. They are reset at the end."""
        self._treatment = treatment
        self._drop()
        try:
            yield
        finally:
            self._treatment = self._admit
            self._drop()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Every connection is reset, and nobody listens."""
        self._stop()
        self._drop()
        try:
            yield
        finally:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            self._serve()

    def deafen(self) -> None:
        """Every connection there is gets no more answer, and is not told so either; new ones do."""
        for passage in self._passages:
            passage.deaf = True

    def close(self) -> None:
        self._stop()
        self._drop()

    def _admit(self, passage: Passage) -> None:
        passage.connect(self._path)

    def _serve(self) -> None:
        self._thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                passage = Passage(listener.accept()[0])
                self._passages.append(passage)
                self._treatment(passage)

    def _stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _drop(self) -> None:
        passages, self._passages = self._passages, []
        for passage in passages:
            passage.end()
