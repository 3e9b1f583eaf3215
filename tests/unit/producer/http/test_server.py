"""The HTTP source with a test in the broker's place; with a broker it is tested in tests/system."""

import json
import socket
from collections.abc import Container, Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import IO

import pytest
from prometheus_client import REGISTRY

from common.plugins import ConfigError
from producer.http.server import HttpSource
from tests.unit.producer.http.opened import Opened, make


@pytest.fixture
def opened() -> Iterator[Opened]:
    opening = Opened(producer_http_requests=2, producer_http_timeout="300ms")
    yield opening
    opening.source.pending.close()


def counted(status: int) -> float:
    return REGISTRY.get_sample_value("producer_http_requests_total", {"status": str(status)}) or 0.0


def test_an_answer_comes_with_the_confirm_and_not_before(opened: Opened) -> None:
    """Its ids are those of the messages."""
    before = counted(202)
    client = opened.post(b"1\n2\n", Content_Type="application/x-ndjson", Idempotency_Key="k")
    (first, one), (second, two) = opened.take(), opened.take()
    opened.source.pending.confirmed(one)
    assert counted(202) == before
    assert REGISTRY.get_sample_value("producer_http_pending") == 1
    opened.source.pending.confirmed(two)
    status, says, response = client.answer()
    assert (status, says) == (202, {"message_ids": ["k-1", "k-2"]})
    assert [first.message_id, second.message_id] == ["k-1", "k-2"]
    assert response.getheader("Server") is None
    assert counted(202) == before + 1


def test_without_a_confirm_in_time_it_says_that_the_message_may_still_arrive(opened: Opened) -> None:
    """It still holds its place."""
    status, says, _ = opened.post(Idempotency_Key="k").answer()
    assert (status, says["message_ids"]) == (504, ["k"])
    assert "300ms" in says["error"]
    assert "Idempotency-Key" in says["error"]
    assert len(opened.source.pending) == 1


def test_one_request_too_many_is_sent_away_and_nothing_of_it_is_taken(opened: Opened) -> None:
    """With the time after which to come again; there is room when another is through."""
    clients = [opened.post(), opened.post()]
    taken = [opened.take()[1] for _ in clients]
    status, says, response = opened.post(b"too many").answer()
    assert status == 429
    assert 1 <= int(response.getheader("Retry-After") or 0) <= 2
    assert "nothing was taken" in says["error"]
    for position in taken:
        opened.source.pending.confirmed(position)
    assert [client.answer()[0] for client in clients] == [202, 202]
    client = opened.post(b"again")
    message, position = opened.take()
    opened.source.pending.confirmed(position)
    assert (message.body, client.answer()[0]) == (b"again", 202)


def test_while_the_broker_is_away_nothing_is_taken(opened: Opened) -> None:
    """And the reason is said."""
    opened.reasons = ["producer: blocked"]
    status, says, response = opened.post().answer()
    assert (status, says["reasons"]) == (503, ["producer: blocked"])
    assert 1 <= int(response.getheader("Retry-After") or 0) <= 10
    assert len(opened.source.pending) == 0
    opened.reasons = []
    client = opened.post()
    opened.source.pending.confirmed(opened.take()[1])
    assert client.answer()[0] == 202


def test_messages_that_no_broker_takes_are_answered_422_with_their_ids(opened: Opened) -> None:
    """It is the client's to mend."""
    client = opened.post(b"1\n2", Content_Type="application/x-ndjson", Idempotency_Key="k")
    (_, one), (_, two) = opened.take(), opened.take()
    opened.source.pending.refused(one)
    opened.source.pending.confirmed(two)
    status, says, _ = client.answer()
    assert (status, says["refused"], says["message_ids"]) == (422, ["k-1"], ["k-1", "k-2"])


def test_who_waits_at_the_end_is_told() -> None:
    """Rather than cut off."""
    opened = Opened(producer_http_timeout="1m")
    client = opened.post()
    opened.take()
    opened.source.pending.close()
    status, says, response = client.answer()
    assert status == 503
    assert "may still arrive" in says["error"]
    assert response.getheader("Retry-After")


