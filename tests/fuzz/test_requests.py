"""Whatever a client sends to the HTTP source: an answer of ours or none, and the next client is served."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.ports import free_port
from producer.http.server import HttpSource
from producer.settings import ProducerSettings
from tests.fuzz.conftest import Fuzz

WORDS = st.sampled_from([b"POST", b"GET", b"HEAD", b"PRI", b"/messages", b"/", b"*", b"HTTP/1.1", b"HTTP/1.0", b""])
ABOUT_BODIES = [b"Content-Length", b"Transfer-Encoding", b"Content-Type", b"Content-Encoding", b"Expect"]
ABOUT_CLIENTS = [b"Host", b"Connection", b"Origin", b"Sec-Fetch-Site", b"Authorization", b"traceparent", b"tracestate"]
NAMES = st.sampled_from([*ABOUT_BODIES, *ABOUT_CLIENTS, b"Idempotency-Key"])
KNOWN = [b"localhost", b"5", b"-1", b"99999999999", b"chunked", b"application/x-ndjson", b"100-continue", b"keep-alive"]
VALUES = st.sampled_from(KNOWN) | st.binary(max_size=40)
JUNK = st.binary(max_size=200)
LINES = st.tuples(WORDS | JUNK, WORDS | JUNK, WORDS | JUNK).map(b" ".join)
HEADERS = st.lists(st.tuples(NAMES | JUNK, VALUES).map(b": ".join), max_size=8)
CHUNKS = st.lists(st.tuples(st.sampled_from([b"5", b"0", b"ff", b"-1"]) | JUNK, JUNK).map(b"\r\n".join), max_size=4)
BODIES = JUNK | CHUNKS.map(b"\r\n".join) | st.just(b'{"a": 1}\n' * 5)
REQUESTS = st.builds(
    lambda line, headers, end, body: end.join([line, *headers, b"", b""]) + body,
    st.just(b"POST /messages HTTP/1.1") | LINES,
    HEADERS,
    st.just(b"\r\n") | st.sampled_from([b"\n", b"\r"]),
    BODIES,
)
OURS = {202, 400, 403, 404, 405, 411, 413, 415, 422, 429, 431, 501, 505}


@pytest.fixture
def source() -> Iterator[HttpSource]:
    """One that confirms whatever comes."""
    settings = ProducerSettings.model_validate(
        {"mq_url": "amqp://h", "mq_ch": "jobs", "producer_source": "http", "producer_http_port": free_port()}
    )
    source = HttpSource(settings, list)

    def confirm() -> None:
        for item in source.items():
            assert item.position
            source.pending.confirmed(item.position)

    thread = Thread(target=confirm, daemon=True)
    thread.start()
    yield source
    source.pending.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_whatever_is_sent_is_answered_or_dropped_and_the_next_request_is_taken(source: HttpSource, fuzz: Fuzz) -> None:
    port = source._settings.producer_http_port

    @given(st.lists(REQUESTS, min_size=1, max_size=3).map(b"".join) | JUNK)
    def one(sent: bytes) -> None:
        answer = b""
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        if answer:
            version, status, *_ = answer.split(b" ")
            assert version.startswith(b"HTTP/1."), answer
            assert int(status) in OURS, answer
        after = HTTPConnection("127.0.0.1", port, timeout=10)
        after.request("POST", "/messages", b"good")
        assert after.getresponse().status == 202
        after.close()

    fuzz(one)
