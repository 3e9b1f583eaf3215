"""Settle: what the outcomes of handlers lead to, as a value. Pure.

Which deliveries are acknowledged, what is published where before its original is, and what is left alone, since its
channel is gone and the broker has requeued it.
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from common.amqp.topology import Topology
from common.message import Message
from consumer.copies import failed_copy
from consumer.delivery import Delivery
from consumer.outcome import Ack, Outcome, Park, Retry

NO_DELAYS = 60.0  # seconds between tries of a message that a full dead-letter queue refuses, where there are no delays
Done = tuple[Delivery, Outcome, float]
"""A handled delivery, what follows from it, and how long the handler took in seconds."""


class Copy(NamedTuple):
    """To be published to `queue`; on its confirm, `delivery` is acknowledged and counted under `counts_as`.

    After `delay` seconds, the handler may try `message` again here if a full queue refuses it so long.
    """

    delivery: Delivery
    queue: str
    message: Message
    counts_as: Literal["retried", "parked", "handed_back"]
    error: str = ""
    where: str = ""
    delay: float = math.inf


class Settlement(NamedTuple):
    """`acks` are delivery tags of the current channel; `ages` are in seconds, of all that was handled on it."""

    acks: list[int]
    copies: list[Copy]
    ages: list[float]


def settle(done: Iterable[Done], channel: object, topology: Topology, now: float) -> Settlement:
    """`channel` is the current one, `now` is `time.time()`.

    A tag of another channel names another message there: to settle it would lose that one.
    """
    acks, copies, ages = settlement = Settlement([], [], [])
    for delivery, outcome, _ in done:
        if delivery.channel is not channel:
            continue
        age = delivery.message.age_at(now)
        if age is not None:
            ages.append(age)
        match outcome:
            case Ack():
                acks.append(delivery.tag)
            case Retry(delay, error, where):
                message = failed_copy(delivery.message, outcome, topology.name, now)
                copies.append(Copy(delivery, topology.retry(delay), message, "retried", error, where, delay))
            case Park(error, where):
                message = failed_copy(delivery.message, outcome, topology.name, now)
                copies.append(
                    Copy(
                        delivery,
                        topology.dead,
                        message,
                        "parked",
                        error,
                        where,
                        max(topology.delays, default=NO_DELAYS),
                    )
                )
    return settlement
