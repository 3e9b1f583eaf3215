"""What is taken from a request, and what is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.message import Message
from producer.http.request import MAX_BATCH_LINES, Answer, check_access, read_request

CONTEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def read(body: bytes = b"", content_type: str = "", method: str = "POST", path: str = "/messages", **more: str) -> Any:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_TYPE": content_type, **more}
    return read_request(environ, body, 100)


def refused(status: int, *arguments: Any, **more: Any) -> str:
    """The error of a request that must be answered so."""
    with pytest.raises(Answer) as caught:
        read(*arguments, **more)
    assert caught.value.status == status
    json.dumps(caught.value.says)
    return str(caught.value.says["error"])


@pytest.mark.parametrize("body", [b"", b"\x00\xff\n", b"x" * 100])
def test_any_body_is_one_message(body: bytes) -> None:
    """Of the type that the request gave, with a name of its own."""
    (plain,) = read(body)
    (typed,) = read(body, 'text/plain; charset="utf-8"')
    assert plain.body == typed.body == body
    assert (plain.content_type, typed.content_type) == (None, 'text/plain; charset="utf-8"')
    assert len(plain.message_id) == 32
    assert plain.message_id != typed.message_id
    assert plain.headers == {}


NDJSON = [
    *("application/x-ndjson", "application/X-NDJSON; charset=utf-8", "application/ndjson", "application/jsonl"),
    *("application/x-jsonlines", "application/jsonlines", "application/json-lines", "application/x-ldjson"),
    *("text/x-ndjson", "text/jsonl", "application/stream+json", "application/x-json-stream"),
]


@pytest.mark.parametrize("kind", NDJSON)
def test_a_batch_is_a_message_a_line(kind: str) -> None:
    """Blank lines count for nothing, with or without a newline at the end; lines stay as they are."""
    messages: list[Message] = read(b'{"a":1}\r\n\n \n[2]\n"\xff"', kind, HTTP_IDEMPOTENCY_KEY="order-7")
    assert [message.body for message in messages] == [b'{"a":1}\r', b"[2]", b'"\xff"']
    assert [message.message_id for message in messages] == ["order-7-1", "order-7-2", "order-7-3"]
    assert {message.content_type for message in messages} == {"application/json"}
    assert len(read(b"x\n\n \r\n" * MAX_BATCH_LINES, kind)) == MAX_BATCH_LINES


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line and line.strip()), min_size=1))
def test_a_batch_gives_back_the_lines_it_was_made_of(lines: list[bytes]) -> None:
    """In their order, each with an id of its own."""
    messages = read(b"\n".join(lines), "application/x-ndjson")
    assert [message.body for message in messages] == lines
    assert len({message.message_id for message in messages}) == len(lines)


def test_a_request_that_is_sent_again_has_the_same_ids() -> None:
    """That is what its key is for."""
    for kind in ("text/plain", "application/x-ndjson"):
        first, second = (read(b"1\n2", kind, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
        assert [each.message_id for each in first] == [each.message_id for each in second]


def test_a_trace_context_travels_on_and_a_malformed_one_does_not() -> None:
    """With each line of a batch."""
    good = read(b"1\n2", "application/x-ndjson", HTTP_TRACEPARENT=CONTEXT, HTTP_TRACESTATE="a=1")
    assert [message.headers for message in good] == [{"traceparent": CONTEXT, "tracestate": "a=1"}] * 2
    (bad,) = read(b"1", HTTP_TRACEPARENT=f"{CONTEXT}, {CONTEXT}", HTTP_TRACESTATE="a=1")
    assert bad.headers == {}


def test_only_post_to_the_one_path_is_taken() -> None:
    """With what there is instead."""
    assert "POST /messages" in refused(404, path="/")
    refused(404, path="/messages/")
    for method in ("GET", "PUT", "HEAD"):
        assert "POST" in refused(405, method=method)


@pytest.mark.parametrize("key", ["", "x" * 200])
def test_a_key_may_be_long_or_absent(key: str) -> None:
    """With a number behind it, it still fits into a message id."""
    messages = read(b"x\n" * MAX_BATCH_LINES, "application/x-ndjson", HTTP_IDEMPOTENCY_KEY=key)
    assert all(len(message.message_id) <= 255 for message in messages)


@pytest.mark.parametrize(
    ("status", "body", "kind", "headers", "says"),
    [
        (400, b"x", "", {"HTTP_IDEMPOTENCY_KEY": "x" * 201}, "Idempotency-Key"),
        (400, b"x", "", {"HTTP_IDEMPOTENCY_KEY": "a b"}, "Idempotency-Key"),
        (400, b"x", "", {"HTTP_IDEMPOTENCY_KEY": "\xfc"}, "Idempotency-Key"),
        (400, b"x", "t" * 256, {}, "Content-Type"),
        (400, b"x", "text/pl\xe4in", {}, "Content-Type"),
        (400, b"", "application/x-ndjson", {}, "without a line"),
        (400, b"\n \n", "application/x-ndjson", {}, "without a line"),
        (413, b"x\n" * (MAX_BATCH_LINES + 1), "application/x-ndjson", {}, "1000 lines"),
        (413, b"x\n" * MAX_BATCH_LINES + b"x", "application/x-ndjson", {}, "1000 lines"),
        (413, b"x" * 101, "", {}, "101 bytes is over MQ_MAX_BODY (100)"),
        (413, b"x\n" + b"y" * 102, "application/x-ndjson", {}, "102 bytes"),
        (400, b"", "", {"HTTP_TRANSFER_ENCODING": "chunked"}, "HTTP/1.1"),
        (415, b"x", "", {"HTTP_CONTENT_ENCODING": "gzip"}, "Content-Encoding"),
        (415, b"\x1e1\n", "application/json-seq", {}, "application/x-ndjson"),
        (415, b"\x1e1\n", "Application/Geo+JSON-seq; x=1", {}, "application/x-ndjson"),
    ],
)
def test_what_cannot_be_taken_is_refused_as_a_whole(
    status: int, body: bytes, kind: str, headers: dict[str, str], says: str
) -> None:
    """With a sentence that names what is wrong."""
    assert says in refused(status, body, kind, **headers)


def access(token: bytes | None = None, hosts: str = "localhost producer", **environ: str) -> int:
    """The status with which a request with these variables is refused, or 202."""
    try:
        check_access(environ, hosts.split(), token)
    except Answer as refused:
        json.dumps(refused.says)
        return refused.status
    return 202


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_what_no_web_page_has_sent_is_let_in(site: str) -> None:
    assert access() == access(HTTP_HOST="localhost:8000", HTTP_SEC_FETCH_SITE=site) == 202


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "None", "none, none", "same-origin, cross-site"])
def test_any_other_site_is_refused(site: str) -> None:
    assert access(HTTP_SEC_FETCH_SITE=site) == 403


@pytest.mark.parametrize("origin", ["null", "", "http://localhost:8000", "https://evil.example"])
def test_any_origin_is_refused(origin: str) -> None:
    """The port has no page, so there is none whose origin it is."""
    assert access(HTTP_ORIGIN=origin) == access(HTTP_ORIGIN=origin, HTTP_SEC_FETCH_SITE="same-origin") == 403


@pytest.mark.parametrize(
    "host", ["", "localhost", "LOCALHOST:8000", "localhost.", "producer", "127.0.0.1:80", "10.1.2.3", "[::1]:8000"]
)
def test_our_names_and_any_address_are_taken_as_host(host: str) -> None:
    """A page cannot have an address of this machine as its name without being served by it."""
    assert access(HTTP_HOST=host) == 202


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "producer.com",
            "localhost, evil.example",
        ),
        *("[::1", "[evil.example]", "evil.example:8000", "user@evil.example", "localhost@evil.example", "\xe4", ":80"),
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    """Unless every name is let in."""
    assert access(HTTP_HOST=host) == 403
    assert access(HTTP_HOST=host, hosts="*") == 202


@pytest.mark.parametrize("given", ["Bearer s3cr3t", "bearer  s3cr3t", "BEARER s3cr3t"])
def test_the_right_token_is_taken(given: str) -> None:
    assert access(b"s3cr3t", HTTP_AUTHORIZATION=given) == 202


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "s3cr3t", "Basic s3cr3t", "Bearer s3cr3", "Bearer s3cr3tt", "Bearer \xe4"]
)
def test_a_wrong_token_is_refused(given: str) -> None:
    """And an empty file lets nobody in."""
    assert access(b"s3cr3t", HTTP_AUTHORIZATION=given) == access(b"", HTTP_AUTHORIZATION=given) == 401