def test_a_wrong_request_is_answered_with_an_error_in_json(opened: Opened) -> None:
    """With what the status asks for."""
    status, says, _ = opened.post(path="/").answer()
    assert (status, says) == (404, {"error": "there is only POST /messages"})
    connection = HTTPConnection("127.0.0.1", opened.settings.producer_http_port, timeout=10)
    connection.request("GET", "/messages")
    response = connection.getresponse()
    assert (response.status, response.getheader("Allow")) == (405, "POST")
    connection.close()


def test_the_longest_body_is_taken_and_a_longer_one_is_not() -> None:
    """By its announced length, and in chunks without one."""
    opened = Opened(producer_http_max_body=1000)
    client = opened.post(b"x" * 1000)
    opened.source.pending.confirmed(opened.take()[1])
    assert client.answer()[0] == 202
    for headers, body in (({}, b"x" * 1001), ({"Transfer-Encoding": "chunked"}, iter([b"x" * 600, b"y" * 600]))):
        connection = HTTPConnection("127.0.0.1", opened.settings.producer_http_port, timeout=10)
        connection.request("POST", "/messages", body, headers, encode_chunked=bool(headers))
        assert connection.getresponse().status == 413
        connection.close()
    assert opened.came.empty()
    opened.source.pending.close()


def test_all_addresses_are_those_of_ipv4_too() -> None:
    """As of the health page, or a pod would be ready and not be reached."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = HttpSource(make(http_host="::", producer_http_port=port), list)
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    source._server.close()


def test_a_port_that_is_taken_is_refused_with_the_variable_to_change() -> None:
    """It names the variable."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f"127.0.0.1:{port}: Address already in use .*; change PRODUCER_HTTP_PORT"
        ):
            HttpSource(make(producer_http_port=port), list)
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:.*; change HTTP_HOST"):
        HttpSource(make(http_host="192.0.2.1"), list)


