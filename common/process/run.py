"""Process: the I/O loop in the main thread, its tick, the signals, one deadline, the exit code."""

import errno
import signal
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

import structlog
from pika.adapters.select_connection import IOLoop

from common.observe import metrics
from common.observe.health import Health
from common.process.exit import ExitCode, exit_now, exit_within
from common.settings.flags import fail, unknown
from common.settings.shared import Settings

TICK_INTERVAL = 0.1  # seconds; also the longest a signal waits to be noticed
LOOP_STALLED_AFTER = 10.0  # seconds without a tick, after which the process is not live
SAME_SIGNAL_WITHIN = 0.2  # seconds; `timeout` sends its signal to the process and to its group, which is one signal
DRAIN_REPORT_INTERVAL = 5.0  # seconds between two lines on what a stop waits for
CLOSE_TIMEOUT = 2.0  # seconds for the closing handshake; the broker has all that matters before it
LAST_LOG_TIMEOUT = 5.0  # seconds for the last lines, which a log that nobody reads may hold up
EXIT_TIMEOUT = 7.0  # seconds after the last line: Python waits for threads of the user's, the export of spans takes 6
PORT_ERRORS = (errno.EADDRINUSE, errno.EACCES)  # another port helps; for any other error the address is wrong

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
        """Whether the connections are closed."""

    def summary(self) -> tuple[int, dict[str, Any]]:
        """How many messages are left over, and the totals for the last log line."""


class Watched(Service, Protocol):
    """A service with a health page."""

    def problems(self) -> list[str]:
        """Why the process should be started anew (http thread)."""

    def reasons(self) -> list[str]:
        """Why the service is not ready (http thread)."""


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
        self._deadline = self._report_at = float("inf")
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

    def hear_signals(self) -> dict[int, Any]:
        """From now on SIGTERM and SIGINT stop the service, and a second one ends the process; the handlers before."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        return {number: handler or signal.SIG_DFL for number, handler in before.items()}

    def run(self, service: Service) -> int:
        """Run `service` to its end. DONE; FAILED when messages are left over, or after a defect.

        Main thread only: it hears signals meanwhile, and leaves their handlers as they were.
        """
        before = self.hear_signals()
        try:
            self._main_loop(service)
            exit_within(LAST_LOG_TIMEOUT, "the log is not read")
            left, totals = service.summary()
            if self._defect:
                log.error("defect", exc_info=self._defect, left=left)
            log.info("stopped", **totals, left=left)
        finally:
            exit_within(0, "")
            for number, handler in before.items():
                signal.signal(number, handler)
        return ExitCode.FAILED if left or self._defect else ExitCode.DONE

    def reasons(self, service: Watched) -> list[str]:
        """Why `service` takes nothing (any thread)."""
        return service.reasons() + ["draining"] * self.stopping

    def problems(self) -> list[str]:
        """Why the loop is not live (http thread). Never anything of the broker: an outage must not restart a pod."""
        stalled = time.monotonic() - self.ticked
        return [f"the I/O loop has stood still for {stalled:.0f}s"] if stalled > LOOP_STALLED_AFTER else []

    def _main_loop(self, service: Service) -> None:
        self.call_soon(self.guarded(service.start))
        self.call_later(TICK_INTERVAL, lambda: self._on_tick(service))
        try:
            self.loop.start()
        except Exception as error:  # noqa: BLE001 - out of pika itself
            self._defect = self._defect or error

    def _on_signal(self, _number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._signals and now - self._signalled < SAME_SIGNAL_WITHIN:
            return
        self._signalled = now
        self._signals += 1  # only a flag: pika's locks are not re-entrant, and the tick comes soon
        if self._signals > 1:
            exit_now("second signal")
        exit_within(self._grace + CLOSE_TIMEOUT + 1, "the I/O loop hangs, and SHUTDOWN_GRACE is over")

    def _on_tick(self, service: Service) -> None:
        self.call_later(TICK_INTERVAL, lambda: self._on_tick(service))
        now = self.ticked = time.monotonic()
        service.tick(now)
        if self._signals and not self.stopping:
            self.stopping = True
            self._deadline, self._report_at = now + self._grace, now + DRAIN_REPORT_INTERVAL
            log.info("stopping", grace=self._grace)
            service.stop()
        if self._closing:
            if service.closed() or now >= self._deadline:
                self.loop.stop()
        elif service.done() or now >= self._deadline:
            self.stopping = self._closing = True
            self._deadline = now + CLOSE_TIMEOUT
            service.close()
        elif now >= self._report_at:
            self._report_at = now + DRAIN_REPORT_INTERVAL
            left, totals = service.summary()
            log.info("still stopping", **totals, left=left, grace=round(self._deadline - now))


def serve(process: Process, service: Watched, settings: Settings) -> int:
    """Run `service` with its health page; the exit code. Exits with CONFIGURATION when it cannot listen."""
    health = Health(lambda: process.problems() + service.problems(), lambda: process.reasons(service))
    if settings.http_port:
        try:
            health.listen(settings.http_host, settings.http_port)
        except OSError as error:
            why = f"cannot listen on {settings.http_host}:{settings.http_port}: {error.strerror}"
            if error.errno in PORT_ERRORS:
                fail([f"HTTP_PORT: {why}; choose another, for example 8081, or 0 for off"])
            fail([f"HTTP_HOST: {why}; name an address of this machine, for example 0.0.0.0"])
    for name, meant in unknown(type(settings).model_fields).items():
        log.warning("a variable that is no setting", name=name, meant=meant or None)
    metrics.READY.set_function(lambda: not process.reasons(service))
    process.hear_signals()  # to the end: one that comes while Python waits for threads is the second still
    code = process.run(service)
    exit_within(EXIT_TIMEOUT, "a thread of the source or the handler does not end")
    return code
