"""The clock of a page, and how far it may be off."""

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from common.doctor.check import Verdict
from common.doctor.clock import compare, look

NOON = 1_800_000_000.0


class Page(BaseHTTPRequestHandler):
    """Whoever asks without a user is refused, with a date."""

    def do_HEAD(self) -> None:
        """As RabbitMQ's management page."""
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(20)


@pytest.mark.parametrize("late", [0.0, 0.5, 0.999, 1.5, 1.999])
def test_clocks_that_agree_are_well_however_late_the_date_is(late: float) -> None:
    """It has whole seconds, and the page renews it once in a second."""
    now = NOON + late
    assert compare(NOON, now - 0.01, now + 0.01).verdict is Verdict.OK


@pytest.mark.parametrize(("apart", "words"), [(60.0, "ahead of ours"), (-60.0, "behind ours"), (4, "ahead of ours")])
def test_clocks_that_do_not_agree_are_a_warning_with_a_direction(apart: float, words: str) -> None:
    """And what to do."""
    check = compare(NOON + apart, NOON, NOON)
    assert check.verdict is Verdict.WARNING
    assert words in check.text
    assert "NTP" in check.advice


def test_what_cannot_be_known_is_not_claimed() -> None:
    """An answer that took long says little."""
    assert compare(NOON + 4, NOON - 10, NOON + 10).verdict is Verdict.OK
    assert "give or take 11.0 s" in compare(NOON, NOON - 10, NOON + 10).text


def test_an_answer_of_any_kind_has_a_date(page: str) -> None:
    """No user is needed."""
    check = look(page, ssl.create_default_context, 5.0)
    assert check.verdict is Verdict.OK
    assert check.seconds is not None


def test_a_page_that_does_not_answer_is_a_warning() -> None:
    """The services have no need of it."""
    check = look("http://127.0.0.1:1", ssl.create_default_context, 5.0)
    assert (check.verdict, check.exit_code) == (Verdict.WARNING, 0)
    assert "Connection refused" in check.text


def test_without_a_page_nothing_is_claimed() -> None:
    """And it says how to ask."""
    check = look(None, ssl.create_default_context, 5.0)
    assert check.verdict is Verdict.NOTE
    assert "--mq-management-url" in check.text
