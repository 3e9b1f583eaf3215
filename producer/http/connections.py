"""Connections: waitress' server with bounds of number and time, and with errors in JSON.

waitress by itself closes only what is silent, so a byte now and then would hold a connection for ever.
"""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]
from waitress.task import ErrorTask, ThreadedTaskDispatcher  # type: ignore[import-untyped]

REQUEST_SECONDS = 30  # for a whole request from its first byte, for taking its answer, and between two requests
LOOK_INTERVAL = 1.0  # seconds between two looks for connections whose time is over
ACCEPT_RETRY_INTERVAL = 1.0  # seconds between two tries to accept a connection without a free file descriptor
BESIDE = 2  # what waitress counts as connections: the listening socket, and a pipe that wakes it

log = structlog.get_logger()


class Refused(ErrorTask):  # type: ignore[misc]
    """The answer to what waitress does not take."""

    def execute(self) -> None:
        self.channel.lingers = self.channel.refused = True
        body = self.channel.server.on_refused(self.request.error)
        self.status = f"{self.request.error.code} {self.request.error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class Connection(HTTPChannel):  # type: ignore[misc]
    """Knows since when it keeps us waiting. After a refusal it takes no more requests."""

    error_task_class = Refused
    refused = lingers = False

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._answered, self._began = time.monotonic(), 0.0  # the last answer; the first byte behind it
        super().__init__(*arguments, **more)

    @property
    def since(self) -> float:
        """When what is being read began, or else the last answer was given. An empty line begins no request anew."""
        return self._began or self._answered

    def write_soon(self, data: bytes) -> int:
        self._answered, self._began = time.monotonic(), 0.0
        return int(super().write_soon(data))

    def received(self, data: bytes) -> bool:
        self._began = self._began or time.monotonic()
        return not self.refused and bool(super().received(data))

    def handle_close(self) -> None:
        """Close; but let who was refused send the rest: a reset in the middle would take the answer away."""
        lingers, self.lingers = self.lingers, False
        if lingers:
            self.will_close = False
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_close()


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Holds at most `most` connections: a newer one takes the place of the one that has kept it waiting longest.

    `on_refused` gets an error of waitress (`code`, `reason`, `body`) and gives the body of the answer.
    """

    channel_class = Connection

    def __init__(
        self,
        application: Callable[..., Any],
        listener: socket.socket,
        most: int,
        on_refused: Callable[[Any], bytes],
        **adjustments: Any,
    ) -> None:
        """`adjustments` are waitress'. Raises RuntimeError if a thread cannot be had."""
        self.on_refused = on_refused
        self._most = most
        self._look_at = self._accept_at = 0.0
        # One more than may be: it is accepted, and then there is one to close.
        taken = Adjustments(sockets=[listener], connection_limit=most + BESIDE + 1, **adjustments)
        threads = ThreadedTaskDispatcher()  # first: without them there is nothing yet to be closed
        threads.set_thread_count(taken.threads)
        info = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(application, None, True, listener, threads, taken, info, False)

    def readable(self) -> bool:
        """Whether to accept; asked at each turn of the loop."""
        now = time.monotonic()
        over = len(self.active_channels) - self._most
        if over > 0 or now >= self._look_at:
            self._look_at = now + LOOK_INTERVAL
            waiting = [each for each in list(self.active_channels.values()) if not each.requests]
            for number, each in enumerate(sorted(waiting, key=lambda each: each.since)):
                if number < over or each.since < now - REQUEST_SECONDS:
                    each.will_close = True
        return now >= self._accept_at and bool(super().readable())

    def accept(self) -> Any:
        try:
            return super().accept()
        except OSError as error:  # it is still waiting, so the next try would come at once
            self._accept_at = time.monotonic() + ACCEPT_RETRY_INTERVAL
            log.error("a connection cannot be accepted, and is tried again", error=error.strerror)
            return None