def request(body: bytes = b"x", method: str = "POST", more: str = "", path: str = "/messages") -> bytes:
    """As it is sent on a kept connection."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode("latin-1") + body


def answers(client: socket.socket, heads: Container[int] = ()) -> list[tuple[int, bytes]]:
    """Status and body of all that comes until the end; the answers numbered in `heads` have no body."""
    file: IO[bytes] = client.makefile("rb")
    found: list[tuple[int, bytes]] = []
    while line := file.readline():
        assert line.startswith(b"HTTP/1."), line
        length = 0
        while header := file.readline().strip():
            name, _, value = header.partition(b": ")
            length = int(value) if name == b"Content-Length" else length
        found.append((int(line.split()[1]), b"" if len(found) in heads else file.read(length)))
    return found


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS", "PUT", "DELETE", "BREW"])
@pytest.mark.parametrize(("path", "status"), [("/messages", 405), ("/", 404), ("/messages?a=b", 405)])
def test_after_any_answer_the_next_request_of_the_connection_gets_its_own(
    opened: Opened, method: str, path: str, status: int
) -> None:
    """An answer to HEAD has no body (RFC 9110, 9.3.2): one would be read as the start of the next answer."""
    opened.confirming()
    asked, close = request(b"", method, path=path), "Connection: close\r\n"
    heads = (0, 2) if method == "HEAD" else ()
    with opened.connect(asked + request() + asked + request(more=close)) as client:
        found = answers(client, heads)
    assert [code for code, _ in found] == [status, 202, status, 202]
    assert all(bool(body) == (number not in heads) for number, (_, body) in enumerate(found))


def test_pipelined_requests_get_their_answers_in_order() -> None:
    """Of each status that leaves the connection open, between two that are confirmed."""
    opened = Opened(producer_http_requests=1, producer_http_timeout="100ms", mq_max_body=100)
    opened.confirming()
    wrong = {
        405: request(method="HEAD", body=b""),
        413: request(b"x" * 101),
        415: request(more="Content-Encoding: gzip\r\n"),
        400: request(more="Idempotency-Key: a b\r\n"),
        403: request(more="Origin: http://elsewhere\r\n"),
    }
    for status, sent in wrong.items():
        last = request(b"last", more="Connection: close\r\n")
        with opened.connect(request(b"first") + sent + request(b"second") + sent + last) as client:
            heads = (1, 3) if status == 405 else ()
            assert [code for code, _ in answers(client, heads)] == [202, status, 202, status, 202]
    assert opened.bodies == [b"first", b"second", b"last"] * len(wrong)


BROKEN = {
    400: b"POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    413: b"POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n",
    431: b"POST /messages HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    501: b"POST /messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
}


@pytest.mark.parametrize("status", BROKEN)
def test_every_error_is_json(status: int) -> None:
    """Also of what is refused before it is read whole, and counted as well; the connection ends after it."""
    opened, before = Opened(producer_http_max_body=1000), counted(status)
    with opened.connect(BROKEN[status]) as client:
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status if status != 431 else b"HTTP/1.0 431 ")
    assert b"Content-Type: application/json" in head.split(b"\r\n")
    assert b"Content-Length: %d" % len(body) in head.split(b"\r\n")
    says = json.loads(body)
    assert list(says) == ["error"]
    assert status != 413 or "PRODUCER_HTTP_MAX_BODY (1000)" in says["error"]
    assert counted(status) == before + 1
    if status == 413:
        with opened.connect(BROKEN[413].replace(b"POST", b"HEAD")) as client:
            assert client.makefile("rb").read().endswith(b"\r\n\r\n")


def test_a_chunked_body_needs_http_1_1(opened: Opened) -> None:
    """In HTTP/1.0 it would be taken for an empty message, and the chunks for another request."""
    sent = b"POST /messages HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    with opened.connect(sent) as client:
        assert client.makefile("rb").readline().split()[1] == b"400"
    assert opened.came.empty()


FOREIGN = {
    "a form": "Origin: http://evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\n",
    "a sandboxed frame": "Origin: null\r\n",
    "a script of this machine": "Sec-Fetch-Site: same-site\r\nContent-Type: text/plain\r\n",
    "an image": "Sec-Fetch-Site: cross-site\r\n",
    "an own page": "Origin: http://localhost:8000\r\nSec-Fetch-Site: same-origin\r\n",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_web_page_cannot_publish(opened: Opened, kind: str) -> None:
    """Whatever a browser sends without asking first (a form, plain text) it marks; see tests/system for a browser."""
    opened.confirming()
    with opened.connect(request(more=FOREIGN[kind] + "Connection: close\r\n")) as client:
        [(status, body)] = answers(client)
    assert (status, list(json.loads(body))) == (403, ["error"])
    assert opened.bodies == []


def test_a_name_that_is_not_ours_cannot_publish(opened: Opened) -> None:
    """DNS rebinding: a page whose name points to this machine is the same origin for a browser, but names itself."""
    opened.confirming()
    for host, status in (("evil.example:8000", 403), ("producer:8000", 202), ("127.0.0.1", 202)):
        with opened.connect(request(more="Connection: close\r\n").replace(b"localhost", host.encode())) as client:
            assert [code for code, _ in answers(client)] == [status], host


def test_the_token_is_asked_for_and_read_again_from_its_file(tmp_path: Path) -> None:
    """So it can be changed while the producer runs; while it cannot be read, nothing is taken."""
    file = tmp_path / "token"
    file.write_text("s3cr3t\n")
    opened = Opened(producer_http_token_file=str(file))
    opened.confirming()
    status, says, response = opened.post().answer()
    assert (status, response.getheader("WWW-Authenticate")) == (401, "Bearer")
    assert "s3cr3t" not in str(says)
    assert opened.post(Authorization="Bearer s3cr3t").answer()[0] == 202
    file.write_text("other")
    assert opened.post(Authorization="Bearer s3cr3t").answer()[0] == 401
    assert opened.post(Authorization="bearer other").answer()[0] == 202
    file.write_text("")
    assert opened.post(Authorization="Bearer ").answer()[0] == 401
    file.unlink()
    assert opened.post(Authorization="Bearer other").answer()[0] == 503
    assert opened.bodies == [b"x", b"x"]


def test_without_a_thread_for_each_request_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have a limit; the sentence names the variable."""

    def start(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", start)
    with pytest.raises(ConfigError, match="can't start new thread; lower PRODUCER_HTTP_REQUESTS"):
        HttpSource(make(), list)
