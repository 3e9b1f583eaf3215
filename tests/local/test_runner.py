"""What the runner shows and reads."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from unittest.mock import Mock

import pytest

from local import Failure
from local.__main__ import _arguments, _settings, main
from local.counts import Counts
from local.reports import connected_seconds, events, get
from local.runner import Runner
from local.view import line, state, summary

METRICS = """# HELP consumer_settled_total Settled.
# TYPE consumer_settled_total counter
consumer_settled_total{outcome="ack"} 998.0
consumer_settled_total{outcome="parked"} 2.0
consumer_unsettled 3.0
"""


def test_the_counts_come_from_the_pages_of_both_services() -> None:
    """Each service gives its own, the other's stay."""
    counts = Counts(published=1000, confirmed=1000).seen(METRICS)
    assert counts == Counts(1000, 1000, 0, 998, 0, 2, 3)
    assert (counts.settled, counts.left) == (1000, 0)


def test_the_closing_line_has_the_last_word() -> None:
    """Other lines, also those that are not JSON, do not disturb."""
    lines = ['{"event": "stopped", "handled": 1}', "stopped", '{"event": "x", "why": "stopped"}', '{"stopped": ']
    assert events([*lines, "7", "[]"], "stopped") == [{"event": "stopped", "handled": 1}]
    assert Counts(handled=7, parked=1).stopped({"event": "stopped", "handled": 1}) == Counts(handled=1, parked=1)
    assert events(["nothing"], "stopped") == []


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
    text = line(Counts(1200, 1100, handled=1000), (200.4, 190), {"consumer": state(False, ["stopping"])})
    assert "confirmed 1,100 (200/s)" in text
    assert text.endswith("consumer not ready (stopping)")


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
        (Counts(10, 10, handled=12), "duplicates             2  or left in the queue by an earlier run"),
    ],
)
def test_the_summary_accounts_for_every_message(counts: Counts, word: str) -> None:
    """Handled, parked, left or more than sent."""
    assert word in summary(counts, 2.0, exact=True, keeps=True)


@pytest.mark.parametrize(
    ("counts", "exact", "number"),
    [
        (Counts(10, 10, handled=10), True, "0"),
        (Counts(12, 10, handled=11, parked=1), True, "2"),
        (Counts(12, 10, unconfirmed=2, handled=12), True, "0"),  # handled, and the confirms did not come
        (Counts(10, 10, handled=4), True, "unknown"),
        (Counts(10, 10, handled=10), False, "unknown"),
    ],
)
def test_duplicates_are_a_number_where_all_was_counted(counts: Counts, exact: bool, number: str) -> None:
    """With a broker of its own. With some left, one handled twice would hide one more that is left."""
    lines = summary(counts, 2.0, exact=exact, keeps=False).splitlines()
    assert lines[-1] == f"duplicates  {number:>12}"


REFUSED = "backing off (connection refused: nothing listens there (yet))"


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([f"consumer: {REFUSED}", f"consumer_retry: {REFUSED}"], "waits for the broker"),
        (["consumer: connecting", f"consumer_retry: {REFUSED}"], "waits for the broker"),
        (["producer: backing off (the peer does not speak AMQP 0-9-1 (yet; or is it the TLS port?))"],
         "waits for the broker"),
        (["consumer: backing off (ACCESS_REFUSED)", "consumer_retry: backing off (ACCESS_REFUSED)"],
         "not ready (backing off (ACCESS_REFUSED))"),
        (["stopping"], "not ready (stopping)"),
        ([], "not ready (no reason given)"),
    ],
)  # fmt: skip
def test_what_a_start_waits_for_is_said_in_plain_words_and_once(reasons: list[str], said: str) -> None:
    """What would not pass by itself is told as it is."""
    assert state(False, reasons) == said


def test_the_first_line_fits_the_screen_and_later_ones_name_what_went_wrong() -> None:
    waiting = dict.fromkeys(("producer", "consumer"), state(False, [f"producer: {REFUSED}"]))
    first = line(Counts(), (0, 0), waiting)
    assert (
        first == "confirmed 0 (0/s)  handled 0 (0/s)  |  producer waits for the broker  consumer waits for the broker"
    )
    later = line(Counts(9, 8, 1, 5, 2, 1), (8, 5), {"producer": "ready", "consumer": "ready"})
    assert later.startswith("confirmed 8 (8/s)  handled 5 (5/s)  unconfirmed 1  retried 2  parked 1  |")


def test_a_count_takes_seconds_at_any_size() -> None:
    """Unless a rate is asked for."""
    assert _settings(1000, None).items() >= {"PRODUCER_COUNT": "1000", "PRODUCER_RATE": "200"}.items()
    assert _settings(3, None)["PRODUCER_RATE"] == "1"
    assert _settings(None, 7)["PRODUCER_RATE"] == "7"
    assert "PRODUCER_RATE" not in _settings(None, None)


def test_the_page_of_a_service_is_asked_for_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that `http_proxy` names has another 127.0.0.1 than this machine."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        assert get(f"http://127.0.0.1:{server.server_port}/metrics")[0] == 501
        thread.join()


def test_the_management_page_goes_where_the_variable_of_compose_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """And without it to RabbitMQ's own port."""
    monkeypatch.setattr(sys, "argv", ["local"])
    for value, port in {"15999": 15999, "": 15672}.items():
        monkeypatch.setenv("MQ_GUI_PORT", value)
        assert _arguments().gui_port == port
    monkeypatch.setenv("MQ_GUI_PORT", "many")
    with pytest.raises(SystemExit):
        _arguments()
