"""Topology: every queue of the pair, all named from MQ_CH."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pika.channel import Channel

from common.settings.types import format_duration

# For the message that kills its consumer each time: after so many redeliveries the broker parks it. RabbitMQ before 4.0
# has no limit of its own, and 20 is what later ones have, so the pair behaves alike on all.
DELIVERY_LIMIT = 20
# Looking into the parked messages delivers them, and a queue without a limit of its own drops them at 20 on 4.x.
DEAD_DELIVERY_LIMIT = 1_000_000


class Queue(NamedTuple):
    """A durable quorum queue and its arguments beside `x-queue-type`."""

    name: str
    arguments: dict[str, Any]

    @property
    def all_arguments(self) -> dict[str, Any]:
        """What `queue.declare` is sent."""
        return {"x-queue-type": "quorum", **self.arguments}


class Topology(NamedTuple):
    """The queue `name`, its dead-letter queue, and one retry queue for each of `delays` (seconds)."""

    name: str
    delays: Sequence[float] = ()

    @property
    def dead(self) -> str:
        """Where a message is parked that cannot be handled."""
        return f"{self.name}.dead"

    def retry(self, delay: float) -> str:
        """The queue in which a failed message waits `delay` seconds."""
        return f"{self.name}.retry.{format_duration(delay)}"

    @property
    def queues(self) -> list[Queue]:
        """All queues.

        What expires or is given up is dead-lettered at least once: that needs the three arguments of `safe` together,
        and without one the broker falls back to at most once and does not say so
        (https://www.rabbitmq.com/docs/quorum-queues#dead-lettering).
        """
        safe = {"x-dead-letter-exchange": "", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
        main = {**safe, "x-dead-letter-routing-key": self.dead, "x-delivery-limit": DELIVERY_LIMIT}
        back = {**safe, "x-dead-letter-routing-key": self.name}
        return [
            Queue(self.dead, {"x-delivery-limit": DEAD_DELIVERY_LIMIT}),
            Queue(self.name, main),
            # The delay stands on the queue: the broker expires from the head, so a TTL of each message would be late.
            *(Queue(self.retry(delay), {**back, "x-message-ttl": round(delay * 1000)}) for delay in self.delays),
        ]

    def declare(self, channel: Channel, mode: str) -> None:
        """Send the declarations of `mode` (create, assert, none) without waiting; a refused one closes the channel."""
        for queue in self.queues if mode != "none" else ():
            passive = mode == "assert"
            arguments = None if passive else queue.all_arguments
            channel.queue_declare(queue.name, passive=passive, durable=True, arguments=arguments)
