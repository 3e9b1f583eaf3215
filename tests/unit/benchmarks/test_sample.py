"""The figures of one run."""

from typing import Any

import pytest

from benchmarks.child import Report
from benchmarks.sample import of_consumers, of_flow, of_latency, of_publisher, of_start


def report(**values: Any) -> Report:
    zero = {"began": 0.0, "first": 0.0, "ended": 0.0, "cpu": 0.0, "peak_kib": 1024, "latencies_ns": [], "spawned": 0.0}
    return Report(**{"count": 0, **zero, **values})


def test_a_publisher_is_timed_to_its_last_confirm() -> None:
    sample = of_publisher(report(count=1000, began=10.0, ended=12.0, cpu=0.5))
    assert sample == {"rate": 500.0, "cpu_us": 500.0, "peak_mib": 1.0}


def test_consumers_are_timed_together_and_idle_ones_do_not_count() -> None:
    busy = [report(count=600, began=1.0, ended=2.0, cpu=0.1), report(count=401, began=1.5, ended=3.0, cpu=0.1)]
    sample = of_consumers([*busy, report(cpu=9.0, peak_kib=9999)])
    assert sample["rate"] == 500.0
    assert sample["cpu_us"] == pytest.approx(200 / 1.001)
    assert sample["peak_mib"] == 1.0


def test_end_to_end_is_timed_from_the_publisher_to_the_handler() -> None:
    publisher = report(count=100, began=1.0, ended=1.5, cpu=0.01)
    sample = of_flow(publisher, report(count=100, began=1.1, ended=2.0, cpu=0.02, peak_kib=2048))
    assert sample == {"rate": 100.0, "cpu_us": pytest.approx(300), "peak_mib": 2.0}


def test_latency_leaves_the_cold_messages_out() -> None:
    sample = of_latency(report(latencies_ns=[10**9] * 100 + [10**6] * 900 + [10**7] * 100))
    assert sample == {"p50_ms": 1.0, "p99_ms": 10.0}


def test_start_is_timed_by_the_parent() -> None:
    assert of_start([report(spawned=1.0, first=1.25)]) == {"start_ms": 250.0}
