"""Topology: every queue of the pair, each named after MQ_CH."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pika.channel import Channel

from common.settings.types import format_duration

# The broker parks a message, such as one that kills its consumer, after so many redeliveries. 20 is the default of
# RabbitMQ 4; older versions have none, and so the pair behaves alike on all.
DELIVERY_LIMIT = 20
# `dead-letters list` delivers parked messages, and RabbitMQ 4 would drop them at its default of 20.
DEAD_DELIVERY_LIMIT = 1_000_000


class Queue(NamedTuple):
    """A durable quorum queue and its arguments beside `x-queue-type`."""

    name: str
    arguments: dict[str, Any]

    @property
    def all_arguments(self) -> dict[str, Any]:
        return {"x-queue-type": "quorum", **self.arguments}


class Topology(NamedTuple):
    """The queue `name`, its dead-letter queue, and one retry queue for each of `delays` (seconds)."""

    name: str
    delays: Sequence[float] = ()

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
        safe = {"x-dead-letter-exchange": "", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
        main = {**safe, "x-dead-letter-routing-key": self.dead, "x-delivery-limit": DELIVERY_LIMIT}
        back = {**safe, "x-dead-letter-routing-key": self.name}
        return [
            Queue(self.dead, {"x-delivery-limit": DEAD_DELIVERY_LIMIT}),
            Queue(self.name, main),
            # The queue has the TTL: the broker expires only at the head, so a message's own TTL would act late.
            *(Queue(self.retry(delay), {**back, "x-message-ttl": round(delay * 1000)}) for delay in self.delays),
        ]

    def declare(self, channel: Channel, mode: str) -> None:
        """Send the declarations of `mode` (create, assert, none); a refused declaration closes the channel later."""
        for queue in self.queues if mode != "none" else ():
            passive = mode == "assert"
            arguments = None if passive else queue.all_arguments
            channel.queue_declare(queue.name, passive=passive, durable=True, arguments=arguments)
