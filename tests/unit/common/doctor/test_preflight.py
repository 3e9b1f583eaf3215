"""`python -m common.doctor.preflight` where no broker is: the whole program, as an init container runs it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from common.amqp.errors import ADVICE, Kind
from common.doctor.preflight import PreflightSettings

ROOT = Path(__file__).parents[4]
SECRET = "Zq7Xj9Kv"


Said = tuple[int, dict[str, object], str]
CLOSED, SILENT, WEB = "closed", "silent", "web"


def answer(server: socket.socket) -> None:
    """Be a web server, which answers in its own way and hangs up."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            client.recv(100)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """Where nothing listens, where somebody never says a word, and a web server's."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as web:
        thread = Thread(target=answer, args=(web,), daemon=True)
        thread.start()
        yield {CLOSED: closed, SILENT: silent.getsockname()[1], WEB: web.getsockname()[1]}
        web.shutdown(socket.SHUT_RDWR)
        thread.join(20)


def run(url: str, timeout: str = "300ms", **env: str) -> Said:
    """Exit code, the line that says what was in the way, and standard error."""
    settings = {"MQ_URL": url, "MQ_CH": "jobs", "PREFLIGHT_TIMEOUT": timeout, "LOG_FORMAT": "json", **env}
    ended = subprocess.run(
        [sys.executable, "-m", "common.doctor.preflight"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    said: dict[str, object] = next((line for line in lines if line["event"] == "the broker cannot be used"), {})
    return ended.returncode, said, ended.stderr


def test_what_is_in_the_way_is_the_exit_code(ports: dict[str, int]) -> None:
    """With the reason, without the password, and in time; all at once, since each is a program of its own."""
    cases = {
        f"amqp://user:{SECRET}@127.0.0.1:{ports[CLOSED]}": (11, "tcp", "nothing listens there"),
        f"amqps://user:{SECRET}@127.0.0.1:{ports[WEB]}": (12, "tls", "is it the broker's TLS port?"),
        f"amqp://user:{SECRET}@127.0.0.1:{ports[WEB]}": (13, "handshake", ""),
        f"amqp://user:{SECRET}@127.0.0.1:{ports[SILENT]}": (13, "handshake", ""),
    }
    with ThreadPoolExecutor() as pool:
        for case, (code, said, err) in zip(cases, pool.map(run, cases), strict=True):
            kind, what, sentence = cases[case]
            assert (code, said.get("what"), said.get("exit_code")) == (kind, what, kind), err
            assert sentence in str(said["reason"])
            assert said["advice"] == ADVICE[Kind(kind)]
            assert SECRET not in err
            assert "Traceback" not in err


def test_a_wrong_setting_is_2() -> None:
    """As of the services."""
    code, _, err = run("amqp://h", timeout="soon")
    assert code == 2
    assert err.startswith("PREFLIGHT_TIMEOUT: ")


def test_it_waits_for_what_may_still_come() -> None:
    """A broker that starts together with it."""
    assert PreflightSettings.model_fields["preflight_timeout"].default >= 60
