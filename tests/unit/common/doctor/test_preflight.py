"""`python -m common.doctor.preflight` where no broker is: the whole program, as an init container runs it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
from pika.channel import Channel

from common.amqp.errors import ADVICE, BrokerError, Kind
from common.doctor.preflight import Doctor, Preflight
from common.doctor.report import Check, Status
from common.doctor.settings import CheckSettings
from common.settings.broker_url import parse_urls
from tests.unit.conftest import Loop

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


class Recorder:
    """A channel that writes down what it is asked for."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **_: self.sent.append((name, given))


def preflight(process: Loop, *, login_only: bool = False) -> tuple[Preflight, list[BrokerError]]:
    """It, and what it fails its connection with."""
    settings = CheckSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", "consumer_retry_delays": "off"})
    made, failed = Preflight(process, settings, 1.0, login_only=login_only), list[BrokerError]()
    cast("Any", made.connection).fail = failed.append
    return made, failed


def test_it_declares_what_the_services_declare_and_asks_for_what_they_need(process: Loop) -> None:
    """One that only logs in makes no queue, and asks for nothing."""
    for login_only, asked in ((False, 3), (True, 1)):
        made, failed = preflight(process, login_only=login_only)
        requests, recorder = made._requests(), Recorder()
        next(requests)(cast("Channel", recorder), lambda _: None)
        queues = [given[0] for name, given in recorder.sent if name == "queue_declare"]
        assert queues == ([] if login_only else ["jobs.dead", "jobs"])
        assert recorder.sent[-1][0] == "basic_qos"
        assert 1 + sum(1 for _ in requests) == asked
        assert failed == []


def test_a_queue_that_differs_is_told_argument_by_argument(process: Loop) -> None:
    """As the doctor does."""
    made, failed = preflight(process)
    requests = made._requests()
    next(requests)
    text = "inequivalent arg 'x-delivery-limit' for queue 'jobs' in vhost '/': received '20' but current is '7'"
    requests.send(BrokerError(Kind.TOPOLOGY, f"406 PRECONDITION_FAILED - {text}"))
    with pytest.raises(StopIteration):
        requests.send(None)
    [broker_error] = failed
    assert (broker_error.kind, broker_error.advice) == (Kind.TOPOLOGY, ADVICE[Kind.TOPOLOGY])
    assert "queue jobs: x-delivery-limit is 7 and not 20" in broker_error.text


def test_a_permission_that_is_missing_is_in_the_way(process: Loop) -> None:
    """The pod would never become ready."""
    made, failed = preflight(process)
    requests, forbidden = made._requests(), BrokerError(Kind.PERMISSION, "403 ACCESS_REFUSED - no")
    next(requests)
    requests.send(None)
    with pytest.raises(StopIteration):
        requests.send(forbidden)
    assert failed == [forbidden]


URL = "amqp://user:Zq7Xj9Kv@127.0.0.1:1/"


def doctor(process: Loop, told: list[Check], url: str = URL) -> Doctor:
    settings = CheckSettings.model_validate({"mq_url": url, "mq_ch": "jobs", "mq_connect_timeout": "1s"})
    return Doctor(process, settings, parse_urls(url)[0], told.append)


def test_it_tries_once_and_tells_why_it_came_to_nothing(process: Loop) -> None:
    """Without the password."""
    told: list[Check] = []
    made = doctor(process, told)
    made.start()
    process.turn(made.done, "the broker_error")
    made.close()
    assert [(check.name, check.status, check.exit_code) for check in told] == [("login", Status.FAILED, 11)]
    assert not made.passed
    assert "Zq7Xj9Kv" not in str(told)


def test_a_user_name_that_is_a_token_is_not_told(process: Loop) -> None:
    """Of a user with a password the name is."""
    told: list[Check] = []
    made = doctor(process, told, "amqp://Zq7Xj9Kv@127.0.0.1:1/")
    made.connection.broker_error = BrokerError(Kind.VHOST, "refused for user 'Zq7Xj9Kv'")
    made.close()
    assert [check.text for check in told] == ["user …", "refused for user '…'"]
    assert doctor(process, told)._login.text == "user user"


def test_it_gives_up_in_time_and_says_so(process: Loop) -> None:
    """Whatever the broker does."""
    told: list[Check] = []
    made = doctor(process, told)
    now = time.monotonic()
    made.tick(now)
    assert not made.done()
    made.tick(now + 60)
    assert made.done()
    made.close()
    assert [check.exit_code for check in told] == [19]


def test_one_who_is_interrupted_tells_nothing(process: Loop) -> None:
    """It is not known."""
    told: list[Check] = []
    made = doctor(process, told)
    made.stop()
    made.close()
    assert made.interrupted
    assert told == []
