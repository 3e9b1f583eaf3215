"""Clients that are slow, silent, many, or told that their request is not taken while they still send it."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from structlog.testing import capture_logs

from producer.http.connections import Connection
from tests.processes import until
from tests.unit.producer.http.opened import PATIENCE, Opened

HEAD = b"POST /messages HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = HEAD + b"Content-Length: 1\r\n\r\nx"
BOUND = 33  # connections of a source that takes one request


@pytest.fixture
def opened() -> Iterator[Opened]:
    opening = Opened(producer_http_requests=1, producer_http_max_body=1_000_000)
    opening.confirming()
    yield opening
    opening.source.pending.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, opened: Opened) -> Opened:
    """One that gives two seconds in place of thirty."""
    monkeypatch.setattr("producer.http.connections.REQUEST_SECONDS", 2)
    return opened


def connections(opened: Opened) -> list[Connection]:
    """Those that are open now."""
    return list(opened.source._server.active_channels.values())


def seconds_until_closed(client: socket.socket, piece: bytes) -> float:
    """How long it stays open when it sends a `piece` every quarter of a second; 20 if longer."""
    began = time.monotonic()
    client.settimeout(0.25)
    with contextlib.suppress(OSError):
        while time.monotonic() - began < 20:
            try:
                if client.recv(1000):
                    continue
                if not piece:
                    break
                time.sleep(0.25)  # who was refused may still send
            except TimeoutError:
                pass
            client.sendall(piece)
    return time.monotonic() - began


SLOW = {
    "silent": (b"", b""),
    "empty lines": (b"", b"\r\n"),
    "the first line": (b"", b"P"),
    "headers": (HEAD, b"a: b\r\n"),
    "a body": (HEAD + b"Content-Length: 1000\r\n\r\n", b"x"),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "after an answer": (WHOLE, b""),
    "after a refusal": (HEAD + b"Content-Length: 9999999\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_whole_request_has_one_deadline(hasty: Opened, kind: str) -> None:
    """Each piece that comes buys no time."""
    first, piece = SLOW[kind]
    with hasty.connect(first) as client:
        assert 1.5 < seconds_until_closed(client, piece) < 15


def test_a_kept_connection_has_the_whole_time_again_after_each_answer(hasty: Opened) -> None:
    connection = HTTPConnection("127.0.0.1", hasty.port, timeout=PATIENCE)
    for _ in range(4):
        time.sleep(1)
        connection.request("POST", "/messages", b"x")
        assert connection.getresponse().read()
    connection.close()
    assert hasty.bodies == [b"x"] * 4


def test_who_waits_for_confirms_is_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is in has the time of PRODUCER_HTTP_TIMEOUT."""
    monkeypatch.setattr("producer.http.connections.REQUEST_SECONDS", 0.5)
    opened = Opened(producer_http_timeout="4s")
    client = opened.post()
    _, position = opened.take()
    time.sleep(2.5)
    opened.source.pending.confirmed(position)
    assert client.answer()[0] == 202


@pytest.mark.parametrize("kind", ["silent", "a body", "after an answer"])
def test_a_request_is_answered_while_strangers_hold_all_connections(opened: Opened, kind: str) -> None:
    """Of more than may be, the one that has kept us waiting longest makes room."""
    with contextlib.ExitStack() as stack:
        for _ in range(4 * BOUND):
            stack.enter_context(opened.connect(SLOW[kind][0]))
        for _ in range(5):
            until(lambda: opened.post().answer()[0] == 202, "a place", 2)
        until(lambda: len(connections(opened)) <= BOUND, "no more than may be")


def test_what_requests_in_the_making_hold_is_bounded_by_their_number(opened: Opened) -> None:
    """Each holds at most PRODUCER_HTTP_MAX_BODY."""
    with contextlib.ExitStack() as stack:
        for _ in range(2 * BOUND):
            client = stack.enter_context(opened.connect(HEAD + b"Content-Length: 1000000\r\n\r\n"))
            client.sendall(b"x" * 900_000)

        def held_now() -> list[int]:
            return [each.request.body_bytes_received for each in connections(opened) if each.request]

        held = until(held_now, "a body is being read")
        assert len(held) <= BOUND + 1
        assert max(held) <= 1_000_000
        assert opened.post().answer()[0] == 202


@pytest.mark.parametrize("length", [5_000_000, 50_000_000])
def test_who_still_sends_what_is_refused_sees_the_answer(opened: Opened, length: int) -> None:
    """A reset in the middle would take the answer away; what comes after it is thrown away."""
    with opened.connect(HEAD + b"Content-Length: %d\r\n\r\n" % length) as client:
        client.sendall(b"x" * length)
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 413")
    assert opened.bodies == []


def test_used_up_descriptors_are_waited_for_without_a_busy_core(opened: Opened) -> None:
    """One line a second says so, and who waits is served when there is one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with capture_logs() as lines, socket.socket() as client:
        client.settimeout(PATIENCE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno(), before[1]))
        spent = time.process_time()
        try:
            client.connect(("127.0.0.1", opened.port))
            client.sendall(WHOLE)
            time.sleep(1.5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert time.process_time() - spent < 0.5
        assert client.recv(12) == b"HTTP/1.1 202"
    assert {line["event"] for line in lines} == {"a connection cannot be accepted, and is tried again"}
    assert len(lines) <= 3
