"""The command line of `consumer verify`, and its results as text and as JSON."""

import json
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import inf, isfinite
from typing import Any, NamedTuple

from common.observe import logs
from common.observe.stream import STDERR
from common.process.run import Process
from common.settings import flags as cli
from common.settings.types import format_duration
from common.terminal import rewrites
from consumer.progress import Progress
from consumer.verify.settings import EXPIRES_MS, VerifySettings
from consumer.verify.trial import Results, Trial

# Seconds: five to a decade, from 10 microseconds to ten minutes.
BOUNDS = tuple(round(digit * 10.0**power, 7) for power in range(-5, 3) for digit in (1, 1.6, 2.5, 4, 6.3))
EIGHTHS = " ▏▎▍▌▋▊▉"
BAR = 40  # characters


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0 (nothing is lost), 1, or 2 (settings)."""
    settings = cli.load(VerifySettings, "consumer verify", arguments)
    moving, line = rewrites(STDERR), Progress(STDERR)
    # On a terminal the moving line says what the log would.
    level = "debug" if settings.log_level == "debug" else "error" if moving else "warning"
    logs.configure(level, settings.log_format)

    def show() -> None:
        if moving:
            text = progress(trial.results, settings.verify_count, trial.reasons())
            line.tick(time.monotonic(), text, len(trial.results.handled) / settings.verify_count)

    process = Process(settings.shutdown_grace)
    trial = Trial(process, settings, show)
    code = process.run(trial)
    line.end()
    queue, broker = trial.topology.name, trial.broker
    if settings.verify_json:
        about = {"broker": broker, "queue": queue, "queue_deleted": trial.deleted, "problem": trial.problem}
        cli.say(json.dumps({**about, **as_object(trial.results), "exit_code": code}, indent=2))
        sys.exit(code)
    lines = [f"{settings.verify_count:,} messages of {settings.verify_size:,} bytes through {queue} on {broker}"]
    lines += rows(trial.results, cli.utf8())
    if trial.results.sent_at and not trial.deleted:
        expires = format_duration(EXPIRES_MS / 1000)
        lines.append(f"the queue {queue} could not be deleted: the broker does that in {expires} by itself")
    cli.say("\n".join([*lines, f"NOT verified: {trial.problem}" if code else "verified: nothing is lost"]))
    sys.exit(code)


class Bucket(NamedTuple):
    """How many messages took over `low` and up to `high` seconds."""

    low: float
    high: float
    messages: int


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
