"""What a process measures of itself."""

import json
from pathlib import Path

import pytest

from benchmarks.span import Span, padding, stamped


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "report.json"
    monkeypatch.setenv("BENCH_REPORT", str(path))
    return path


def test_a_body_has_the_asked_size() -> None:
    assert len(stamped(padding(256))) == 256


def test_a_publisher_counts_from_begin_to_the_last_confirm(report: Path) -> None:
    span = Span()
    span.begin()
    span.confirmed()
    span.confirmed(9)
    span.report()
    told = json.loads(report.read_text())
    assert told["count"] == 10
    assert told["began"] <= told["first"] <= told["ended"]
    assert told["peak_kib"] > 1000


def test_a_consumer_counts_from_its_first_message(report: Path) -> None:
    span = Span()
    handle = span.handler("consume")
    for _ in range(3):
        handle(stamped(padding(16)))
    span.report()
    told = json.loads(report.read_text())
    assert (told["count"], told["latencies_ns"]) == (3, [])
    assert told["began"] == told["first"] <= told["ended"]


def test_the_cpu_time_of_the_end_is_not_the_messages(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor that of many who wait for one another; and what is left behind the last look counts as those before it."""
    spent = iter([1.0, 3.0, 100.0])
    monkeypatch.setattr("time.process_time", lambda: next(spent))
    span = Span()
    handle = span.handler("consume")
    for _ in range(96):
        handle(stamped(padding(16)))
    span.report()
    assert json.loads(report.read_text())["cpu"] == 2.0 * 96 / 64


def test_of_fewer_messages_all_is_counted(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = iter([1.0, 3.0])
    monkeypatch.setattr("time.process_time", lambda: next(spent))
    span = Span()
    span.begin()
    span.confirmed(5)
    span.report()
    assert json.loads(report.read_text())["cpu"] == 2.0


def test_a_latency_run_keeps_each_age(report: Path) -> None:
    span = Span()
    handle = span.handler("latency")
    body = stamped(padding(16))
    handle(body)
    handle(body)
    span.report()
    first, second = json.loads(report.read_text())["latencies_ns"]
    assert 0 <= first <= second
