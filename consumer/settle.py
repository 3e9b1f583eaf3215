"""Settle: what the outcomes of handlers lead to, as a value. Pure.

Which deliveries are acknowledged, what is published where before its original is, and what is left alone, since its
channel is gone and the broker has requeued it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from common.amqp.topology import Topology
from common.message import Message
from common.settings.types import format_duration
from consumer.copies import failed_copy, postponed_since
from consumer.delivery import Delivery
from consumer.outcome import Ack, Outcome, Park, Postponed, Retry

Done = tuple[Delivery, Outcome, float]
"""A handled delivery, what follows from it, and how long the handler took in seconds."""


class Copy(NamedTuple):
    """To be published to `queue`; on its confirm, `delivery` is acknowledged and counted under `counts_as`."""

    delivery: Delivery
    queue: str
    message: Message
    counts_as: Literal["retried", "postponed", "parked", "handed_back"]
    error: str = ""
    where: str = ""
    trace: str = ""


class Settlement(NamedTuple):
    """`acks` are delivery tags of the current channel; `ages` are in seconds, of all that was handled on it."""

    acks: list[int]
    copies: list[Copy]
    ages: list[float]


def settle(
    done: Iterable[Done], channel: object, topology: Topology, now: float, postpone_max_age: float = math.inf
) -> Settlement:
    """`channel` is the current one, `now` is `time.time()`; after `postpone_max_age` seconds a message is parked.

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
            case Postponed():
                copies.append(
                    _copy(delivery, _bounded(delivery, outcome, topology, now, postpone_max_age), topology, now)
                )
            case Retry() | Park():
                copies.append(_copy(delivery, outcome, topology, now))
    return settlement


def _copy(delivery: Delivery, outcome: Retry | Postponed | Park, topology: Topology, now: float) -> Copy:
    counts_as: Literal["retried", "postponed", "parked"]
    match outcome:
        case Retry(delay):
            queue, counts_as = topology.retry(delay), "retried"
        case Postponed(delay):
            queue, counts_as = topology.retry(_long_enough(delay, topology.delays)), "postponed"
        case Park():
            queue, counts_as = topology.dead, "parked"
    message = failed_copy(delivery.message, outcome, topology.name, now)
    return Copy(delivery, queue, message, counts_as, outcome.error, outcome.where, outcome.trace)


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
