"""Report: what a trial came to, as a person or a program reads it. Pure."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from consumer.verify.histogram import buckets, draw, duration, percentile
from consumer.verify.ledger import Ledger

BAR = 40  # characters
COUNTS = ("attempted", "confirmed", "handled", "lost", "duplicates")


def progress(ledger: Ledger, count: int, reasons: Sequence[str]) -> str:
    """One line, while it runs."""
    text = f"confirmed {ledger.confirmed:,} and handled {ledger.handled:,} of {count:,}"
    return f"{text}  ({'; '.join(reasons)})" if reasons else text


def rows(ledger: Ledger, blocks: bool) -> list[str]:
    """Counts, latency and its histogram; `blocks` where block characters can be shown."""
    lines = [f"{name:<12}{getattr(ledger, name):>10,}" for name in COUNTS]
    if not ledger.latencies:
        return lines
    shown = "   ".join(f"{name} {duration(value)}" for name, value in latency(ledger).items())
    seconds = ledger.age(ledger.ended)
    lines.append(f"{'rate':<12}{ledger.handled / seconds:>10,.0f} a second, {duration(seconds)} in all")
    lines.append(f"{'latency':<12}{shown}   from the publisher to the handler")
    return [*lines, "", *draw(buckets(ledger.latencies), BAR, blocks), ""]


def latency(ledger: Ledger) -> dict[str, float]:
    """Seconds; empty when nothing came."""
    ordered = sorted(ledger.latencies)
    return {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99), "max": ordered[-1]} if ordered else {}


def as_object(ledger: Ledger) -> dict[str, Any]:
    """The same for JSON. A bucket of the histogram: over `over` and up to `to` seconds (null: and more)."""
    histogram = [
        {"over": low, "to": high if isfinite(high) else None, "messages": messages}
        for low, high, messages in buckets(ledger.latencies)
    ]
    counts = {name: getattr(ledger, name) for name in COUNTS}
    times = {name: round(value, 6) for name, value in latency(ledger).items()}
    seconds = round(ledger.age(ledger.ended), 6) if ledger.latencies else None
    return {**counts, "seconds": seconds, "latency_seconds": times, "histogram": histogram}
