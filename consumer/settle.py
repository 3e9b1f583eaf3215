"""Settle: what the outcomes of handlers lead to, as a value. Pure.

Which deliveries are acknowledged, what is published where before its original is, and what is left alone, since its
channel is gone and the broker has requeued it.
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from common.amqp.topology import Topology
from common.message import Message
from common.settings.types import format_duration
from consumer.copies import attempt_of, failed_copy, postponed_since
from consumer.delivery import Delivery
from consumer.outcome import Ack, Forwarded, Outcome, Park, Postponed, Retry, failed

NO_DELAYS = 60.0  # seconds between tries of a message that a full dead-letter queue refuses, where there are no delays
Done = tuple[Delivery, Outcome, float]
"""A handled delivery, what follows from it, and how long the handler took in seconds."""

ToForward = tuple[Delivery, Forwarded, float]


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

    `stale` is what a lost channel delivered, and `forwards` what is settled once all that it forwards is confirmed.
    """

    acks: list[int]
    copies: list[Copy]
    ages: list[float]
    stale: list[Done]
    forwards: list[ToForward]


def settle(
    done: Iterable[Done], channel: object, topology: Topology, now: float, postpone_max_age: float = math.inf
) -> Settlement:
    """`channel` is the current one, `now` is `time.time()`; after `postpone_max_age` seconds a message is parked.

    A tag of another channel names another message there: to settle it would lose that one.
    """
    acks, copies, ages, stale, forwards = settlement = Settlement([], [], [], [], [])
    for delivery, outcome, seconds in done:
        if delivery.channel is not channel:
            stale.append((delivery, outcome, seconds))
            continue
        if isinstance(outcome, Forwarded):
            forwards.append((delivery, outcome, seconds))
            continue
        if (age := delivery.message.age_at(now)) is not None:
            ages.append(age)
        if isinstance(outcome, Ack):
            acks.append(delivery.tag)
        else:
            copies.append(_copy(delivery, outcome, topology, now, postpone_max_age))
    return settlement


def _copy(
    delivery: Delivery, outcome: Retry | Postponed | Park, topology: Topology, now: float, postpone_max_age: float
) -> Copy:
    attempt = attempt_of(delivery.message, topology)
    if isinstance(outcome, Postponed):
        outcome = bounded(outcome, delivery.message, topology, now, postpone_max_age)
    elif isinstance(outcome, Retry) and attempt > delivery.message.attempt:  # no room for our headers told the handler
        outcome = failed(outcome, attempt, topology.delays)
    counts_as: Literal["retried", "postponed", "parked"]
    match outcome:
        case Retry(delay):
            queue, counts_as = topology.retry(delay), "retried"
        case Postponed(least):
            delay = min((each for each in topology.delays if each >= least), default=max(topology.delays))
            queue, counts_as = topology.retry(delay), "postponed"
        case Park():
            delay = max(topology.delays, default=NO_DELAYS)
            queue, counts_as = topology.dead, "parked"
    message = failed_copy(delivery.message, outcome, topology.name, now, attempt)
    return Copy(delivery, queue, message, counts_as, outcome.error, outcome.where, delay, outcome.trace)


def bounded(outcome: Postponed, message: Message, topology: Topology, now: float, max_age: float) -> Postponed | Park:
    """`outcome`, or what is left where no retry queue is, or where the message is postponed for too long."""
    if not topology.delays:
        why = "postponed, but CONSUMER_RETRY_DELAYS is off"
    elif now - postponed_since(message, now) > max_age:
        why = f"postponed for over {format_duration(max_age)}"
    else:
        return outcome
    return Park(f"{why}: {outcome.error}", outcome.where, trace=outcome.trace)
