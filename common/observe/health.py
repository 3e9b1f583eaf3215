"""Health: the HTTP server of /livez, /readyz and /metrics, in its own threads, which only read plain attributes.

Everything it needs is imported with this module, before the user's code: later a user's file such as email.py or
http.py would be found first, and each import would wait for the threads that compute.
"""

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Event, Thread
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.process.fork import keep_from_children

REQUEST_TIMEOUT = 5  # seconds
ACCEPT_RETRY_INTERVAL = 1.0  # seconds between two tries to accept a connection without a free file descriptor
log = structlog.get_logger()

Answer = tuple[int, str, bytes]


class Health:
    """Answers probes. `problems` tells why the process is not live, `reasons` why it is not ready; empty if it is."""

    def __init__(self, problems: Callable[[], list[str]], reasons: Callable[[], list[str]]) -> None:
        self._pages: dict[str, Callable[[], Answer]] = {
            "/livez": lambda: _probe("live", problems()),
            "/readyz": lambda: _probe("ready", reasons()),
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest()),
        }

    def listen(self, host: str, port: int) -> int:
        """Serve in a thread from now on; returns the port. Raises OSError."""
        server = _Server((host, port), self._pages)
        keep_from_children(server.fileno())
        Thread(target=server.serve_forever, name="http", daemon=True).start()
        return int(server.server_address[1])


def _probe(what: str, reasons: list[str]) -> Answer:
    body = json.dumps({what: not reasons, "reasons": reasons}) + "\n"
    return 503 if reasons else 200, "application/json", body.encode()


class _Server(ThreadingTCPServer):  # HTTPServer of the library waits for the DNS to find its own name
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = socket.SOMAXCONN

    def __init__(self, address: tuple[str, int], pages: dict[str, Callable[[], Answer]]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.pages = pages
        super().__init__(address, _Request)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:
            log.exception("the pages cannot be served, and are tried again")
            Event().wait(ACCEPT_RETRY_INTERVAL)  # the connection is still waiting, so the next try would come at once
            raise

    def handle_error(self, *_: object) -> None:
        """Ignore a prober that hung up."""


class _Request(BaseHTTPRequestHandler):
    timeout = REQUEST_TIMEOUT
    server: _Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        """`do_GET`, `do_HEAD`, and `do_METHOD` of any other method, which answers 405."""
        if name in ("do_GET", "do_HEAD"):
            return self._answer
        if name.startswith("do_"):
            return lambda: self._send(405, "text/plain", b"GET, HEAD\n", ("Allow", "GET, HEAD"))
        raise AttributeError(name)

    def _answer(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        self._send(*(page() if page else (404, "text/plain", b"/livez /readyz /metrics\n")))

    def _send(self, code: int, content_type: str, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(code)
        for name, value in (("Content-Type", content_type), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log no probes: they come every few seconds."""
