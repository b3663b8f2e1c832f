"""From a URL to a broker: the one door for apps, workers and the command line."""

from __future__ import annotations

from taskq.broker import embedded
from taskq.broker.broker import Broker


def open_broker(url: str, namespace: str) -> Broker:
    """A broker at `url`; `embedded://` finds or starts its server. Nothing is connected yet. Raises ConfigError."""
    return Broker(embedded.resolve(url) if url.startswith("embedded:") else url, namespace)
