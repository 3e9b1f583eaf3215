"""What the commands say; with a broker they are tested in tests/broker and tests/system."""

import io
import signal
import sys
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from consumer.dead_letters.commands import Commands, confirmed
from consumer.dead_letters.report import Report
from consumer.dead_letters.request import parse

REPORT = Report("purge", "jobs.dead", 2000, 2000, 1500)


@pytest.fixture
def signals() -> Iterator[None]:
    """A command ends as a process does: without its own handlers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals", "own_metrics")
@pytest.mark.parametrize("arguments", [["list"], ["show", "m1"], ["replay", "--json"], ["purge", "--yes"]])
def test_without_a_broker_each_says_so_and_nothing_else(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No number that nobody knows."""
    monkeypatch.setenv("MQ_URL", "amqp://127.0.0.1:1")
    monkeypatch.setenv("MQ_CH", "jobs")
    with capture_logs():
        assert Commands(*parse(arguments)).run() == 11
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "the broker amqp://guest@127.0.0.1:1/ cannot be used: connection refused: nothing listens there (yet)"
    ]


@pytest.mark.parametrize(("answer", "wanted"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
def test_only_a_yes_is_one(
    answer: str, wanted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end of the input is none."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert confirmed(REPORT) is wanted
    assert capsys.readouterr().err == "Delete 1,500 of 2,000 parked messages of jobs.dead? [y/N] "
