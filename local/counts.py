"""How much has flowed: numbers only."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

# By the metric's name and its label `outcome`.
_SAMPLES = {
    ("producer_published_total", None): "published",
    ("producer_confirmed_total", None): "confirmed",
    ("producer_unconfirmed", None): "unconfirmed",
    ("consumer_settled_total", "ack"): "handled",
    ("consumer_settled_total", "retry"): "retried",
    ("consumer_settled_total", "parked"): "parked",
    ("consumer_unsettled", None): "unsettled",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages since a service or both started; `published` counts every sending, `confirmed` each message once."""

    published: int = 0
    confirmed: int = 0
    unconfirmed: int = 0
    handled: int = 0
    retried: int = 0
    parked: int = 0
    unsettled: int = 0

    def __add__(self, other: Self) -> Self:
        return replace(self, **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def seen(self, page: str) -> Self:
        """Return these counts brought up to date by the page of metrics of one service."""
        samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
        values = {(sample.name, sample.labels.get("outcome")): sample.value for sample in samples}
        return replace(self, **{name: int(values[key]) for key, name in _SAMPLES.items() if key in values})

    def stopped(self, event: Mapping[str, Any]) -> Self:
        """Return these counts with the final ones of a service's closing log line."""
        final = replace(self, **{f.name: int(event[f.name]) for f in fields(self) if f.name in event})
        # The last look at the metrics may be half a second old, and what is confirmed was published.
        return replace(final, published=max(final.published, final.confirmed))

    @property
    def settled(self) -> int:
        """Messages that have come to their end: handled or parked."""
        return self.handled + self.parked

    @property
    def left(self) -> int:
        """Confirmed messages that nobody has handled or parked yet; 0 when older messages of the queue make it less."""
        return max(0, self.confirmed - self.settled)
