"""Process: the I/O loop in the main thread, its tick, the signals, the deadline of a stop, the exit code."""

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
from common.plugins import ConfigError
from common.process import fork
from common.process.exit import ExitCode, exit_now, exit_within
from common.settings.flags import fail, unknown
from common.settings.shared import Settings

TICK_INTERVAL = 0.1  # seconds; a signal waits at most that long
LOOP_STALLED_AFTER = 10.0  # seconds without a tick, after which the process is not live
SAME_SIGNAL_WITHIN = 0.2  # seconds; `timeout` sends one signal twice, to the process and to its group
DRAIN_REPORT_INTERVAL = 5.0  # seconds between log lines on what a stop waits for
CLOSE_TIMEOUT = 2.0  # seconds for the closing handshake; the broker has everything that matters before it
LAST_LOG_TIMEOUT = 5.0  # seconds for the last lines: nobody may be reading the log
EXIT_TIMEOUT = 7.0  # seconds after the last line: Python waits for the user's threads, exporting spans takes up to 6
PORT_ERRORS = (errno.EADDRINUSE, errno.EACCES)  # another port helps; with any other error the address is wrong

log = structlog.get_logger()


class Service(Protocol):
    """What runs in the process. All methods are called on the I/O thread and must not block."""

    def start(self) -> None:
        """Begin: called once, first."""

    def tick(self, now: float) -> None:
        """Do what depends on time. `now` is `time.monotonic()`."""

    def stop(self) -> None:
        """Begin to stop: take nothing new."""

    def done(self) -> bool:
        """True if nothing is left to do: the source has ended, or after `stop` everything is settled or cannot be."""

    def close(self) -> None:
        """Begin to close the connections."""

    def closed(self) -> bool:
        """Whether the connections are closed."""

    def summary(self) -> tuple[int, dict[str, Any]]:
        """How many messages are left, and the totals for the last log line."""


class Watched(Service, Protocol):
    """A service with a health page."""

    @property
    def error(self) -> BaseException | None:
        """What the user's code ended the service with; it is logged, but for a ConfigError."""

    def problems(self) -> list[str]:
        """Why the process should be restarted (http thread)."""
        return []

    def reasons(self) -> list[str]:
        """Why the service is not ready (http thread)."""

    def notes(self) -> list[str]:
        """What an operator should know though the service is ready (http thread)."""
        return []


class Loop(IOLoop):
    """Whose sockets are the service's alone."""

    def add_handler(self, fd: int, handler: Callable[[int, int], None], events: int) -> None:
        fork.sockets.add(fd)
        super().add_handler(fd, handler, events)

    def remove_handler(self, fd: int) -> None:
        fork.sockets.discard(fd)
        super().remove_handler(fd)


class Process:
    """The running program. Services and connections use `call_later`, `call_soon`, `call_behind` and `guarded`."""

    def __init__(self, grace: float) -> None:
        """Stop `grace` seconds after the first signal at the latest."""
        self.loop = Loop()
        self.ticked = time.monotonic()  # written by the I/O thread, read by the http thread
        self.stopping = False  # likewise
        self._grace = grace
        self._signals = 0
        self._signalled = 0.0
        self._defect: BaseException | None = None
        self._deadline = self._report_at = float("inf")
        self._closing = False

    def call_later(self, delay: float, function: Callable[[], None]) -> Callable[[], None]:
        """Call `function` on the I/O thread in `delay` seconds; the returned function cancels the call."""
        timer = self.loop.call_later(delay, self.guarded(function))
        return lambda: self.loop.remove_timeout(timer)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call a guarded `function` at the loop's next turn. Any thread may use this method, and no other."""
        self.loop.add_callback_threadsafe(function)

    def call_behind(self, function: Callable[[], None]) -> None:
        """Call a guarded `function` after everything that this turn of the loop reads. I/O thread only: no wake-up."""
        self.loop.call_later(0, function)

    def guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        """`function`, whose errors end the process: in a callback of pika's they would look like a lost connection."""

        @wraps(function)
        def guard(*arguments: Any) -> None:
            try:
                function(*arguments)
            except Exception as error:  # noqa: BLE001
                self._defect = self._defect or error
                self.loop.stop()

        return guard

    def hear_signals(self) -> dict[int, Any]:
        """Stop the service on SIGTERM and SIGINT, exit on a second one; returns the handlers replaced, by signal."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        return {number: handler or signal.SIG_DFL for number, handler in before.items()}

    def run(self, service: Service) -> int:
        """Run `service` to its end: DONE, or FAILED if messages are left or after a defect.

        Main thread only: it handles signals meanwhile, and puts the handlers back.
        """
        before = self.hear_signals()
        fork.serving(True)
        try:
            self._main_loop(service)
            exit_within(LAST_LOG_TIMEOUT, "the log is not read")
            left, totals = service.summary()
            if self._defect:
                log.error("defect", exc_info=self._defect, left=left)
            log.info("stopped", **totals, left=left)
        finally:
            exit_within(0, "")
            fork.serving(False)
            for number, handler in before.items():
                signal.signal(number, handler)
        return ExitCode.FAILED if left or self._defect else ExitCode.DONE

    def reasons(self, service: Watched) -> list[str]:
        """Why `service` is not ready (any thread)."""
        return service.reasons() + ["draining"] * self.stopping

    def problems(self) -> list[str]:
        """Why the loop is not live (http thread). Never because of the broker: its outage must not restart a pod."""
        stalled = time.monotonic() - self.ticked
        return [f"the I/O loop has stood still for {stalled:.0f}s"] if stalled > LOOP_STALLED_AFTER else []

    def _main_loop(self, service: Service) -> None:
        self.call_soon(self.guarded(service.start))
        self.call_later(TICK_INTERVAL, lambda: self._on_tick(service))
        try:
            self.loop.start()
        except Exception as error:  # noqa: BLE001 - raised by pika itself
            self._defect = self._defect or error

    def _on_signal(self, _number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._signals and now - self._signalled < SAME_SIGNAL_WITHIN:
            return
        self._signalled = now
        self._signals += 1  # only counted: pika's locks are not re-entrant, and the next tick is near
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
    """Run `service` with its health page; the exit code.

    Exits with CONFIGURATION if it cannot listen, or if the user's code has raised a ConfigError.
    """
    health = Health(lambda: process.problems() + service.problems(), lambda: process.reasons(service), service.notes)
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
    process.hear_signals()  # to the end: a signal while Python waits for threads still counts as the second
    code = process.run(service)
    exit_within(EXIT_TIMEOUT, "a thread of the source or the handler does not end")
    if isinstance(service.error, ConfigError):
        fail([str(service.error)])
    return code
