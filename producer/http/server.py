"""HTTP source: `POST /messages` for other services. An answer of 202 says that the broker has confirmed all of it.

waitress takes the requests: a loop that reads them whole, so that a slow client holds no thread, and a thread for each
while it is answered.
"""

import json
import logging
import random
import socket
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from threading import Thread
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import structlog
from prometheus_client import Counter, Gauge

from common.plugins import ConfigError
from common.process.run import PORT_ERRORS
from common.settings.types import format_duration
from producer.follower import Item
from producer.http.connections import Server
from producer.http.pending import Pending, Receipt
from producer.http.request import Answer, check_access, read_request
from producer.settings import ProducerSettings

SPARE_THREADS = 4  # for what is answered at once, beside those that wait for confirms
SPARE_CONNECTIONS = 32  # that may be open beside one for each request
MAX_HEADER_BYTES = 16 * 1024  # of a request
MAX_RETRY_AFTER_SECONDS = {429: 2, 503: 10}  # drawn: who was sent away together should not come back together
NEEDED = {401: ("WWW-Authenticate", "Bearer"), 405: ("Allow", "POST")}  # headers that a status must have

log = structlog.get_logger()
REQUESTS = Counter("producer_http_requests", "Requests that were answered; 202 is confirmed.", ["status"])
PENDING = Gauge("producer_http_pending", "Requests whose messages are not all confirmed, or that wait for an answer.")


def _counted(answer: Answer) -> bytes:
    """The body of an answer, which is counted."""
    REQUESTS.labels(answer.status).inc()
    return json.dumps(answer.says).encode() + b"\n"


class HttpSource:
    """A WSGI application. `reasons` says why nothing can be sent now; empty is well."""

    def __init__(self, settings: ProducerSettings, reasons: Callable[[], list[str]]) -> None:
        """Bind the port. Raises ConfigError."""
        self.pending = Pending(settings.producer_http_requests)
        self._settings, self._reasons = settings, reasons
        self._hosts = frozenset(settings.producer_http_hosts.split(","))
        host, port = settings.http_host, settings.producer_http_port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()  # as the health page does
            listener = socket.create_server((host, port), family=family, dualstack_ipv6=both)
        except OSError as error:
            change = "PRODUCER_HTTP_PORT" if error.errno in PORT_ERRORS else "HTTP_HOST"
            raise ConfigError(f"http cannot listen on {host}:{port}: {error.strerror}; change {change}") from None
        logging.getLogger("waitress").setLevel(logging.ERROR)  # it warns of each request that finds all threads at work
        try:
            self._server = Server(
                self,
                listener,
                settings.producer_http_requests + SPARE_CONNECTIONS,
                self._refused,
                threads=settings.producer_http_requests + SPARE_THREADS,
                max_request_header_size=MAX_HEADER_BYTES,
                max_request_body_size=settings.producer_http_max_body + 1,
                inbuf_overflow=settings.producer_http_max_body + 1,  # never into a file: the root may be read-only
                asyncore_use_poll=True,
                ident=None,
            )
        except RuntimeError as error:
            listener.close()
            raise ConfigError(f"http has no thread for each request: {error}; lower PRODUCER_HTTP_REQUESTS") from None
        PENDING.set_function(self.pending.__len__)
        log.info("listening for POST /messages", host=host, port=port)

    def items(self) -> Iterator[Item]:
        """Serve from now on, in threads of its own; the messages as they come. Source thread."""
        Thread(target=self._server.run, name="http-source", daemon=True).start()
        return self.pending.items()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        receipt = None
        try:
            check_access(environ, self._hosts, self._token())
            with environ["wsgi.input"] as stream:  # closed, or a body would be held twice while it is on its way
                messages = read_request(environ, stream.read(), self._settings.mq_max_body)
            if reasons := self._reasons():
                raise Answer(503, "not ready; nothing was taken", reasons=reasons)
            receipt = self.pending.admit(messages)
            if not receipt:
                raise Answer(429, "there is no room for another request; nothing was taken")
            answer = self._wait(receipt)
        except Answer as instead:
            answer = instead
        body = _counted(answer)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        if most := MAX_RETRY_AFTER_SECONDS.get(answer.status):
            headers.append(("Retry-After", str(random.randint(1, most))))
        if answer.status in NEEDED:
            headers.append(NEEDED[answer.status])
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        # A body after HEAD would be read as the start of the next answer.
        return self._written(b"" if environ["REQUEST_METHOD"] == "HEAD" else body, receipt)

    def _token(self) -> bytes | None:
        file = self._settings.producer_http_token_file
        try:
            return file.read_bytes().strip() if file else None
        except OSError as error:
            raise Answer(503, f"PRODUCER_HTTP_TOKEN_FILE cannot be read: {error.strerror}") from None

    def _refused(self, error: Any) -> bytes:
        """The body of the answer to what waitress does not take."""
        most = self._settings.producer_http_max_body
        says = f"a request over PRODUCER_HTTP_MAX_BODY ({most}) bytes" if error.code == 413 else error.body
        return _counted(Answer(error.code, says))

    def _wait(self, receipt: Receipt) -> Answer:
        """What became of it. Only 202 and 422 are final; after the others some of it may still arrive."""
        timeout, ids = self._settings.producer_http_timeout, [message.message_id for message in receipt.messages]
        again = "it may still arrive; send it again, with the same Idempotency-Key"
        if not receipt.settled.wait(timeout):
            return Answer(504, f"not confirmed in {format_duration(timeout)}: {again}", message_ids=ids)
        if receipt.unsettled:
            return Answer(503, f"stopped before it was confirmed: {again}", message_ids=ids)
        if receipt.refused:
            return Answer(422, "no broker takes some of it", refused=receipt.refused, message_ids=ids)
        return Answer(202, message_ids=ids)

    def _written(self, body: bytes, receipt: Receipt | None) -> Iterator[bytes]:
        """The body; then, when waitress has sent it, the place is free: a stop waits for that."""
        try:
            yield body
        finally:
            if receipt:
                self.pending.answered(receipt)
