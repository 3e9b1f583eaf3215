"""Examination: logs in as the services do, and asks the broker."""

import time

from pika.channel import Channel

from common.amqp.errors import Kind, Refusal
from common.doctor.check import Check, Verdict, refused
from common.doctor.inquiry import Inquiry
from common.doctor.preflight import Preflight
from common.doctor.questions import Tell, questions
from common.doctor.settings import Needs
from common.process.run import Process
from common.settings.broker_url import BrokerUrl

QUESTIONS = 10.0  # seconds for all of them; each takes some milliseconds
UNANSWERED = Refusal(Kind.OTHER, "the broker answers no more")


def undeclared(settings: Needs) -> Needs:
    """The settings of one who logs in and makes no queue."""
    return settings.model_copy(update={"mq_topology": "none"})


class Examination(Preflight):
    """A preflight that tries once, makes nothing, and tells each `Check` as soon as it is known."""

    NAME = "doctor"

    def __init__(self, process: Process, settings: Needs, broker: BrokerUrl, tell: Tell) -> None:
        """`broker` is the only one of `settings`."""
        super().__init__(process, undeclared(settings), 2 * settings.mq_connect_timeout + QUESTIONS)
        self._mode, self._rights = settings.mq_topology, settings.rights
        self._url, self._tell = broker, tell
        self._login = Check("login", Verdict.OK, f"user {broker.username}")
        self._at = time.monotonic()
        self._inquiry: Inquiry | None = None

    def done(self) -> bool:
        """Whether all is answered, or nothing will be."""
        return super().done() or self._connection.refusal is not None

    def close(self) -> None:
        """Tell what stands in the way, if something does."""
        if not self.passed and not self.interrupted:
            self._fail(self._connection.refusal or UNANSWERED)
        super().close()

    def opened(self, channel: Channel) -> None:
        """Logged in: ask."""
        self._say(self._login)
        self._tell(Check("virtual host", Verdict.OK, self._url.vhost))
        connection = channel.connection
        # Told to those who publish, which is the last question.
        connection.add_on_connection_blocked_callback(
            self._process.guarded(lambda _, frame: self._on_blocked(frame.method.reason))
        )
        asked = questions(self.topology, self._mode, self._rights, self._say)
        self._inquiry = Inquiry(connection, self._process, asked, self._on_end)

    def _fail(self, refusal: Refusal) -> None:
        if refusal.kind is Kind.VHOST and not self._inquiry:
            self._tell(self._login)
            self._tell(refused("virtual host", refusal))
        else:
            self._tell(refused("answers" if self._inquiry else "login", refusal))

    def _say(self, check: Check) -> None:
        before, self._at = self._at, time.monotonic()
        self._tell(check._replace(seconds=self._at - before))

    def _on_blocked(self, reason: str) -> None:
        if self._inquiry:
            self._inquiry.answer(Refusal(Kind.LIMIT, f"the broker takes no messages: {reason}"))

    def _on_end(self) -> None:
        self.passed = True
