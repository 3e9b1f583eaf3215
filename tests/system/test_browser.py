"""A web page in a real browser: it can make the browser post to this machine, and nothing of it may be published."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from local.ports import free_port
from tests.processes import until
from tests.unit.producer.http.opened import Opened

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
# Each of the ways in which a page sends something without asking first.
ATTACKS = """<body><script>
const url = "http://HOST:PORT/messages", sent = [];
sent.push(fetch(url, {method: "POST", mode: "no-cors", body: "fetch"}));
sent.push(fetch(url, {method: "POST", mode: "no-cors", body: new URLSearchParams({form: "fetch"})}));
sent.push(fetch(url, {mode: "no-cors"}));
navigator.sendBeacon(url, "beacon");
for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
  const frame = Object.assign(document.createElement("iframe"), {name: type}), target = type;
  document.body.append(frame);
  const form = Object.assign(document.createElement("form"), {action: url, method: "POST", enctype: type, target});
  form.append(Object.assign(document.createElement("input"), {name: "form", value: type}));
  document.body.append(form);
  form.submit();
}
Promise.allSettled(sent).then(() => fetch("/saw?done"));
</script>"""
# The name of the page points to the source from some moment on.
REBINDING = """<script>
setInterval(() => fetch("/messages", {method: "POST", body: "rebound"})
  .then(answer => fetch("http://127.0.0.1:PORT/saw?" + answer.status, {mode: "no-cors"})), 200);
</script>"""


class Site(ThreadingHTTPServer):
    """A stranger's, that has this page on any path and notes what it is told."""

    daemon_threads = True

    def __init__(self, page: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Visit)
        self.page, self.saw = page, list[str]()
        Thread(target=self.serve_forever, daemon=True).start()

    def end(self) -> None:
        """Free the port."""
        self.shutdown()
        self.server_close()


class _Visit(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        path, _, what = self.path.partition("?")
        if path == "/saw":
            self.server.saw.append(what)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def do_POST(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def browsing(url: str, folder: Path) -> Iterator[None]:
    """A browser that looks at a page; `evil.example` is this machine."""
    assert BROWSER
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += [f"--user-data-dir={folder}", "--host-resolver-rules=MAP evil.example 127.0.0.1"]
    with subprocess.Popen([BROWSER, *options, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(autouse=True)
def browser() -> None:
    """A Chromium; .ci/run installs it where it may."""
    if not BROWSER:
        missing = pytest.fail if os.environ.get("CI") == "true" and os.geteuid() == 0 else pytest.skip
        missing(f"no browser is here ({', '.join(NAMES)})")


@pytest.mark.parametrize(("page_host", "host"), [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")])
def test_no_page_of_another_site_or_port_publishes(page_host: str, host: str, tmp_path: Path) -> None:
    """By whatever a page may send without asking; the last time it is the same site, and another origin."""
    opened = Opened()
    opened.confirming()
    answered = opened.statuses()
    site = Site(ATTACKS.replace("HOST", host).replace("PORT", str(opened.port)))
    with browsing(f"http://{page_host}:{site.server_port}/", tmp_path):
        until(lambda: "done" in site.saw, "the page has sent all", 60)
        until(lambda: sum(opened.statuses().values()) >= sum(answered.values()) + 7, "all of it came")
    site.end()
    assert opened.bodies == []
    assert {status for status, count in opened.statuses().items() if count > answered.get(status, 0)} == {"403"}


def test_a_page_whose_name_is_pointed_to_this_machine_does_not_publish(tmp_path: Path) -> None:
    """DNS rebinding: for the browser both are one site, so nothing else of it would be refused."""
    port, notes = free_port(), Site("")
    site = Site(REBINDING.replace("PORT", str(notes.server_port)), port)
    with browsing(f"http://evil.example:{port}/", tmp_path):
        until(lambda: "404" in notes.saw, "the page is there", 60)
        site.end()
        opened = Opened(producer_http_port=port)
        opened.confirming()
        until(lambda: {"202", "403"} & {*notes.saw}, "the page has reached the source", 60)
    notes.end()
    assert (opened.bodies, "202" in notes.saw) == ([], False)
