"""The HTTP pages, over real HTTP on the loopback."""

import json
import socket
import time
import urllib.error
import urllib.request
from email.message import Message

import pytest

from common.health import Health

PATIENCE = 10.0  # seconds


class Page:
    """The pages of one service whose reasons a test sets."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.problems: list[str] = []
        self.reasons: list[str] = []
        health = Health(lambda: self.problems, lambda: self.reasons)
        self.host, self.port = host, health.listen(host, 0)

    def get(self, path: str) -> "tuple[int, Message[str, str], bytes]":
        """Status, headers and body."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        try:
            with urllib.request.urlopen(f"http://{host}:{self.port}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()


@pytest.fixture(scope="module")
def page() -> Page:
    return Page()


@pytest.mark.parametrize(
    ("path", "what", "attribute"), [("/livez", "live", "problems"), ("/readyz", "ready", "reasons")]
)
def test_a_probe_is_answered_with_its_reasons(page: Page, path: str, what: str, attribute: str) -> None:
    """200 without, 503 with; JSON both times, and the other page does not change."""
    assert json.loads(page.get(path)[2]) == {what: True, "reasons": []}
    setattr(page, attribute, ["producer: connecting"])
    code, headers, body = page.get(f"{path}?verbose")
    assert (code, headers["Content-Type"]) == (503, "application/json")
    assert json.loads(body) == {what: False, "reasons": ["producer: connecting"]}
    assert page.get({"/livez": "/readyz", "/readyz": "/livez"}[path])[0] == 200
    setattr(page, attribute, [])
    assert page.get(path)[0] == 200


def test_metrics_are_in_prometheus_own_form(page: Page) -> None:
    """With its type, so that scrapers take them."""
    code, headers, body = page.get("/metrics")
    assert code == 200
    assert headers["Content-Type"].startswith("text/plain")
    assert b"# TYPE mq_connected gauge" in body


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics/x", "/%2e%2e/etc/passwd"])
def test_any_other_path_names_those_there_are(page: Page, path: str) -> None:
    """404."""
    code, _, body = page.get(path)
    assert (code, body) == (404, b"/livez /readyz /metrics\n")


def test_nothing_is_logged_for_a_probe(page: Page, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor for one that hangs up in the middle, nor for noise."""
    page.get("/livez")
    for noise in (b"", b"GET /metr", b"\x16\x03\x01\x00\xff\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as client:
            client.sendall(noise)
    assert page.get("/livez")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_client_that_says_nothing_does_not_keep_others_waiting(page: Page) -> None:
    """Each has a thread of its own."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE):
        began = time.monotonic()
        assert page.get("/livez")[0] == 200
        assert time.monotonic() - began < 3


def test_ipv6_works_too() -> None:
    """Pods may have nothing else."""
    assert Page("::1").get("/livez")[0] == 200


def test_a_port_that_is_taken_is_an_error_of_the_system(page: Page) -> None:
    """The program turns it into a sentence."""
    with pytest.raises(OSError, match="in use"):
        Health(list, list).listen("127.0.0.1", page.port)
