"""The settings of `consumer verify`, and the temporary queue that stands for MQ_CH."""

import re
from typing import Annotated, ClassVar

from pydantic import Field

from common.amqp.topology import Queue, Topology
from common.settings.shared import Timeout, setting
from consumer.settings import ConsumerSettings

EXPIRES_MS = 300_000  # the broker deletes the queue after so long without a consumer, if a killed run has left it


class VerifySettings(ConsumerSettings):
    """Send messages through a temporary queue of the same broker, by the settings of the consumer, and count them.

    MQ_CH itself is not touched: the queue is MQ_CH.verify.RANDOM, has the same arguments, and is deleted at the end.
    Exit 0 when each message was confirmed and handled; 1 when something is lost, or the time was over; 2 a setting.
    """

    # The rate is VERIFY_RATE's, and so is the flag --rate.
    consumer_rate: ClassVar[None] = None  # type: ignore[misc]

    verify_count: Annotated[int, Field(ge=1, le=1_000_000)] = setting(1000, "messages to send", "1000")
    verify_size: Annotated[int, Field(ge=0)] = setting(256, "bytes of each", "256")
    verify_rate: Annotated[int, Field(ge=0)] = setting(0, "messages a second; 0 is as fast as it goes", "100")
    verify_timeout: Timeout = setting(60.0, "give up after so long", "1m")
    verify_json: bool = setting(False, "print one JSON object", "true")

    def problems(self) -> dict[str, str]:
        found = super().problems()
        if self.verify_size > self.mq_max_body:
            found["VERIFY_SIZE"] = f"is over MQ_MAX_BODY ({self.mq_max_body})"
        if self.verify_rate and self.verify_count / self.verify_rate >= self.verify_timeout:
            found["VERIFY_TIMEOUT"] = (
                f"is not enough for {self.verify_count:,} messages at {self.verify_rate:,} a second (VERIFY_RATE)"
            )
        return found


class TemporaryTopology(Topology):
    """The queue MQ_CH.verify.RANDOM, with the arguments of MQ_CH. No dead-letter queue, since no handler fails."""

    __slots__ = ()

    @property
    def queues(self) -> list[Queue]:
        (main,) = (queue for queue in super().queues if queue.name == self.name)
        return [Queue(self.name, {**main.arguments, "x-expires": EXPIRES_MS})]


def pattern(name: str) -> str:
    """A regular expression of all temporary queues for `name`, for RabbitMQ's permissions."""
    return rf"{re.escape(name)}\.verify\.[0-9a-f]+"
