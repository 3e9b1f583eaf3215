"""What the outcomes of handlers lead to."""

from typing import Any

import pytest
from pika import BasicProperties

from common.amqp.topology import Topology
from common.message import ATTEMPT, FIRST_ERROR, LAST_ERROR, QUEUE, Message
from consumer.copies import POSTPONED
from consumer.delivery import Delivery
from consumer.forward import Forward
from consumer.outcome import ACK, Forwarded, Outcome, Park, Postponed, Retry
from consumer.settle import Done, settle

NOW = 1_700_000_000.0  # seconds
JOBS = Topology("jobs", [5.0, 30.0])
CURRENT, LOST = object(), object()
FORWARDED = Forwarded((Forward(b"x", to="out"),), (Message(b"x", message_id="n1"),))


def done(tag: int, outcome: Outcome, channel: object = CURRENT, age: int | None = None, **headers: Any) -> Done:
    timestamp = None if age is None else int(NOW) - age
    message = Message(
        b"%d" % tag, properties=BasicProperties(timestamp=timestamp, headers=headers, message_id=f"m{tag}")
    )
    return Delivery(channel, tag, message), outcome, 0.1


def test_a_handled_delivery_is_acknowledged_and_nothing_is_published() -> None:
    """In the order in which they were handled."""
    settlement = settle([done(3, ACK), done(1, ACK)], CURRENT, JOBS, NOW)
    assert (settlement.acks, settlement.copies) == ([3, 1], [])


@pytest.mark.parametrize(
    ("outcome", "queue", "counts_as", "attempt"),
    [
        (Retry(30.0, "E: x", "f.py:1"), "jobs.retry.30s", "retried", 3),
        (Park("E: x", "f.py:1"), "jobs.dead", "parked", 2),
    ],
)
def test_a_failed_delivery_goes_as_a_copy_and_is_not_acknowledged_before_its_confirm(
    outcome: Outcome, queue: str, counts_as: str, attempt: int
) -> None:
    """To the retry queue of its delay, or to the dead-letter queue, with the reason."""
    failed = done(7, outcome, **{ATTEMPT: 2, "tenant": "a"})
    settlement = settle([failed], CURRENT, JOBS, NOW)
    assert settlement.acks == []
    [copy] = settlement.copies
    assert (copy.delivery, copy.queue, copy.counts_as) == (failed[0], queue, counts_as)
    assert (copy.error, copy.where) == ("E: x", "f.py:1")
    assert (copy.message.body, copy.message.message_id) == (b"7", "m7")
    assert copy.message.headers == {
        "tenant": "a",
        ATTEMPT: attempt,
        FIRST_ERROR: "E: x",
        LAST_ERROR: "E: x",
        QUEUE: "jobs",
    }
    assert copy.message.properties.timestamp == int(NOW), "it had no date of its own"


def test_a_traceback_goes_with_the_copy_and_is_in_no_header() -> None:
    trace = "Traceback"
    for outcome in (Retry(5.0, "E", trace=trace), Park("E", trace=trace), Postponed(5.0, "E", trace=trace)):
        [copy] = settle([done(1, outcome)], CURRENT, JOBS, NOW).copies
        assert copy.trace == trace
        assert trace not in str(copy.message.headers)


def test_what_forwards_is_published_and_not_acknowledged_before_its_confirm() -> None:
    forwarding = done(7, FORWARDED, age=5)
    settlement = settle([forwarding, done(8, ACK)], CURRENT, JOBS, NOW)
    assert (settlement.acks, settlement.copies, settlement.ages) == ([8], [], [])
    assert settlement.forwards == [forwarding]


@pytest.mark.parametrize("outcome", [ACK, Retry(5.0, "E"), Park("E"), FORWARDED])
def test_a_delivery_of_another_channel_is_left_alone(outcome: Outcome) -> None:
    """The broker has requeued it, and its tag names another message on the current channel."""
    for channel in (CURRENT, None):
        settlement = settle([done(1, outcome, LOST, age=5)], channel, JOBS, NOW)
        assert (settlement.acks, settlement.copies, settlement.ages, settlement.forwards) == ([], [], [], [])


def test_a_batch_of_several_outcomes_and_channels_is_settled_one_by_one() -> None:
    """As a turn brings them."""
    outcomes = [done(1, ACK), done(2, Park("E")), done(2, ACK, LOST), done(3, Retry(5.0, "E")), done(4, ACK)]
    settlement = settle(outcomes, CURRENT, JOBS, NOW)
    assert settlement.acks == [1, 4]
    assert [(copy.delivery.tag, copy.queue) for copy in settlement.copies] == [(2, "jobs.dead"), (3, "jobs.retry.5s")]


def test_ages_are_of_handled_deliveries_with_a_date() -> None:
    """In seconds, at the end of its handling; those that failed, too."""
    outcomes = [done(1, ACK, age=60), done(2, ACK), done(3, Park("E"), age=5), done(4, ACK, age=0)]
    assert settle(outcomes, CURRENT, JOBS, NOW).ages == [60.0, 5.0, 0.0]


@pytest.mark.parametrize(
    ("delay", "queue"),
    [(0.0, "jobs.retry.5s"), (5.0, "jobs.retry.5s"), (6.0, "jobs.retry.30s"), (99.0, "jobs.retry.30s")],
)
def test_a_postponed_delivery_waits_in_the_next_longer_retry_queue_with_the_same_attempt(
    delay: float, queue: str
) -> None:
    [copy] = settle([done(7, Postponed(delay, "Postpone: x"), **{ATTEMPT: 2})], CURRENT, JOBS, NOW).copies
    assert (copy.queue, copy.counts_as) == (queue, "postponed")
    assert copy.message.headers[ATTEMPT] == 2
    assert copy.message.headers[POSTPONED] == int(NOW), "from here on its age counts"


@pytest.mark.parametrize(
    ("since", "kept"),
    [(int(NOW) - 60, True), (int(NOW) - 61, False), (int(NOW) + 99, True), ("yesterday", True), (-5, True)],
)
def test_a_delivery_that_is_postponed_for_too_long_is_parked(since: object, kept: bool) -> None:
    """With its reason. A foreign value that is no time of the past does not park it."""
    postponed = done(7, Postponed(5.0, "Postpone: x"), **{POSTPONED: since})
    [copy] = settle([postponed], CURRENT, JOBS, NOW, postpone_max_age=60.0).copies
    assert copy.queue == ("jobs.retry.5s" if kept else "jobs.dead")
    if kept and since == int(NOW) - 60:
        assert copy.message.headers[POSTPONED] == since, "the first time stays"
    if not kept:
        assert (copy.counts_as, copy.error) == ("parked", "postponed for over 1m: Postpone: x")


def test_a_postponed_delivery_without_a_retry_queue_is_parked_and_says_why() -> None:
    [copy] = settle([done(7, Postponed(5.0, "Postpone: x"))], CURRENT, Topology("jobs"), NOW).copies
    assert (copy.queue, copy.counts_as) == ("jobs.dead", "parked")
    assert copy.error == "postponed, but CONSUMER_RETRY_DELAYS is off: Postpone: x"
