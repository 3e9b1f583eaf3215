"""Page: the HTTP server of a service's health and metrics. A producer loads it when somebody first asks."""

import socket
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import common.observe.exposition  # noqa: F401 - our metrics are of those that are there
from common.observe.health import Answer

REQUEST_TIMEOUT = 5  # seconds
NOT_FOUND = 404, "text/plain", b"/livez /readyz /metrics\n"


def serve(listener: socket.socket, answers: Mapping[str, Callable[[], Answer]]) -> None:
    """For ever, each request in a thread of its own: what `answers` has for its path, or /metrics."""
    every: dict[str, Callable[[], Answer]] = {
        **answers,
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest()),
    }

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT

        def do_GET(self) -> None:
            code, content_type, body = every.get(self.path.partition("?")[0], lambda: NOT_FOUND)()
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A probe every few seconds is no news."""

    class Server(ThreadingTCPServer):  # the library's HTTPServer looks its own name up in the DNS, and waits for it
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A prober that hung up is no news either."""

    server = Server(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()
