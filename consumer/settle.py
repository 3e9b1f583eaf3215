"""Settle: what the outcomes of handlers lead to, as a value. Pure.

Which deliveries are acknowledged, what is published where before its original is, and what is left alone, since its
channel is gone and the broker has requeued it.
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from common.amqp.topology import Topology
from common.message import Message
from consumer.copies import attempt_of, failed_copy
from consumer.delivery import Delivery
from consumer.outcome import ACK, Ack, Outcome, Park, Retry

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
        attempt = 0 if outcome is ACK else attempt_of(delivery.message, topology)
        match _counted(outcome, delivery.message, attempt, topology):
            case Ack():
                acks.append(delivery.tag)
            case Retry(delay, error, where) as retry:
                message = failed_copy(delivery.message, retry, topology.name, now, attempt)
                copies.append(Copy(delivery, topology.retry(delay), message, "retried", error, where, delay))
            case Park(error, where) as park:
                message = failed_copy(delivery.message, park, topology.name, now, attempt)
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


def _counted(outcome: Outcome, message: Message, attempt: int, topology: Topology) -> Outcome:
    """`outcome` by `attempt`, which a handler's thread does not know of a message without room for our headers."""
    if not isinstance(outcome, Retry) or attempt <= message.attempt:
        return outcome
    if attempt > len(topology.delays):
        return Park(outcome.error, outcome.where)
    return Retry(topology.delays[attempt - 1], outcome.error, outcome.where)
