"""The pages' server: what it answers, and what it does not mind."""

import socket
import time

import pytest

from tests.unit.pages import PATIENCE, Page


@pytest.fixture(scope="module")
def page() -> Page:
    return Page()


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
