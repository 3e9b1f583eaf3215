"""The consumer's metrics."""

from prometheus_client import Counter, Gauge

from common.histogram import Histogram
from common.metrics import LATENCY_BUCKETS

DELIVERED = Counter("consumer_delivered", "Messages that the broker delivered; a message delivered again counts again.")
SETTLED = Counter(
    "consumer_settled", "Deliveries that are settled: ack (handled), retry (comes again), reject (parked).", ["outcome"]
)
ACKED, RETRIED, PARKED = (SETTLED.labels(outcome) for outcome in ("ack", "retry", "reject"))
UNSETTLED = Gauge("consumer_unsettled", "Deliveries that wait or are being handled.")
HANDLER_SECONDS = Histogram("consumer_handler_seconds", "How long the handler took.", buckets=LATENCY_BUCKETS)
AGE_SECONDS = Histogram(
    "consumer_message_age_seconds",
    "From a message's first publish to its handling, by two clocks.",
    buckets=(*LATENCY_BUCKETS, 1800, 3600, 21600, 86400),
)
