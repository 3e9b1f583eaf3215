"""Topology: every queue of the pair, each named after MQ_CH."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from pika.channel import Channel

from common.amqp.errors import BrokerError
from common.settings.types import format_duration

log = structlog.get_logger()

# The broker parks a message, such as one that kills its consumer, after so many redeliveries. 20 is the default of
# RabbitMQ 4; older versions have none, and so the pair behaves alike on all.
DELIVERY_LIMIT = 20
# `dead-letters list` delivers parked messages, and RabbitMQ 4 would drop them at its default of 20.
DEAD_DELIVERY_LIMIT = 1_000_000
REFUSE = {"x-overflow": "reject-publish"}  # what it cannot keep, in place of dropping the oldest message
NAMED_MAX = 140  # bytes; the words around a name have 105, and the virtual host's name
ABSENT_MAX = 210  # bytes, of one that is not there: the words have 36, and the virtual host's name


class Queue(NamedTuple):
    """A durable quorum queue and its arguments beside `x-queue-type`."""

    name: str
    arguments: dict[str, Any]

    @property
    def all_arguments(self) -> dict[str, Any]:
        return {"x-queue-type": "quorum", **self.arguments}


class Topology(NamedTuple):
    """The queue `name`, its dead-letter queue, and one retry queue for each of `delays` (seconds).

    `dead_refuses` is False for a dead-letter queue that is there without REFUSE, as earlier versions declared it.
    """

    name: str
    delays: Sequence[float] = ()
    dead_refuses: bool = True

    @property
    def dead(self) -> str:
        """The queue of messages that cannot be handled."""
        return f"{self.name}.dead"

    def retry(self, delay: float) -> str:
        """The queue in which a failed message waits `delay` seconds."""
        return f"{self.name}.retry.{format_duration(delay)}"

    @property
    def queues(self) -> list[Queue]:
        # Dead-lettering at least once needs the three arguments of `safe` together. Without one of them the broker
        # silently falls back to at most once (https://www.rabbitmq.com/docs/quorum-queues#dead-lettering).
        safe = {"x-dead-letter-exchange": "", "x-dead-letter-strategy": "at-least-once", **REFUSE}
        main = {**safe, "x-dead-letter-routing-key": self.dead, "x-delivery-limit": DELIVERY_LIMIT}
        back = {**safe, "x-dead-letter-routing-key": self.name}
        return [
            Queue(self.dead, {"x-delivery-limit": DEAD_DELIVERY_LIMIT, **(REFUSE if self.dead_refuses else {})}),
            Queue(self.name, main),
            # The queue has the TTL: the broker expires only at the head, so a message's own TTL would act late.
            *(Queue(self.retry(delay), {**back, "x-message-ttl": round(delay * 1000)}) for delay in self.delays),
        ]

    def adapted(self, refusal: BrokerError) -> "Topology":
        """The topology for a broker whose dead-letter queue lacks REFUSE, if `refusal` says so, or has it again.

        The arguments of a queue cannot be changed, and an upgrade must not stop at a queue with messages in it.
        """
        about, _, current = refusal.text.partition("but current is")
        refuses = "reject-publish" in current
        if f"inequivalent arg 'x-overflow' for queue '{self.dead}'" not in about or refuses is self.dead_refuses:
            return self
        if not refuses and "none" not in current:  # somebody wants it to drop messages
            return self
        if not refuses:
            log.warning("a length limit would drop parked messages", queue=self.dead, advice=self.advice)
        return self._replace(dead_refuses=refuses)

    @property
    def advice(self) -> str:
        """How to give REFUSE to a dead-letter queue that is there."""
        pattern = self.dead.replace(".", r"\.")
        definition = '{"overflow":"reject-publish"}'
        return f"rabbitmqctl set_policy --apply-to queues --priority 100 '{self.dead}' '^{pattern}$' '{definition}'"

    def declare(self, channel: Channel, mode: str) -> None:
        """Send the declarations of `mode` (create, assert, none); a refused declaration closes the channel later."""
        for queue in self.queues if mode != "none" else ():
            passive = mode == "assert"
            arguments = None if passive else queue.all_arguments
            channel.queue_declare(queue.name, passive=passive, durable=True, arguments=arguments)


def can_be_refused(queue: str, most: int = NAMED_MAX) -> bool:
    """Whether the broker's refusal may name `queue`: one of over 255 bytes it cuts, or ends the connection (541)."""
    return queue.isascii() or len(queue.encode()) <= most
