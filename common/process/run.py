"""Process: the I/O loop in the main thread, its tick, the signals, one deadline, the exit code."""

import signal
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

import structlog
from pika.adapters.select_connection import IOLoop

from common.process.exit import leave, leave_in

TICK = 0.1  # seconds; also the longest a signal waits to be noticed
STANDSTILL = 10.0  # seconds without a tick, after which the process is not live
TOGETHER = 0.2  # seconds; signals so close are one: `timeout` sends it to the process and to its group
NEWS = 5.0  # seconds between two lines on what a stop waits for
LAST_WORDS = 5.0  # seconds; a log that nobody reads may hold up the last lines
CLOSE_TIMEOUT = 2.0  # seconds for the closing handshake; the broker has all that matters before it

log = structlog.get_logger()


class Service(Protocol):
    """What runs in the process. All of it is called on the I/O thread, which must never wait."""

    def start(self) -> None:
        """Begin to work."""

    def tick(self, now: float) -> None:
        """Look at what depends on time. `now` is `time.monotonic()`."""

    def stop(self) -> None:
        """Take nothing new."""

    def done(self) -> bool:
        """Whether nothing is left to do: at the source's end, or after `stop` when all is settled or cannot be."""

    def close(self) -> None:
        """Close the connections."""

    def closed(self) -> bool:
        """Whether they are closed."""

    def summary(self) -> tuple[int, dict[str, Any]]:
        """How many messages are left over, and the totals for the last log line."""


class Watched(Service, Protocol):
    """One with a health page."""

    def problems(self) -> list[str]:
        """Why the process should be started anew (http thread)."""

    def reasons(self) -> list[str]:
        """Why it is not ready (http thread)."""


class Process:
    """One per program. `call_later`, `call_soon` and `guarded` are for the services and their connections."""

    def __init__(self, grace: float) -> None:
        """Stop at the latest `grace` seconds after the first signal."""
        self.loop = IOLoop()
        self.ticked = time.monotonic()  # written by the I/O thread, read by the http thread
        self.stopping = False  # the same
        self._grace = grace
        self._signals = 0
        self._signalled = 0.0
        self._defect: BaseException | None = None
        self._deadline = self._news_at = float("inf")
        self._closing = False

    def call_later(self, delay: float, function: Callable[[], None]) -> Callable[[], None]:
        """Call `function` on the I/O thread in `delay` seconds; the function that is returned calls it off."""
        timer = self.loop.call_later(delay, self.guarded(function))
        return lambda: self.loop.remove_timeout(timer)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call a guarded `function` on the I/O thread at its next turn. The one method that any thread may use."""
        self.loop.add_callback_threadsafe(function)

    def call_behind(self, function: Callable[[], None]) -> None:
        """Call a guarded `function` behind all that this turn of the loop reads. I/O thread only: it wakes nobody."""
        self.loop.call_later(0, function)

    def guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        """`function`, with an error in it ending the process: in pika's callbacks it would look like a lost stream."""

        @wraps(function)
        def guard(*arguments: Any) -> None:
            try:
                function(*arguments)
            except Exception as error:  # noqa: BLE001
                self._defect = self._defect or error
                self.loop.stop()

        return guard

    def run(self, service: Service) -> int:
        """Run `service` to its end. 0: nothing is left unconfirmed; 1: something is, or a defect."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self.call_soon(self.guarded(service.start))
        self.call_later(TICK, lambda: self._tick(service))
        try:
            self.loop.start()
        except Exception as error:  # noqa: BLE001 - out of pika itself
            self._defect = self._defect or error
        leave_in(LAST_WORDS, "the log is not read")
        left, totals = service.summary()
        if self._defect:
            log.error("defect", exc_info=self._defect, left=left)
        log.info("stopped", **totals, left=left)
        leave_in(0, "")
        return 1 if left or self._defect else 0

    def reasons(self, service: Watched) -> list[str]:
        """Why `service` takes nothing (any thread)."""
        return service.reasons() + ["draining"] * self.stopping

    def problems(self) -> list[str]:
        """Why the loop is not live (http thread). Never anything of the broker: an outage must not restart a pod."""
        stood = time.monotonic() - self.ticked
        return [f"the I/O loop has stood still for {stood:.0f}s"] if stood > STANDSTILL else []

    def _on_signal(self, _number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._signals and now - self._signalled < TOGETHER:
            return
        self._signalled = now
        self._signals += 1  # only a flag: pika's locks are not re-entrant, and the tick comes soon
        if self._signals > 1:
            leave("second signal")
        leave_in(self._grace + CLOSE_TIMEOUT + 1, "the I/O loop hangs, and SHUTDOWN_GRACE is over")

    def _tick(self, service: Service) -> None:
        self.call_later(TICK, lambda: self._tick(service))
        now = self.ticked = time.monotonic()
        service.tick(now)
        if self._signals and not self.stopping:
            self.stopping = True
            self._deadline, self._news_at = now + self._grace, now + NEWS
            log.info("stopping", grace=self._grace)
            service.stop()
        if self._closing:
            if service.closed() or now >= self._deadline:
                self.loop.stop()
        elif service.done() or now >= self._deadline:
            self.stopping = self._closing = True
            self._deadline = now + CLOSE_TIMEOUT
            service.close()
        elif now >= self._news_at:
            self._news_at = now + NEWS
            left, totals = service.summary()
            log.info("still stopping", **totals, left=left, grace=round(self._deadline - now))
