"""/livez, /readyz and /metrics over real HTTP."""

import contextlib
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.observe.health import MOST_CONNECTIONS, Health
from tests.processes import ROOT, until
from tests.unit.pages import PATIENCE, Page


@pytest.fixture(scope="module")
def page() -> Page:
    return Page()


def ask(page: Page, method: str, path: str) -> tuple[int, "http.client.HTTPMessage", bytes]:
    """Status, headers, and everything after them, whatever Content-Length says."""
    with socket.create_connection((page.host, page.port), timeout=PATIENCE) as client:
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        file = client.makefile("rb")
        code = int(file.readline().split()[1])
        return code, http.client.parse_headers(file), file.read()


@pytest.mark.parametrize(
    ("path", "what", "attribute"), [("/livez", "live", "problems"), ("/readyz", "ready", "reasons")]
)
def test_a_probe_is_answered_with_its_reasons(page: Page, path: str, what: str, attribute: str) -> None:
    """200 without reasons, 503 with; JSON both times. The other page does not change."""
    more = {"notes": []} if what == "ready" else {}
    assert json.loads(page.get(path)[2]) == {what: True, "reasons": []} | more
    setattr(page, attribute, ["producer: connecting"])
    code, headers, body = page.get(f"{path}?verbose")
    assert (code, headers["Content-Type"]) == (503, "application/json")
    assert json.loads(body) == {what: False, "reasons": ["producer: connecting"]} | more
    assert page.get({"/livez": "/readyz", "/readyz": "/livez"}[path])[0] == 200
    setattr(page, attribute, [])
    assert page.get(path)[0] == 200


def test_metrics_have_the_text_format_of_prometheus(page: Page) -> None:
    """With its content type, so that scrapers accept them."""
    code, headers, body = page.get("/metrics")
    assert code == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert b"# TYPE mq_connected gauge" in body


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_head_is_answered_as_get_without_the_body(page: Page, path: str) -> None:
    """Load balancers, uptime monitors and `wget --spider` use HEAD."""
    for reasons in ([], ["connecting"]):
        page.reasons = reasons
        code, headers, body = ask(page, "GET", path)
        assert len(body) == int(headers["Content-Length"])
        head = ask(page, "HEAD", path)
        assert (head[0], head[1]["Content-Type"], head[1]["Content-Length"]) == (
            code,
            headers["Content-Type"],
            headers["Content-Length"],
        )
        assert head[2] == b""
    page.reasons = []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "BREW", "get"])
def test_any_other_method_gets_405_and_the_allowed_methods(page: Page, method: str) -> None:
    code, headers, body = ask(page, method, "/livez")
    assert (code, headers["Allow"], body) == (405, "GET, HEAD, OPTIONS", b"GET, HEAD, OPTIONS\n")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_options_is_answered_with_the_status_of_the_page_and_the_allowed_methods(page: Page, path: str) -> None:
    """A load balancer that probes by OPTIONS, as HAProxy does unless told otherwise, sees what GET would say."""
    for reasons in ([], ["connecting"]):
        page.reasons = reasons
        code, headers, body = ask(page, "OPTIONS", path)
        assert (code, headers["Allow"], headers["Content-Length"], body) == (
            ask(page, "GET", path)[0],
            "GET, HEAD, OPTIONS",
            "0",
            b"",
        )
    page.reasons = []


