"""`python -m common.doctor.preflight`: waits until the broker can be used, or says why not; for an init container.

Name, TCP, TLS, AMQP handshake, user, virtual host, queues: it is the services' own connection, and it asks for the
permissions that they use later, so what passes here passes there. `Doctor` goes the same way for a person.
"""

from common.process.exit import loading

if __name__ == "__main__":
    with loading():
        from common.doctor import preflight  # noqa: PLW0406 - all below once more, and signals are heard meanwhile
    preflight.main()  # and no further: it exits

import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

import structlog
from pika.channel import Channel

from common.amqp.connection import ChannelUser, Connection, State
from common.amqp.errors import ADVICE, BrokerError, Kind
from common.doctor.broker import (
    Answer,
    Report,
    Requester,
    Requests,
    check_broker,
    check_consumer_timeout,
    difference,
    first_missing,
)
from common.doctor.policies import check_policies
from common.doctor.report import Check, Status, refused
from common.doctor.settings import CheckSettings, PreflightSettings
from common.observe import logs
from common.process.exit import ExitCode
from common.process.run import Process
from common.settings import flags
from common.settings.broker_url import BrokerUrl

ANSWERS_WITHIN = 10.0  # seconds for all requests; each takes some milliseconds
UNANSWERED = BrokerError(Kind.OTHER, "the broker answers no more")
log = structlog.get_logger()


class Preflight(ChannelUser):
    """Implements `common.process.run.Service`. A topology is adapted in `_requests`, on the same connection."""

    NAME = "preflight"  # of its connection, in the broker's log

    def __init__(self, process: Process, settings: CheckSettings, timeout: float, *, login_only: bool = False) -> None:
        """Give up after `timeout` seconds; `login_only` declares no queue, and asks for no permission."""
        self.topology, self.passed, self.interrupted = settings.topology, False, False
        self.connection = Connection(self.NAME, process, settings, self)
        self.process, self._timeout, self._deadline = process, timeout, 0.0
        self._mode, self._needed = settings.mq_topology, settings.permissions
        if login_only:
            self._mode, self._needed = "none", ()

    def run(self) -> None:
        """Run to its end; exits where that was an interrupt or a defect."""
        code = self.process.run(self)
        if code or self.interrupted:
            sys.exit(code or ExitCode.INTERRUPTED)

    def start(self) -> None:
        self.connection.open()

    def tick(self, now: float) -> None:
        self._deadline = self._deadline or now + self._timeout
        if now >= self._deadline:
            self.process.stopping = True

    def stop(self) -> None:
        self.interrupted = True

    def done(self) -> bool:
        """Whether the broker can be used, or the time is over."""
        return self.passed or self.process.stopping

    def close(self) -> None:
        self.connection.close()

    def closed(self) -> bool:
        return self.connection.state is State.CLOSED

    def summary(self) -> tuple[int, dict[str, Any]]:
        return 0, {"ready": self.passed}

    def prepare(self, channel: Channel) -> None:
        accepted = self.connection.accepted
        Requester(channel.connection, self.process, self._requests(), lambda: accepted(channel))

    def _requests(self) -> Requests[None]:
        def declare(channel: Channel, answer: Answer) -> None:
            self.topology.declare(channel, self._mode)
            channel.basic_qos(prefetch_count=1, callback=answer)

        reply = yield declare
        if isinstance(reply, BrokerError) and (older := self.topology.adapted(reply)) is not self.topology:
            self.topology = older
            reply = yield declare
        if isinstance(reply, BrokerError):
            broker_error: BrokerError | None = yield from difference(self.topology.queues, reply)
        else:
            broker_error = yield from first_missing(self._needed, self.topology.name)
        if broker_error:
            self.connection.fail(broker_error)

    def opened(self, _channel: Channel) -> None:
        self.passed = True

    def lost(self, _reason: BrokerError) -> None:
        """It was there, which is enough."""


class Doctor(Preflight):
    """Logs in once, as the services do, makes nothing, and reports each `Check` as soon as it is known."""

    NAME = "doctor"

    def __init__(
        self, process: Process, settings: CheckSettings, broker: BrokerUrl, report: Report, tries: int = 1
    ) -> None:
        """`broker` is the only one of `settings`; the last of its `tries` reaches an address that speaks."""
        timeout = (1 + tries) * settings.mq_connect_timeout + ANSWERS_WITHIN
        super().__init__(process, settings, timeout, login_only=True)
        self._tries = tries
        self._settings, self._broker, self._tell = settings, broker, report
        self._login = Check("login", Status.OK, f"user {broker.user}")
        self._at = time.monotonic()
        self._requester: Requester | None = None

    def done(self) -> bool:
        why = self.connection.broker_error
        another = why and why.kind <= Kind.HANDSHAKE and self.connection.failed < self._tries
        return super().done() or (why is not None and not another)

    def close(self) -> None:
        """Report what stands in the way, if something does."""
        if not self.passed and not self.interrupted:
            broker_error = self.connection.broker_error or UNANSWERED
            name = "answers" if self._requester else "virtual host" if broker_error.kind is Kind.VHOST else "login"
            if name == "virtual host":
                self._report(self._login)
            self._report(refused(name, broker_error))
        super().close()

    def opened(self, channel: Channel) -> None:
        self._report_timed(self._login)
        self._report(Check("virtual host", Status.OK, self._broker.vhost))
        connection, end = channel.connection, super().opened
        # An alarm is told to those who publish, and to publish is the last request.
        connection.add_on_connection_blocked_callback(self.process.guarded(self._on_blocked))
        settings = self._settings
        if settings.preflight_for == "consumer":
            version = (channel.connection.server_properties or {}).get("version", "?")
            self._report(check_consumer_timeout(str(version), settings.consumer_handler_timeout))
        requests = check_broker(self.topology, settings.mq_topology, settings.permissions, self._report_timed)
        self._requester = Requester(connection, self.process, requests, lambda: end(channel))

    def _report(self, check: Check) -> None:
        self._tell(check._replace(text=self._broker.hide(check.text)))

    def _report_timed(self, check: Check) -> None:
        before, self._at = self._at, time.monotonic()
        self._report(check._replace(seconds=self._at - before))

    def _on_blocked(self, _connection: object, frame: Any) -> None:
        if self._requester:
            self._requester.answer(BrokerError(Kind.LIMIT, f"the broker takes no messages: {frame.method.reason}"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0, 2 (settings), or a `Kind`."""
    settings = flags.load(PreflightSettings, "preflight", arguments)
    logs.configure(settings.log_level, settings.log_format)
    preflight = Preflight(Process(settings.shutdown_grace), settings, settings.preflight_timeout)
    code = preflight.process.run(preflight)
    if not preflight.passed:
        broker_error = preflight.connection.broker_error or BrokerError(Kind.HANDSHAKE, "no answer yet")
        log.error(
            "the broker cannot be used",
            what=broker_error.kind.name.lower(),
            broker=str(preflight.connection.broker),
            reason=broker_error.text,
            advice=broker_error.advice or ADVICE[broker_error.kind],
            exit_code=int(broker_error.kind),
        )
        sys.exit(broker_error.kind)
    if preflight.connection.broker:
        check = check_policies(settings.mq_management_url, preflight.connection.broker, preflight.topology, settings)
        # A policy's harm comes later and without a word, so it is told at each start.
        level = logging.INFO if check.status in {Status.OK, Status.NOTE} else logging.WARNING
        log.log(level, "policies", found=check.text, advice=check.advice)
        code = code or check.exit_code
    sys.exit(code)
