"""`python -m common.doctor.preflight`: waits until the broker can be used, or says why not; for an init container.

Name, TCP, TLS, AMQP handshake, user, virtual host, queues: it is the services' own connection, and it asks for the
rights that they use later, so what passes here passes there.
"""

from common.process.exit import loading

if __name__ == "__main__":
    with loading():
        from common.doctor import preflight  # noqa: PLW0406 - all below once more, and signals are heard meanwhile
    preflight.main()  # and no further: it exits

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import structlog
from pika.channel import Channel
from pydantic import Field

from common.amqp.connection import Connection, State
from common.amqp.errors import ADVICE, Kind, Refusal
from common.doctor import rights
from common.doctor.inquiry import Inquiry
from common.doctor.settings import Needs
from common.observe import logs
from common.process.run import Process
from common.settings import flags
from common.settings.types import Duration

log = structlog.get_logger()


class PreflightSettings(Needs):
    """Wait until the broker can be used: exit 0. At the deadline, exit with the number of what was in the way.

    With MQ_TOPOLOGY=create it makes the queues, as the services would. No message is taken, and none is left; asking
    for the right to consume leaves a line in the broker's log, of the connection `preflight`.

    10 name does not resolve; 11 no TCP; 12 TLS; 13 no AMQP; 14 user or password; 15 virtual host; 16 permission;
    17 queues; 18 a limit of the broker; 19 something else.
    """

    preflight_timeout: Annotated[Duration, Field(ge=0)] = Field(
        120.0, description="wait so long for what may still come", examples=["2m"]
    )


class Preflight:
    """Implements `common.process.run.Service` and `common.amqp.connection.ChannelUser`."""

    NAME = "preflight"  # of its connection, in the broker's log

    def __init__(self, process: Process, settings: Needs, timeout: float, needed: Sequence[str] = ()) -> None:
        """Give up after `timeout` seconds; `needed` are the rights to ask for."""
        self.topology, self._needed = settings.topology, needed
        self.passed = self.interrupted = False
        self._process, self._settings = process, settings
        self._connection = Connection(self.NAME, process, settings, self)
        self._timeout, self._deadline = timeout, 0.0

    @property
    def refusal(self) -> Refusal:
        """What was in the way at last."""
        return self._connection.refusal or Refusal(Kind.HANDSHAKE, "no answer yet")

    @property
    def broker(self) -> str:
        """The one that was tried last."""
        return str(self._connection.broker)

    def start(self) -> None:
        """Connect."""
        self._connection.open()

    def tick(self, now: float) -> None:
        """Look at the deadline."""
        self._deadline = self._deadline or now + self._timeout
        if now >= self._deadline:
            self._process.stopping = True

    def stop(self) -> None:
        """A signal came."""
        self.interrupted = True

    def done(self) -> bool:
        """Whether it is known."""
        return self.passed or self._process.stopping

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def closed(self) -> bool:
        """Whether the broker answered."""
        return self._connection.state is State.CLOSED

    def summary(self) -> tuple[int, dict[str, Any]]:
        """For the last log line."""
        return 0, {"ready": self.passed}

    def prepare(self, channel: Channel) -> None:
        """What the services ask for."""
        self.topology.declare(channel, self._settings.mq_topology)
        channel.basic_qos(prefetch_count=1, callback=self._process.guarded(lambda _: self._ask(channel)))

    def _ask(self, channel: Channel) -> None:
        asked = rights.ask(self._needed, self.topology.name, self._connection.fail)
        Inquiry(channel.connection, self._process, asked, lambda: self._connection.accepted(channel))

    def opened(self, _channel: Channel) -> None:
        """All was accepted."""
        self.passed = True

    def lost(self, _reason: Refusal) -> None:
        """It was there, which is enough."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit 0, 2 (settings), or a `Kind`."""
    settings = flags.load(PreflightSettings, "preflight", arguments)
    logs.configure(settings.log_level, settings.log_format)
    process = Process(settings.shutdown_grace)
    preflight = Preflight(process, settings, settings.preflight_timeout, settings.rights)
    code = process.run(preflight)
    if not preflight.passed:
        refusal = preflight.refusal
        log.error(
            "the broker cannot be used",
            what=refusal.kind.name.lower(),
            broker=preflight.broker,
            reason=refusal.text,
            advice=refusal.advice or ADVICE[refusal.kind],
            exit_code=int(refusal.kind),
        )
        sys.exit(refusal.kind)
    sys.exit(code)
