"""Results: what was sent, confirmed and handled; counts, percentiles and a histogram, as text and as JSON. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import inf, isfinite
from typing import Any, NamedTuple

# Seconds: five to a decade, from 10 microseconds to ten minutes.
BOUNDS = tuple(round(digit * 10.0**power, 7) for power in range(-5, 3) for digit in (1, 1.6, 2.5, 4, 6.3))
EIGHTHS = " ▏▎▍▌▋▊▉"
BAR = 40  # characters


class Results:
    """Messages are numbered from 0. Times are of `time.monotonic()`."""

    def __init__(self) -> None:
        self.sent_at: list[float] = []
        self.confirmed: set[int] = set()
        self.handled: Counter[int] = Counter()  # how often each number came
        self.latencies: list[float] = []  # seconds from the publisher to the first time in the handler
        self.last_at = 0.0  # when a message last came

    def send(self, now: float) -> int:
        """The number of the next message, which is given to the publisher."""
        self.sent_at.append(now)
        return len(self.sent_at) - 1

    def handle(self, number: int, now: float) -> None:
        """A message came to the handler, whole."""
        self.last_at = now
        if number not in self.handled:
            self.latencies.append(now - self.sent_at[number])
        self.handled[number] += 1

    def age(self, now: float) -> float:
        """Seconds since the first message was given to the publisher."""
        return now - self.sent_at[0] if self.sent_at else 0.0

    def counts(self) -> dict[str, int]:
        """`lost` is confirmed by the broker and not delivered (yet)."""
        return {
            "attempted": len(self.sent_at),
            "confirmed": len(self.confirmed),
            "handled": len(self.handled),
            "lost": len(self.confirmed - self.handled.keys()),
            "duplicates": self.handled.total() - len(self.handled),
        }

    def latency(self) -> dict[str, float]:
        """Seconds; empty when nothing came."""
        ordered = sorted(self.latencies)
        return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99), "max": ordered[-1]} if ordered else {}


class Bucket(NamedTuple):
    """How many messages took over `low` and up to `high` seconds."""

    low: float
    high: float
    messages: int


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed (nearest rank). `ordered` is sorted and not empty."""
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def buckets(values: Sequence[float]) -> list[Bucket]:
    """From the first that holds a value to the last."""
    counts = Counter(bisect_left(BOUNDS, value) for value in values)
    edges = (0.0, *BOUNDS, inf)
    return [
        Bucket(edges[i], edges[i + 1], counts[i]) for i in range(min(counts, default=0), max(counts, default=-1) + 1)
    ]


def draw(found: Sequence[Bucket], width: int, blocks: bool) -> list[str]:
    """A line for each bucket, its bar at most `width` characters long: of blocks, exact to an eighth, or of #."""
    most = max((bucket.messages for bucket in found), default=0)
    digits = len(f"{most:,}")
    lines = []
    for low, high, messages in found:
        eighths = -(-messages * width * 8 // most)  # rounded up: a single message is visible
        bar = "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip() if blocks else "#" * -(-eighths // 8)
        label = f"{duration(low):>7} - {duration(high):<7}"
        lines.append(f"{label} {messages:>{digits},}  {bar}".rstrip())
    return lines


def duration(seconds: float) -> str:
    """`20 us`, `1.5 ms`, `2 s`: three digits, or more before a decimal point."""
    unit, value = next(
        ((unit, seconds / size) for unit, size in (("s", 1.0), ("ms", 1e-3)) if seconds >= size), ("us", seconds * 1e6)
    )
    text = f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"


def progress(results: Results, count: int, reasons: Sequence[str]) -> str:
    """One line, while it runs."""
    text = f"confirmed {len(results.confirmed):,} and handled {len(results.handled):,} of {count:,}"
    return f"{text}  ({'; '.join(reasons)})" if reasons else text


def rows(results: Results, blocks: bool) -> list[str]:
    """Counts, latency and its histogram; `blocks` where block characters can be shown."""
    lines = [f"{name:<12}{value:>10,}" for name, value in results.counts().items()]
    if not results.latencies:
        return lines
    shown = "   ".join(f"{name} {duration(value)}" for name, value in results.latency().items())
    seconds = results.age(results.last_at)
    lines.append(f"{'rate':<12}{len(results.handled) / seconds:>10,.0f} a second, {duration(seconds)} in all")
    lines.append(f"{'latency':<12}{shown}   from the publisher to the handler")
    return [*lines, "", *draw(buckets(results.latencies), BAR, blocks), ""]


def as_object(results: Results) -> dict[str, Any]:
    """The same for JSON. A bucket of the histogram: over `over` and up to `to` seconds (null: and more)."""
    histogram = [
        {"over": low, "to": high if isfinite(high) else None, "messages": messages}
        for low, high, messages in buckets(results.latencies)
    ]
    times = {name: round(value, 6) for name, value in results.latency().items()}
    seconds = round(results.age(results.last_at), 6) if results.latencies else None
    return {**results.counts(), "seconds": seconds, "latency_seconds": times, "histogram": histogram}
