"""Percentiles, and a histogram that a terminal can show. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

# Seconds: five to a decade, from 10 microseconds to ten minutes.
BOUNDS = tuple(round(digit * 10.0**power, 7) for power in range(-5, 3) for digit in (1, 1.6, 2.5, 4, 6.3))
EIGHTHS = " ▏▎▍▌▋▊▉"


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
        eighths = -(-messages * width * 8 // most)  # up: what is there is seen
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
