"""Sample: the figures of one run, by name."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Final

from benchmarks.child import Report

_WARM_UP: Final = 100
"""The first messages of a latency run, which are left out: connections and caches are cold."""

Sample = Mapping[str, float]
"""rate (messages a second), cpu_us (of the client's CPU, a message), peak_mib (the largest process), p50_ms, p99_ms,
start_ms; each measure has those that it can tell."""


def of_publisher(report: Report) -> Sample:
    """From just before the first publish to the last confirm."""
    return {"rate": report.count / (report.ended - report.began), **_resources(report.count, [report])}


def of_consumers(reports: Sequence[Report]) -> Sample:
    """From the first message that any handled to the last."""
    busy = [report for report in reports if report.count]
    seconds = max(report.ended for report in busy) - min(report.began for report in busy)
    count = sum(report.count for report in busy)
    return {"rate": (count - 1) / seconds, **_resources(count, busy)}


def of_flow(publisher: Report, consumer: Report) -> Sample:
    """From just before the first publish to the last message handled."""
    return {
        "rate": consumer.count / (consumer.ended - publisher.began),
        **_resources(consumer.count, [publisher, consumer]),
    }


def of_latency(consumer: Report) -> Sample:
    """From when each message left, or should have left, to its handler."""
    percentiles = [each / 1e6 for each in quantiles(consumer.latencies_ns[_WARM_UP:], n=100, method="inclusive")]
    return {"p50_ms": percentiles[49], "p99_ms": percentiles[98]}


def of_start(reports: Sequence[Report]) -> Sample:
    """From the start of the process to the first confirm."""
    return {"start_ms": median((report.first - report.spawned) * 1e3 for report in reports)}


def _resources(count: int, reports: Sequence[Report]) -> Sample:
    return {
        "cpu_us": sum(report.cpu for report in reports) / count * 1e6,
        "peak_mib": max(report.peak_kib for report in reports) / 1024,
    }
