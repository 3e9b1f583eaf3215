"""The HTTP thread: /livez, /readyz and /metrics. It only reads plain attributes of the others."""

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

REQUEST_TIMEOUT = 5  # seconds
NOT_FOUND = 404, "text/plain", b"/livez /readyz /metrics\n"

Answer = tuple[int, str, bytes]


class Health:
    """Answers probes. `problems` says why the process is not live, `reasons` why it is not ready; empty is well."""

    def __init__(self, problems: Callable[[], list[str]], reasons: Callable[[], list[str]]) -> None:
        self._answers: dict[str, Callable[[], Answer]] = {
            "/livez": lambda: _answer("live", problems()),
            "/readyz": lambda: _answer("ready", reasons()),
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest()),
        }

    def listen(self, host: str, port: int) -> int:
        """Serve from now on, in a thread of its own; the port. Raises OSError."""
        answers = self._answers

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_TIMEOUT

            def do_GET(self) -> None:
                code, content_type, body = answers.get(self.path.partition("?")[0], lambda: NOT_FOUND)()
                self.send_response(code)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """A probe every few seconds is no news."""

        class Server(ThreadingTCPServer):  # the library's HTTPServer looks its own name up in the DNS, and waits for it
            daemon_threads = True
            allow_reuse_address = True
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, *_: object) -> None:
                """A prober that hung up is no news either."""

        server = Server((host, port), Handler)
        Thread(target=server.serve_forever, name="http", daemon=True).start()
        return int(server.server_address[1])


def _answer(what: str, reasons: list[str]) -> Answer:
    body = json.dumps({what: not reasons, "reasons": reasons}) + "\n"
    return 503 if reasons else 200, "application/json", body.encode()
