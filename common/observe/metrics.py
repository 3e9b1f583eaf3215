"""Metrics that both services have. Counters are counted where a state changes; gauges are read when asked for."""

from common.observe.histogram import Histogram
from common.observe.metric import Counter, Gauge

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

READY = Gauge("mq_ready", "1 while /readyz says that the service is ready.")
CONNECTED = Gauge("mq_connected", "1 while the connection is open and its queues are accepted.", "connection")
BLOCKED = Gauge("mq_blocked", "1 while the broker blocks the connection (memory or disk alarm).", "connection")
RECONNECTS = Counter("mq_reconnects", "Open connections that were lost and are made anew.", "connection")


class PublisherMetrics:
    """What one publisher counts; `prefix` says whose."""

    def __init__(self, prefix: str) -> None:
        self.sent = 0  # as `published`, for the last log line
        self.published = Counter(
            f"{prefix}_published", "Messages sent to the broker; a message sent again counts again."
        )
        self.confirmed = Counter(
            f"{prefix}_confirmed", "Messages that the broker confirmed: it is responsible for them."
        )
        self.returned = Counter(f"{prefix}_returned", "Messages that the broker returned since no queue took them.")
        self.nacked = Counter(f"{prefix}_nacked", "Messages that the broker refused for now (full queue); sent again.")
        self.refused = Counter(f"{prefix}_refused", "Messages that cannot be published at all (too large, bad header).")
        self.unconfirmed = Gauge(f"{prefix}_unconfirmed", "Messages taken and not yet confirmed.")
        self.confirm_seconds = Histogram(
            f"{prefix}_confirm_seconds", "From publishing a message to its confirm.", buckets=LATENCY_BUCKETS
        )

    def count_published(self, messages: int) -> None:
        """So many were sent."""
        self.sent += messages
        self.published.inc(messages)

    def count_confirmed(self, waits: list[float]) -> None:
        """One message for each of `waits`, in seconds."""
        self.confirmed.inc(len(waits))
        self.confirm_seconds.observe(waits)
