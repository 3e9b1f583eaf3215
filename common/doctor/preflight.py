"""`python -m common.doctor.preflight`: waits until the broker can be used, or says why not; for an init container.

Name, TCP, TLS, AMQP handshake, user, virtual host, queues: it is the services' own connection, and it asks for the
permissions that they use later, so what passes here passes there.
"""

from common.process.exit import loading

if __name__ == "__main__":
    with loading():
        from common.doctor import preflight  # noqa: PLW0406 - all below once more, and signals are heard meanwhile
    preflight.main()  # and no further: it exits

import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from pika.channel import Channel

from common.amqp.connection import Connection, State
from common.amqp.errors import ADVICE, BrokerError, Kind
from common.doctor.broker import Answer, Requester, Requests, difference, first_missing
from common.doctor.policies import check_policies
from common.doctor.report import Status
from common.doctor.settings import CheckSettings, PreflightSettings
from common.observe import logs
from common.process.run import Process
from common.settings import flags

log = structlog.get_logger()


class Preflight:
    """Implements `common.process.run.Service` and `common.amqp.connection.ChannelUser`."""

    NAME = "preflight"  # of its connection, in the broker's log

    def __init__(self, process: Process, settings: CheckSettings, timeout: float, *, login_only: bool = False) -> None:
        """Give up after `timeout` seconds; `login_only` declares no queue, and asks for no permission."""
        self.topology, self.passed, self.interrupted = settings.topology, False, False
        self.connection = Connection(self.NAME, process, settings, self)
        self.process, self._timeout, self._deadline = process, timeout, 0.0
        self._mode, self._needed = settings.mq_topology, settings.permissions
        if login_only:
            self._mode, self._needed = "none", ()

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

    def adapts(self, _refusal: BrokerError) -> bool:
        """In `_requests`, on the same connection."""
        return False

    def opened(self, _channel: Channel) -> None:
        self.passed = True

    def lost(self, _reason: BrokerError) -> None:
        """It was there, which is enough."""


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
