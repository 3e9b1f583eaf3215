"""Health: the HTTP thread that answers /livez, /readyz and /metrics. It only reads plain attributes of the others."""

import json
import select
import socket
from collections.abc import Callable
from threading import Event, Thread

import structlog

RETRY = 1.0  # seconds
log = structlog.get_logger()

Answer = tuple[int, str, bytes]


class Health:
    """Answers probes. `problems` says why the process is not live, `reasons` why it is not ready; empty is well."""

    def __init__(self, problems: Callable[[], list[str]], reasons: Callable[[], list[str]]) -> None:
        self._answers: dict[str, Callable[[], Answer]] = {
            "/livez": lambda: _answer("live", problems()),
            "/readyz": lambda: _answer("ready", reasons()),
        }

    def listen(self, host: str, port: int) -> int:
        """Serve from now on, in a thread of its own; the port. Raises OSError."""
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen()
        except OSError:
            listener.close()
            raise
        Thread(target=self._serve, args=(listener,), name="http", daemon=True).start()
        return int(listener.getsockname()[1])

    def _serve(self, listener: socket.socket) -> None:
        asked = select.poll()
        asked.register(listener, select.POLLIN)
        asked.poll()
        while True:
            try:
                # Not before: what it needs is a tenth of a start.
                from common.observe.page import serve  # noqa: PLC0415

                serve(listener, self._answers)
            except Exception:
                log.exception("the pages cannot be served, and are tried again")
                Event().wait(RETRY)


def _answer(what: str, reasons: list[str]) -> Answer:
    body = json.dumps({what: not reasons, "reasons": reasons}) + "\n"
    return 503 if reasons else 200, "application/json", body.encode()
