"""Trial: a sender and a receiver in one process, around a queue of their own, until all came or the time is over."""

import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from common.amqp.connection import State
from common.amqp.errors import FINAL, Kind
from common.process.run import Process
from common.settings.types import format_duration
from consumer.verify.ledger import Ledger
from consumer.verify.receiver import Receiver
from consumer.verify.sender import Sender
from consumer.verify.settings import VerifySettings
from consumer.verify.topology import pattern, temporary

RIGHTS = " (`consumer verify` needs the rights configure and read on ^{}$, and write on amq.default)"


class Trial:
    """Implements `common.process.run.Service`."""

    def __init__(self, process: Process, settings: VerifySettings, on_tick: Callable[[], None]) -> None:
        """`on_tick` is called several times a second."""
        self.ledger = Ledger()
        self.topology = temporary(settings.mq_ch, secrets.token_hex(4))
        self.problem = ""  # why it ended before its end
        self.deleted = False  # whether the broker said so of the queue
        self._process, self._settings, self._on_tick = process, settings, on_tick
        self._deadline = time.monotonic() + settings.verify_timeout
        body = os.urandom(settings.verify_size)
        own = settings.model_copy(update={"mq_ch": self.topology.name, "mq_topology": "create"})
        self._receiver = Receiver(process, own, self.topology, body=body, ledger=self.ledger, on_cancelled=self._delete)
        self._sender = Sender(process, own, self.topology, body=body, ledger=self.ledger, on_refused=self._on_refused)
        self._connections = (self._receiver.connection, self._sender.publisher.connection)

    @property
    def broker(self) -> str:
        """The one that was tried last."""
        return str(self._connections[0].broker)

    def start(self) -> None:
        """Connect."""
        self._receiver.start()
        self._sender.publisher.connection.open()

    def tick(self, now: float) -> None:
        """Begin when all is there; look after time-outs."""
        self._sender.publisher.tick(now)
        # The first message would wait for the consumer otherwise, and look slow.
        if all(connection.state is State.OPEN for connection in self._connections):
            self._sender.begin()
        if not self.done():
            self.problem = self._final() or (self._late() if now >= self._deadline else "")
        self._on_tick()

    def stop(self) -> None:
        """A signal came."""
        if not self.done():
            self.problem = "stopped by a signal"

    def done(self) -> bool:
        """Whether each message was confirmed and handled, or there is no point in waiting."""
        return not self._left() or bool(self.problem)

    def close(self) -> None:
        """Delete the queue, then close the connections."""
        self._receiver.cancel()

    def closed(self) -> bool:
        """Whether the broker answered on both."""
        return all(connection.state is State.CLOSED for connection in self._connections)

    def reasons(self) -> list[str]:
        """Why nothing flows."""
        return [*self._receiver.connection.reasons(), *self._sender.publisher.reasons()]

    def summary(self) -> tuple[int, dict[str, Any]]:
        """How many did not come through."""
        return self._left(), {}

    def _left(self) -> int:
        return self._settings.verify_count - min(self.ledger.confirmed, self.ledger.handled)

    def _final(self) -> str:
        refusals = [each.refusal for each in self._connections if each.refusal and each.refusal.kind in FINAL]
        if not refusals or len(self._settings.broker_urls()) > 1:  # another broker may think otherwise
            return ""
        rights = RIGHTS.format(pattern(self._settings.mq_ch)) if refusals[0].kind is Kind.PERMISSION else ""
        return f"{refusals[0].text}{rights or f'; {refusals[0].advice}'}"

    def _late(self) -> str:
        reasons = "; ".join(self.reasons()) or "the broker does not deliver them"
        return f"not all came in {format_duration(self._settings.verify_timeout)}: {reasons}"

    def _on_refused(self) -> None:
        self.problem = f"the broker refuses a message: {self._connections[1].refusal}"

    def _delete(self) -> None:
        # Rather on the first, since a broker in alarm does not listen to one that publishes.
        channel = next((each.channel for each in self._connections if each.channel), None)
        if channel:
            channel.queue_delete(self.topology.name, callback=self._process.guarded(lambda _: self._leave(True)))
        else:
            self._leave(False)

    def _leave(self, deleted: bool) -> None:
        self.deleted = deleted
        for connection in self._connections:
            connection.close()
