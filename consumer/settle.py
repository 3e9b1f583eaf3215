"""Settle: what the outcomes of handlers lead to, as a value. Pure.

Which deliveries are acknowledged, what is published where before its original is, and what is left alone, since its
channel is gone and the broker has requeued it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from common.amqp.topology import Topology
from common.message import Message
from common.settings.types import format_duration
from consumer.copies import attempt_of, failed_copy, postponed_since
from consumer.delivery import Delivery
from consumer.outcome import ACK, Ack, Outcome, Park, Postponed, Retry

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
    counts_as: Literal["retried", "postponed", "parked", "handed_back"]
    error: str = ""
    where: str = ""
    delay: float = math.inf
    trace: str = ""


class Settlement(NamedTuple):
    """`acks` are delivery tags of the current channel; `ages` are in seconds, of all that was handled on it.

    `stale` is what a lost channel delivered.
    """

    acks: list[int]
    copies: list[Copy]
    ages: list[float]
    stale: list[Done]


def settle(
    done: Iterable[Done], channel: object, topology: Topology, now: float, postpone_max_age: float = math.inf
) -> Settlement:
    """`channel` is the current one, `now` is `time.time()`; after `postpone_max_age` seconds a message is parked.

    A tag of another channel names another message there: to settle it would lose that one.
    """
    acks, copies, ages, stale = settlement = Settlement([], [], [], [])
    for delivery, outcome, seconds in done:
        if delivery.channel is not channel:
            stale.append((delivery, outcome, seconds))
            continue
        age = delivery.message.age_at(now)
        if age is not None:
            ages.append(age)
        attempt = 0 if outcome is ACK else attempt_of(delivery.message, topology)
        match _counted(outcome, delivery.message, attempt, topology):
            case Ack():
                acks.append(delivery.tag)
            case Postponed() as postponed:
                bounded = _bounded(delivery, postponed, topology, now, postpone_max_age)
                copies.append(_copy(delivery, bounded, topology, now, attempt))
            case (Retry() | Park()) as failed:
                copies.append(_copy(delivery, failed, topology, now, attempt))
    return settlement


def _copy(delivery: Delivery, outcome: Retry | Postponed | Park, topology: Topology, now: float, attempt: int) -> Copy:
    counts_as: Literal["retried", "postponed", "parked"]
    match outcome:
        case Retry(delay):
            queue, counts_as = topology.retry(delay), "retried"
        case Postponed(least):
            delay = _long_enough(least, topology.delays)
            queue, counts_as = topology.retry(delay), "postponed"
        case Park():
            delay = max(topology.delays, default=NO_DELAYS)
            queue, counts_as = topology.dead, "parked"
    message = failed_copy(delivery.message, outcome, topology.name, now, attempt)
    return Copy(delivery, queue, message, counts_as, outcome.error, outcome.where, delay, outcome.trace)


def _counted(outcome: Outcome, message: Message, attempt: int, topology: Topology) -> Outcome:
    """`outcome` by `attempt`, which a handler's thread does not know of a message without room for our headers."""
    if not isinstance(outcome, Retry) or attempt <= message.attempt:
        return outcome
    if attempt > len(topology.delays):
        return Park(outcome.error, outcome.where, outcome.outage, outcome.trace)
    return replace(outcome, delay=topology.delays[attempt - 1])


def _bounded(
    delivery: Delivery, outcome: Postponed, topology: Topology, now: float, max_age: float
) -> Postponed | Park:
    """`outcome`, or what is left where no retry queue is, or where it is postponed for too long."""
    if not topology.delays:
        return Park(f"postponed, but CONSUMER_RETRY_DELAYS is off: {outcome.error}", outcome.where, trace=outcome.trace)
    if now - postponed_since(delivery.message, now) > max_age:
        return Park(
            f"postponed for over {format_duration(max_age)}: {outcome.error}", outcome.where, trace=outcome.trace
        )
    return outcome


def _long_enough(delay: float, delays: Sequence[float]) -> float:
    """The shortest of `delays` that is not shorter than `delay`, else the longest."""
    return min((each for each in delays if each >= delay), default=max(delays))