@pytest.mark.parametrize("beside", [b"x" * 100_000, b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" * 50])
def test_an_answer_arrives_whole_whatever_is_sent_behind_the_request(page: Page, beside: bytes) -> None:
    """A body, or pipelined requests: the connection ends after the first answer, and not by a reset."""
    for method, code in (("POST", 405), ("GET", 200)):
        head = f"{method} /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: {len(beside)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as client:
            client.sendall(head + beside)
            time.sleep(0.1)
            answer = client.makefile("rb").read()
        top, _, body = answer.partition(b"\r\n\r\n")
        assert top.startswith(f"HTTP/1.0 {code} ".encode())
        assert f"Content-Length: {len(body)}".encode() in top.split(b"\r\n")


STARTS = {
    "silent": b"",
    "the first line": b"GET /livez HTTP/1.1\r\n",
    "who takes no answer": b"GET /big HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("start", STARTS)
def test_probes_are_answered_while_strangers_hold_all_connections(start: str) -> None:
    """At most 32 at a time, each in a thread; a newer connection takes the place of the oldest."""
    big = b"x" * 10_000_000
    page = Page(pages={"/big": lambda: (200, "text/plain", big)})
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(3 * MOST_CONNECTIONS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what is on its way is soon too much
            client.connect(("127.0.0.1", page.port))
            client.sendall(STARTS[start])
        for path in ("/livez", "/readyz", "/metrics") * 5:
            began = time.monotonic()
            assert page.get(path)[0] == 200
            assert time.monotonic() - began < 3
            assert threading.active_count() - before < 2 * MOST_CONNECTIONS  # some may just be ending, of 96
    until(lambda: threading.active_count() <= before, "all have gone")


@pytest.mark.parametrize("sent", [b"G", b"GET /livez HTTP/1.0\r\n"])
def test_a_whole_request_has_one_deadline(page: Page, sent: bytes) -> None:
    """A byte now and then, or a line, buys no time."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", page.port), timeout=0.5) as client, contextlib.suppress(OSError):
        client.sendall(sent)
        while time.monotonic() - began < 20:
            try:
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                client.sendall(b"X: y\r\n" if sent.endswith(b"\n") else b"x")
    assert 4 < time.monotonic() - began < 12


def test_a_page_that_does_not_return_takes_one_place_and_not_the_port() -> None:
    """Such as a collector of the user's that waits for a lock: what waits on its socket makes room, and it cannot."""
    stuck = threading.Event()
    page = Page(pages={"/stuck": lambda: (200, "text/plain", str(stuck.wait(20)).encode())})
    with contextlib.ExitStack() as stack:
        for sent in [b"GET /stuck HTTP/1.0\r\n\r\n"] * 5 + [b"G"] * 60:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE))
            client.sendall(sent)
        began = time.monotonic()
        assert [page.get("/livez")[0] for _ in range(10)] == [200] * 10
        assert time.monotonic() - began < 2
    stuck.set()


def test_a_thread_that_cannot_be_had_is_a_failed_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed, a line says so, and the next is served."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    page = Page()
    with capture_logs() as lines, monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as client:
            assert client.recv(1) == b""
    assert [line["event"] for line in lines] == ["a page cannot be served"]
    assert page.get("/livez")[0] == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics/x", "/%2e%2e/etc/passwd"])
def test_any_other_path_gets_404_and_the_paths_there_are(page: Page, path: str) -> None:
    code, headers, body = page.get(path)
    assert (code, headers["Content-Type"], body) == (404, "text/plain", b"/livez /readyz /metrics\n")


def test_nothing_is_logged_for_a_probe(page: Page, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor for a client that hangs up in the middle or sends noise."""
    page.get("/livez")
    for noise in (b"", b"GET /metr", b"\x16\x03\x01\x00\xff\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE) as client:
            client.sendall(noise)
    assert page.get("/livez")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_silent_client_keeps_nobody_waiting_and_is_disconnected(page: Page) -> None:
    """Each client has its own thread, for five seconds."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=3 * PATIENCE) as client:
        began = time.monotonic()
        assert page.get("/livez")[0] == 200
        assert time.monotonic() - began < 3
        assert client.recv(1) == b""
        assert time.monotonic() - began > 4


def test_pages_are_served_over_ipv6() -> None:
    """Pods may have no other address."""
    assert Page("::1").get("/livez")[0] == 200


def test_a_port_that_is_taken_is_an_os_error(page: Page) -> None:
    """The program turns that error into a sentence."""
    with pytest.raises(OSError, match="in use"):
        Health(list, list).listen("127.0.0.1", page.port)


def test_a_page_that_cannot_be_served_is_logged_and_served_later() -> None:
    """Such as without a free file descriptor: one line a second, and no CPU time meanwhile."""
    page = Page()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with capture_logs() as lines, socket.socket() as client:
        client.settimeout(PATIENCE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno(), before[1]))
        began, spent = time.monotonic(), time.process_time()
        try:
            client.connect(("127.0.0.1", page.port))
            client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            time.sleep(1.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert time.process_time() - spent < 0.5
        assert client.recv(12) == b"HTTP/1.0 200"
        assert 1 <= len(lines) <= 1 + time.monotonic() - began
    assert {(line["event"], line["log_level"]) for line in lines} == {
        ("the pages cannot be served, and are tried again", "error")
    }


def test_many_open_files_do_not_matter() -> None:
    """select() takes no file descriptor over 1023."""
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


ENDS = """
from common.observe.health import Health
print(Health(list, list).listen("127.0.0.1", 0), flush=True)
input()
"""


def test_an_open_client_holds_up_neither_the_exit_nor_the_port() -> None:
    """A restarted process can listen on the same port."""
    command = [sys.executable, "-c", ENDS]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        with (
            urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=PATIENCE),
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE),
        ):
            began = time.monotonic()
            process.communicate("end\n", timeout=PATIENCE)
            assert time.monotonic() - began < 3
    assert process.returncode == 0
    assert Health(list, list).listen("127.0.0.1", port) == port


PROGRAMS = {"producer": "--source", "consumer": "--handler"}
SHADOWS = ("email", "http", "socketserver", "wsgiref", "quopri", "html", "mimetypes", "shutil", "select", "selectors")
USERS = """
import os
import socket
import sys

from common.observe.health import Health

class Looked:
    def find_spec(name, *_):
        print("imported while a page was asked for:", name, file=sys.stderr)

page = Health(list, list).listen("127.0.0.1", 0)
sys.meta_path.insert(0, Looked)
for sent in (
    *(f"{method} /{path} HTTP/1.1\\r\\nHost: h\\r\\nAccept: */*\\r\\n\\r\\n"
        for method in ("GET", "HEAD", "OPTIONS", "POST") for path in ("livez", "readyz", "metrics", "nothing")),
    "\\x16\\x03\\x01\\r\\n\\r\\n", "GET /livez HTTP/9.9\\r\\n\\r\\n", "GET " + "x" * 70000 + "\\r\\n",
    "GET /livez HTTP/1.1\\r\\n" + "a: b\\r\\n" * 200 + "\\r\\n", "GET /livez HTTP/1.1\\r\\nno colon\\r\\n\\r\\n",
    "GET /livez HTTP/1.1\\r\\nConnection: \\xe4\\r\\nExpect: 100-continue\\r\\n\\r\\n",
):
    with socket.socket() as client:  # create_connection would import for its own
        client.settimeout(20)
        client.connect(("127.0.0.1", page))
        client.sendall(sent.encode("latin-1"))
        print((client.makefile("rb").readline().split() or [b"", b"none"])[1].decode(), flush=True)
os._exit(0)
"""
# To a request line that it cannot read, a Python before 3.14 answers without a status line.
ANSWERS = [
    ["200", "200", "200", "404"] * 3 + ["405"] * 4 + unread + ["414", "431", "200", "200"]
    for unread in (["HTML>", "HTML>"], ["400", "505"])
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_files_of_the_user_with_names_of_the_library_break_no_page(program: str, tmp_path: Path) -> None:
    """The folder of a source or handler is searched first, so a page, and an error too, imports nothing any more."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('a file of the user')\n")
    (tmp_path / "users.py").write_text(USERS)
    code = f"import sys; sys.path[0] = {str(ROOT)!r}; from {program}.__main__ import main; main()"
    command = [sys.executable, "-c", code, PROGRAMS[program], "users:go"]
    env = {"PATH": os.environ["PATH"], "MQ_URL": "amqp://localhost", "MQ_CH": "jobs"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() in ANSWERS
    assert not done.stderr
