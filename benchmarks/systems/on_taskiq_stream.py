"""taskiq on Redis streams."""

from __future__ import annotations

import work
from taskiq_redis import RedisStreamBroker
from taskiq_tasks import Producer

_producer = Producer(RedisStreamBroker(work.REDIS))
broker = _producer.broker
asend, aresult, aresults = _producer.asend, _producer.aresult, _producer.aresults
