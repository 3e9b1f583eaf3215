"""What the runner shows and reads: pure."""

import signal
import sys
from typing import Any
from unittest.mock import Mock

import pytest

from local import Failure
from local.__main__ import _settings, main
from local.counts import Counts, closing_event, connected_seconds
from local.runner import Runner
from local.scrape import parse_metrics
from local.view import fit, line, state, summary

METRICS = """# HELP consumer_settled_total Settled.
# TYPE consumer_settled_total counter
consumer_settled_total{outcome="ack"} 998.0
consumer_settled_total{outcome="parked"} 2.0
consumer_unsettled 3.0
"""


def test_the_counts_come_from_the_pages_of_both_services() -> None:
    """Each service gives its own, the other's stay."""
    counts = Counts(published=1000, confirmed=1000).seen(parse_metrics(METRICS))
    assert counts == Counts(1000, 1000, 0, 998, 0, 2, 3)
    assert (counts.settled, counts.left) == (1000, 0)


def test_the_closing_line_has_the_last_word() -> None:
    """Other lines, also those that are not JSON, do not disturb."""
    lines = ['{"event": "stopped", "handled": 1}', "stopped", '{"event": "x", "why": "stopped"}', '{"stopped": ']
    assert closing_event(lines) == {"event": "stopped", "handled": 1}
    assert Counts(handled=7, parked=1).stopped(closing_event(lines)) == Counts(handled=1, parked=1)
    assert closing_event(["nothing"]) == {}


def test_a_flow_that_was_over_before_the_first_look_lasted_as_long_as_its_producer_was_connected() -> None:
    """From the first connect to the end, by its log; of a log that is cut nothing is said."""
    lines = [
        '{"event": "connected", "timestamp": "2026-11-28T04:28:27.000000Z"}',
        '{"event": "connected", "timestamp": "2026-11-28T04:28:28.000000Z"}',
        '{"event": "stopped", "timestamp": "2026-11-28T04:28:29.500000Z"}',
    ]
    assert connected_seconds(lines) == 2.5
    assert connected_seconds(lines[1:]) == 1.5
    assert connected_seconds(lines[:2]) == connected_seconds(lines[2:]) == connected_seconds([]) == 0.0


class Over:
    """In the place of a pair whose services are through before the first look at them."""

    keeps = False

    def address(self, service: str) -> str:
        """No page any more."""
        raise OSError(f"no {service}")

    def exit_code(self, _service: str) -> int:
        """All went well."""
        return 0

    def log(self, service: str) -> list[str]:
        """What each has left."""
        count = {"producer": "confirmed", "consumer": "handled"}[service]
        return [
            '{"event": "connected", "timestamp": "2026-11-28T04:28:27.000000Z"}',
            f'{{"event": "stopped", "timestamp": "2026-11-28T04:28:29.500000Z", "{count}": 50}}',
        ]


def test_a_flow_that_nobody_saw_is_summed_up_with_the_time_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    """And not with the moment of the look."""
    pair: Any = Over()
    runner = Runner(pair)
    runner.watch()
    assert runner.finish()
    assert "duration           2.5 s  20 a second" in capsys.readouterr().out


def test_the_line_names_rates_and_reasons() -> None:
    """And is cut to the terminal."""
    text = line(Counts(1200, 1100, handled=1000), (200.4, 190), {"consumer": state(False, ["connecting"])})
    assert "confirmed 1,100 (200/s)" in text
    assert text.endswith("consumer not ready (connecting)")
    assert len(fit(text, 40)) < 40


def test_what_services_say_of_themselves_cannot_act_on_the_terminal() -> None:
    """Their reasons hold a broker's words."""
    text = line(Counts(), (0, 0), {"consumer": state(False, ["\x1b]0;pwned\x07\u202e"])})
    assert text.endswith("not ready (\\x1b]0;pwned\\x07\\u202e)")


def test_a_failure_is_told_without_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the last lines of a service's log."""
    monkeypatch.setattr(sys, "argv", ["local"])
    monkeypatch.setattr("local.__main__._run", Mock(side_effect=Failure("it ended:\n\x1b[2Jlast")))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    assert main() == 1
    for number, handler in before.items():
        signal.signal(number, handler)
    assert capsys.readouterr().err == "it ended:\n\\x1b[2Jlast\n"


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        (Counts(10, 10, handled=9, parked=1), "lost"),
        (Counts(10, 10, handled=4), "left                   6"),
        (Counts(10, 10, handled=12), "more                   2"),
    ],
)
def test_the_summary_accounts_for_every_message(counts: Counts, word: str) -> None:
    """Handled, parked, left or more than sent."""
    assert word in summary(counts, 2.0, exact=True, keeps=True)


def test_a_count_takes_seconds_at_any_size() -> None:
    """Unless a rate is asked for."""
    assert _settings(1000, None).items() >= {"PRODUCER_COUNT": "1000", "PRODUCER_RATE": "200"}.items()
    assert _settings(3, None)["PRODUCER_RATE"] == "1"
    assert _settings(None, 7)["PRODUCER_RATE"] == "7"
    assert "PRODUCER_RATE" not in _settings(None, None)
