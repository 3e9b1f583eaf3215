"""Whether a service is live and ready, over real HTTP."""

import json
import os
import resource
import subprocess
import sys
from typing import Any

import pytest
from structlog.testing import capture_logs

import common.observe.page as page_module
from common.observe.health import Health
from tests.unit.pages import Page


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


def test_ipv6_works_too() -> None:
    """Pods may have nothing else."""
    assert Page("::1").get("/livez")[0] == 200


def test_a_port_that_is_taken_is_an_error_of_the_system(page: Page) -> None:
    """The program turns it into a sentence."""
    with pytest.raises(OSError, match="in use"):
        Health(list, list).listen("127.0.0.1", page.port)


def test_a_page_that_cannot_be_served_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as when there is no descriptor left just then."""
    failures = [OSError("too many open files")]
    served = page_module.serve

    def serve(*given: Any) -> None:
        if failures:
            raise failures.pop()
        served(*given)

    monkeypatch.setattr(page_module, "serve", serve)
    monkeypatch.setattr("common.observe.health.RETRY", 0.1)
    with capture_logs() as lines:
        assert Page().get("/livez")[0] == 200
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("the pages cannot be served, and are tried again", "error")
    ]


def test_many_open_files_do_not_matter() -> None:
    """select() takes no descriptor over 1023."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 2048), before[1]))
    many = []
    try:
        while not many or many[-1] < 1030:
            many.append(os.dup(0))
        assert Page().get("/livez")[0] == 200
    finally:
        for each in many:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_the_pages_need_is_loaded_when_somebody_asks() -> None:
    """It is a tenth of a start."""
    code = """
import sys, urllib.request, producer.__main__
from common.observe.health import Health
port = Health(list, list).listen("127.0.0.1", 0)
assert not {"prometheus_client", "common.observe.page"} & set(sys.modules)
page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read()
assert b"mq_ready" in page and "prometheus_client" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_a_consumer_has_loaded_it_before_its_handlers_can_compute() -> None:
    """With 32 of them that do, the first answer took half a minute."""
    code = """
import os, sys
import consumer.__main__ as program
os.environ |= {"MQ_URL": "amqp://localhost", "MQ_CH": "jobs"}
program.open_handler = lambda _: sys.exit("common.observe.page" not in sys.modules)
program.main([])
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
