"""How much has flowed: numbers only."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Self

_SAMPLES = {
    "published": "producer_published_total",
    "confirmed": "producer_confirmed_total",
    "unconfirmed": "producer_unconfirmed",
    "handled": 'consumer_settled_total{outcome="ack"}',
    "retried": 'consumer_settled_total{outcome="retry"}',
    "parked": 'consumer_settled_total{outcome="parked"}',
    "unsettled": "consumer_unsettled",
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

    def ended(self) -> Self:
        """Return these counts as they stay when the service is gone: nothing is in flight in it."""
        return replace(self, unconfirmed=0, unsettled=0)

    def seen(self, samples: Mapping[str, float]) -> Self:
        """Return these counts brought up to date by the samples of one service."""
        return replace(self, **{name: int(samples[key]) for name, key in _SAMPLES.items() if key in samples})

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


def closing_event(lines: Iterable[str]) -> dict[str, Any]:
    """Return the last JSON log line whose event is `stopped`, or {}."""
    return (_events(lines, "stopped") or [{}])[-1]


def connected_seconds(lines: Iterable[str]) -> float:
    """Return the seconds from the first `connected` to the last `stopped` of a service's JSON log; 0 without both."""
    logged = list(lines)
    first, last = _events(logged, "connected")[:1], _events(logged, "stopped")[-1:]
    times = [datetime.fromisoformat(event["timestamp"]) for event in first + last]
    return (times[1] - times[0]).total_seconds() if len(times) > 1 else 0.0


def _events(lines: Iterable[str], name: str) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        if f'"{name}"' in line:
            try:
                record = json.loads(line[line.index("{") :])
            except ValueError:
                continue
            if record.get("event") == name:
                found.append(record)
    return found
