"""A web server on this machine that takes its time: `python -m examples.guide.web FOLDER SECONDS`.

It answers each request for a file of FOLDER after SECONDS, as a server far away would. It says its address on standard
output, and ends when its standard input does: so it never outlives the program that started it.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.request import ProxyHandler, build_opener

_direct = build_opener(ProxyHandler({}))  # a proxy has no way to this machine's own server


def read(url: str) -> bytes:
    """What is at `url`."""
    with _direct.open(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body


class Server(ThreadingHTTPServer):
    """A thread for each request."""

    request_queue_size = 1024  # connections that come at once; those beyond would have to knock again after a second


class Handler(SimpleHTTPRequestHandler):
    """Serves files, each after `latency` seconds."""

    def __init__(self, *args: Any, latency: float, **kwargs: Any):
        self._latency = latency
        super().__init__(*args, **kwargs)

    def send_head(self) -> Any:
        time.sleep(self._latency)
        return super().send_head()

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


def main(folder: str, latency: str) -> None:
    """Serve until standard input ends."""
    server = Server(("127.0.0.1", 0), partial(Handler, directory=folder, latency=float(latency)))
    Thread(target=server.serve_forever, name="web", daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
