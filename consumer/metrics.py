"""The consumer's metrics."""

from prometheus_client import Counter, Gauge

from common.observe.metrics import LATENCY_BUCKETS, Histogram

DELIVERED = Counter("consumer_delivered", "Messages that the broker delivered; a message delivered again counts again.")
SETTLED = Counter(
    "consumer_settled",
    "Deliveries that are settled: ack (handled), retry (comes again), postponed, parked.",
    ["outcome"],
)
ACKED, RETRIED, POSTPONED, PARKED = (SETTLED.labels(each) for each in ("ack", "retry", "postponed", "parked"))
BY_COPIES = {"retried": RETRIED, "postponed": POSTPONED, "parked": PARKED}
BREAKER_OPEN = Gauge("consumer_breaker_open", "1 while messages are tried one at a time, since all of them fail.")
CUT = Counter(
    "consumer_handlers_cut",
    "Running handlers whose message the broker took back: over its consumer timeout, or with the connection.",
    ["by"],
)
CUT_BY = {by: CUT.labels(by) for by in ("timeout", "connection")}
UNSETTLED = Gauge("consumer_unsettled", "Deliveries that wait or are being handled.")
WORKERS = Gauge("consumer_workers", "CONSUMER_WORKERS: how many handlers may run at once.")
OLDEST_SECONDS = Gauge(
    "consumer_oldest_message_seconds",
    "Age of the delivery that is next for a handler, from its timestamp; 0 if none.",
)
RUNNING_SECONDS = Gauge("consumer_handler_running_seconds", "How long the longest running handler has run; 0 if none.")
TIMEOUT_SECONDS = Gauge("consumer_handler_timeout_seconds", "CONSUMER_HANDLER_TIMEOUT: /livez fails beyond it.")
HANDLER_SECONDS = Histogram("consumer_handler_seconds", "How long the handler took.", buckets=LATENCY_BUCKETS)
AGE_SECONDS = Histogram(
    "consumer_message_age_seconds",
    "From a message's timestamp to its handling, by two clocks.",
    buckets=(*LATENCY_BUCKETS, 600, 1800, 3600, 21600, 86400),
)
