"""Request: what a `POST /messages` brings, as messages, or why it cannot be taken. Pure."""

import re
from collections.abc import Collection, Mapping
from hmac import compare_digest
from ipaddress import ip_address
from itertools import islice
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from common.message import Message
from common.observe.trace_context import TRACEPARENT, TRACESTATE, trace_context

PATH = "/messages"
# Each is in use, the last two by Spring's WebFlux and by libraries for streams.
BATCH = re.compile(r"(application|text)/(x-)?(ndjson|jsonl|jsonlines|json-lines|ldjson|stream\+json|json-stream)")
NO_BATCH = re.compile(r"application/(x-)?json-seq|.*\+json-seq")  # RFC 7464: other separators
MAX_BATCH_LINES = 1000  # each costs more memory than its bytes
# Both travel in AMQP's short strings, of 255 bytes; a key gets a number behind it.
CONTENT_TYPE = re.compile(r"[\x20-\x7e]{1,255}")
KEY = re.compile(r"[\x21-\x7e]{1,200}")


class Answer(Exception):  # noqa: N818 - raised instead of taking anything; 202 is no error
    """An HTTP status, and what the body says, as a JSON object."""

    def __init__(self, status: int, error: str | None = None, **more: object) -> None:
        self.status = status
        self.says = {"error": error, **more} if error else more


def check_access(environ: Mapping[str, Any], hosts: Collection[str], token: bytes | None) -> None:
    """Refuse what a web page can make a browser send, and who has not the `token`. Raises Answer.

    Browsers name the page in Origin, or say in Sec-Fetch-Site how far away it is; other clients send neither. `hosts`
    are the names that Host may have, `*` is any: a page whose own name was pointed to this machine is no other site for
    a browser. An address in Host is always taken, since no page can have that.
    """
    if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin"):
        raise Answer(403, "sent by a web page (Origin, Sec-Fetch-Site), which may not publish")
    host = environ.get("HTTP_HOST", "")
    if host and "*" not in hosts and not _known(host, hosts):
        raise Answer(403, f"Host {host[:100]!r} is none of PRODUCER_HTTP_HOSTS")
    if token is not None:
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        right = compare_digest(given.strip().encode("latin-1"), token)
        if not (right and token and scheme.lower() == "bearer"):
            raise Answer(401, "Authorization: Bearer, with the token of PRODUCER_HTTP_TOKEN_FILE, is needed")


def _known(host: str, hosts: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""  # in lower case, without port and brackets
        return name.removesuffix(".") in hosts or bool(ip_address(name))
    except ValueError:
        return False


def read_request(environ: Mapping[str, Any], body: bytes, max_body: int) -> list[Message]:
    """The messages of a request: one, or one a line of a batch, whose blank lines count for nothing. Raises Answer.

    `environ` is WSGI's (PEP 3333). The header Idempotency-Key becomes the message id, with `-1`, `-2` ... behind it in
    a batch; so a request that is sent again gives the same ids. `max_body` is for each message, in bytes.
    """
    if environ["PATH_INFO"] != PATH:
        raise Answer(404, f"there is only POST {PATH}")
    if environ["REQUEST_METHOD"] != "POST":
        raise Answer(405, f"only POST is for {PATH}")
    if environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise Answer(415, "Content-Encoding: send the body as it is to arrive")
    if "HTTP_TRANSFER_ENCODING" in environ:  # which waitress decodes, and takes away, in HTTP/1.1
        raise Answer(400, "Transfer-Encoding needs HTTP/1.1")
    key = _header(environ, "Idempotency-Key", KEY, "1 to 200 visible ASCII characters") or uuid4().hex
    content_type = _header(environ, "Content-Type", CONTENT_TYPE, "at most 255 ASCII characters")
    context = trace_context({name: environ.get(f"HTTP_{name.upper()}") for name in (TRACEPARENT, TRACESTATE)})
    kind = content_type.partition(";")[0].strip().lower()
    if NO_BATCH.fullmatch(kind):
        raise Answer(415, f"{kind}: a batch is sent as application/x-ndjson, an item a line")
    if BATCH.fullmatch(kind):
        named = [(f"{key}-{number}", line) for number, line in enumerate(_lines(body), 1)]
        content_type = "application/json"
    else:
        named = [(key, body)]
    if longest := max((len(each) for _, each in named if len(each) > max_body), default=0):
        raise Answer(413, f"a message of {longest} bytes is over MQ_MAX_BODY ({max_body})")
    said = content_type or None  # a type that nobody said is none, in AMQP as in HTTP
    return [Message(each, content_type=said, headers=context, message_id=name) for name, each in named]


def _header(environ: Mapping[str, Any], name: str, pattern: re.Pattern[str], wanted: str) -> str:
    variable = name.upper().replace("-", "_")
    value: str = environ.get("CONTENT_TYPE" if name == "Content-Type" else f"HTTP_{variable}", "")
    if value and not pattern.fullmatch(value):
        raise Answer(400, f"{name} must be {wanted}")
    return value


def _lines(body: bytes) -> list[bytes]:
    found = (match[0] for match in re.finditer(rb"[^\n]+", body))  # one by one: a million short ones would take 50 MB
    lines = list(islice((line for line in found if line.strip()), MAX_BATCH_LINES + 1))
    if len(lines) > MAX_BATCH_LINES:
        raise Answer(413, f"a batch of more than {MAX_BATCH_LINES} lines: send several")
    if not lines:
        raise Answer(400, "a batch without a line")
    return lines
