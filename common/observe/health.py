"""Health: the HTTP server of /livez, /readyz and /metrics, in its own threads, which only read plain attributes.

Everything it needs is imported with this module, before the user's code: later a user's file such as email.py or
http.py would be found first, and each import would wait for the threads that compute.
"""

import json
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from operator import itemgetter
from socketserver import ThreadingTCPServer
from threading import Condition, Event, Thread
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.process import fork

REQUEST_TIMEOUT = 5  # seconds for a whole request and its answer
MOST_CONNECTIONS = 32  # each has a thread, and a container may have 300 (Compose) with up to 256 of the service's own
ROOM_TIMEOUT = 0.1  # seconds in which the thread of a connection that was cut should end; then the next is cut
ACCEPT_RETRY_INTERVAL = 1.0  # seconds between two tries to accept a connection without a free file descriptor
CUT = float("inf")
ALLOWED = ("GET", "HEAD", "OPTIONS")
ALLOW = ", ".join(ALLOWED)
log = structlog.get_logger()

Answer = tuple[int, str, bytes]


class Health:
    """Answers probes. `problems` tells why the process is not live, `reasons` why it is not ready; empty if it is.

    `notes` are for a person: they change no status.
    """

    def __init__(
        self, problems: Callable[[], list[str]], reasons: Callable[[], list[str]], notes: Callable[[], list[str]] = list
    ) -> None:
        self.pages: dict[str, Callable[[], Answer]] = {
            "/livez": lambda: _probe("live", problems()),
            "/readyz": lambda: _probe("ready", reasons(), notes=notes()),
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest()),
        }

    def listen(self, host: str, port: int) -> int:
        """Serve in a thread from now on; returns the port. Raises OSError."""
        server = _Server((host, port), self.pages)
        fork.sockets.add(server.fileno())
        Thread(target=server.serve_forever, name="http", daemon=True).start()
        return int(server.server_address[1])


def _probe(what: str, reasons: list[str], **more: list[str]) -> Answer:
    body = json.dumps({what: not reasons, "reasons": reasons} | more) + "\n"
    return 503 if reasons else 200, "application/json", body.encode()


class _Server(ThreadingTCPServer):  # HTTPServer of the library waits for the DNS to find its own name
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = socket.SOMAXCONN

    def __init__(self, address: tuple[str, int], pages: dict[str, Callable[[], Answer]]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.pages = pages
        self._until: dict[socket.socket, float] = {}  # each open connection's deadline, or CUT
        self._room = Condition()
        super().__init__(address, _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; the oldest connection is cut if all places are taken. Raises RuntimeError."""
        with self._room:
            while not self._has_room():
                oldest, until = min(self._until.items(), key=itemgetter(1))
                if until == CUT:
                    raise RuntimeError("no thread ends")
                self._cut(oldest)
                self._room.wait_for(self._has_room, ROOM_TIMEOUT)
            self._until[request] = time.monotonic() + REQUEST_TIMEOUT
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._room:  # so that nobody cuts a connection that is closed
            self._until.pop(request, None)
            self._room.notify()
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut the connections whose time is over; called twice a second."""
        with self._room:
            for request in [each for each, until in self._until.items() if until < time.monotonic()]:
                self._cut(request)

    def _has_room(self) -> bool:
        return len(self._until) < MOST_CONNECTIONS

    def _cut(self, request: socket.socket) -> None:
        """End what its thread waits for."""
        self._until[request] = CUT
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:
            log.exception("the pages cannot be served, and are tried again")
            Event().wait(ACCEPT_RETRY_INTERVAL)  # the connection is still waiting, so the next try would come at once
            raise

    def handle_error(self, *_: object) -> None:
        """Ignore a prober that hung up. A thread that cannot be had is a failed try, one a second."""
        error = sys.exception()
        if isinstance(error, RuntimeError):
            log.error("a page cannot be served", error=str(error))
            Event().wait(ACCEPT_RETRY_INTERVAL)


class _Request(BaseHTTPRequestHandler):
    timeout = REQUEST_TIMEOUT
    server: _Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        """`do_GET`, `do_HEAD`, and `do_METHOD` of any other method, which answers 405."""
        if name.startswith("do_"):
            return self._answer if name[3:] in ALLOWED else lambda: self._send(405, "text/plain", f"{ALLOW}\n".encode())
        raise AttributeError(name)

    def _answer(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        self._send(*(page() if page else (404, "text/plain", b"/livez /readyz /metrics\n")))

    def _send(self, code: int, content_type: str, body: bytes) -> None:
        if self.command == "OPTIONS":
            body = b""
        self.send_response(code)
        for name, value in (("Content-Type", content_type), ("Content-Length", str(len(body))), ("Allow", ALLOW)):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log no probes: they come every few seconds."""
