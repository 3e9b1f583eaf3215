"""The copies that go on in the place of their originals."""

from typing import Any

import pytest
from pika import BasicProperties

from common.envelope import PUBLISHED_MS
from common.message import ATTEMPT, FIRST_ERROR, LAST_ERROR, QUEUE, Message
from consumer.copies import delivery_count, failed_copy, fresh_copy
from consumer.outcome import Park, Retry

NOW = 1_700_000_000_000  # milliseconds
RETRY, PARK = Retry(5.0, "ValueError: x"), Park("Reject: y")


def test_a_retry_counts_and_remembers_its_first_and_last_error() -> None:
    """Over all attempts."""
    first = failed_copy(Message(b"x", headers={"tenant": "a"}), RETRY, "jobs", NOW)
    assert first.headers == {
        "tenant": "a",
        ATTEMPT: 2,
        FIRST_ERROR: "ValueError: x",
        LAST_ERROR: "ValueError: x",
        QUEUE: "jobs",
        PUBLISHED_MS: NOW,
    }
    second = failed_copy(first, Retry(30.0, "KeyError: z"), "jobs", NOW)
    assert (second.attempt, second.headers[FIRST_ERROR], second.headers[LAST_ERROR]) == (
        3,
        "ValueError: x",
        "KeyError: z",
    )


def test_a_parked_message_says_how_many_attempts_there_were() -> None:
    """Parking is none more."""
    parked = failed_copy(failed_copy(Message(b"x"), RETRY, "jobs", NOW), PARK, "jobs", NOW)
    assert (parked.attempt, parked.headers[LAST_ERROR], parked.headers[QUEUE]) == (2, "Reject: y", "jobs")


@pytest.mark.parametrize("copy", [lambda m: failed_copy(m, RETRY, "q", NOW), fresh_copy])
def test_a_copy_has_none_of_the_brokers_counts(copy: object) -> None:
    """They are the original's."""
    message = Message(b"x", message_id="m", headers={"x-delivery-count": 12, "x-acquired-count": 13, "x-mine": 1})
    made = copy(message)  # type: ignore[operator]
    assert not {"x-delivery-count", "x-acquired-count"} & set(made.headers)
    assert made.headers["x-mine"] == 1
    assert (made.body, made.message_id) == (b"x", "m")


@pytest.mark.parametrize(
    ("timestamp", "headers", "published"),
    [
        (None, {}, NOW),
        (1_600_000_000, {}, 1_600_000_000_000),
        (NOW, {}, NOW),
        (2**64 - 1, {}, NOW),
        (1_600_000_000, {PUBLISHED_MS: 5}, 5),
        (None, {PUBLISHED_MS: "yesterday"}, "yesterday"),
    ],
)
def test_the_age_of_a_foreign_message_goes_on_over_its_retries(
    timestamp: int | None, headers: dict[str, Any], published: object
) -> None:
    """From its publisher's date, or from the first failure on; and each later copy keeps it."""
    first = failed_copy(Message(b"", properties=BasicProperties(timestamp=timestamp, headers=headers)), RETRY, "q", NOW)
    assert first.headers[PUBLISHED_MS] == published
    assert failed_copy(first, RETRY, "q", NOW + 5000).headers[PUBLISHED_MS] == published
    assert b"".join(first.properties.encode())


def test_only_a_parked_copy_says_what_the_broker_did_to_the_original() -> None:
    """On RabbitMQ 3.10 a copy that did would never leave its retry queue."""
    headers = {"x-death": [{"queue": "jobs", "reason": "delivery_limit"}], "x-first-death-reason": "delivery_limit"}
    message = Message(b"x", headers=headers | {"tenant": "a"})
    again, parked = failed_copy(message, RETRY, "jobs", NOW), failed_copy(message, PARK, "jobs", NOW)
    assert not headers.keys() & again.headers.keys()
    assert again.headers["tenant"] == "a"
    assert parked.headers.items() >= headers.items()


def test_a_fresh_copy_is_the_same_attempt() -> None:
    """Nobody began with it."""
    message = Message(b"x", headers={ATTEMPT: 2, FIRST_ERROR: "e"})
    assert fresh_copy(message).headers == message.headers


@pytest.mark.parametrize(
    ("headers", "count"), [(None, 0), ({}, 0), ({"x-delivery-count": 7}, 7), ({"x-delivery-count": "7"}, 0)]
)
def test_deliveries_are_counted_by_the_broker(headers: dict[str, Any] | None, count: int) -> None:
    """0 where it does not say."""
    assert delivery_count(Message(b"", properties=BasicProperties(headers=headers))) == count
