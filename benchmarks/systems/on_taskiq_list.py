"""taskiq on Redis lists."""

from __future__ import annotations

import work
from taskiq_redis import ListQueueBroker
from taskiq_tasks import Producer

_producer = Producer(ListQueueBroker(work.REDIS))
broker = _producer.broker
asend, aresult, aresults = _producer.asend, _producer.aresult, _producer.aresults
