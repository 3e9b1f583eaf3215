"""What a copy carries."""

from collections.abc import Callable

import pytest
from pika import BasicProperties

from common.amqp.topology import Topology
from common.message import ATTEMPT, FIRST_ERROR, LAST_ERROR, QUEUE, Message
from consumer.copies import REPLAYS, attempt_of, failed_copy, fitted, fresh_copy, replayed_copy, replays
from consumer.outcome import Park, Retry
from tests.unit.origins import received

NOW = 1_700_000_000  # seconds
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


@pytest.mark.parametrize(("timestamp", "published"), [(None, NOW), (0, 0), (1_600_000_000, 1_600_000_000)])
def test_the_age_of_a_foreign_message_goes_on_over_its_retries(timestamp: int | None, published: int) -> None:
    """From its publisher's date, or from the first failure on; and each later copy keeps it."""
    first = failed_copy(Message(b"", properties=BasicProperties(timestamp=timestamp)), RETRY, "q", NOW)
    assert first.properties.timestamp == published
    assert failed_copy(first, RETRY, "q", NOW + 5).properties.timestamp == published


@pytest.mark.parametrize("copy", [lambda m: failed_copy(m, RETRY, "q", NOW), fresh_copy, replayed_copy])
def test_a_copy_is_as_old_as_its_original(copy: Callable[[Message], Message]) -> None:
    """To the millisecond."""
    original = Message.of("x", "id")
    assert copy(original).origin.published_ms() == original.origin.published_ms()


def test_only_a_parked_copy_has_the_brokers_death_headers() -> None:
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


@pytest.mark.parametrize(("count", "again"), [(0, 1), (1, 2), ("7", 1), (2**31 - 1, 2**31 - 1), (2**40, 2**31 - 1)])
def test_replays_are_counted_as_far_as_a_header_can(count: object, again: int) -> None:
    """Whatever somebody wrote there."""
    copy = replayed_copy(Message(b"", headers={REPLAYS: count, ATTEMPT: 3, LAST_ERROR: "e", "x-death": []}))
    assert copy.headers == {REPLAYS: again, LAST_ERROR: "e"}


def test_a_message_that_was_never_replayed_has_no_replays() -> None:
    assert replays(Message(b"")) == 0
    assert replayed_copy(Message(b"")).headers == {REPLAYS: 1}


def test_an_attempt_does_not_grow_beyond_what_a_header_can_hold() -> None:
    """One from outside may be any."""
    assert failed_copy(Message(b"", headers={ATTEMPT: 2**31 - 1}), RETRY, "q", NOW).attempt == 2**31 - 1


def test_a_handlers_edits_are_not_in_the_copy() -> None:
    """It has its own properties, and ours count the attempts."""
    message = Message.with_origin(b"x", received(BasicProperties(headers={ATTEMPT: 2, "tenant": "a"})))
    message.properties.headers = {"tenant": "b"}
    copy = failed_copy(message.original(), RETRY, "q", NOW)
    assert (copy.attempt, copy.headers["tenant"]) == (3, "a")


def size(message: Message) -> int:
    return sum(map(len, message.properties.encode()))


@pytest.mark.parametrize("room", range(60, 420, 7))
@pytest.mark.parametrize("outcome", [Retry(5.0, "ValueError: " + "x" * 100), Park("ValueError: " + "y" * 100)])
def test_our_headers_are_made_to_fit_and_the_strangers_stay(room: int, outcome: Retry | Park) -> None:
    """The attempt goes last; of a parked message the reason does, where there is any room for it."""
    theirs = BasicProperties(headers={"h": "x" * 20}, message_id="m")
    came = Message.with_origin(b"x", received(theirs))
    parked = isinstance(outcome, Park)
    made = fitted(failed_copy(came, outcome, "jobs", NOW), room, parked=parked)
    if size(came) <= room:
        assert size(made) <= room
    assert (made.body, made.message_id, made.headers["h"]) == (b"x", "m", "x" * 20)
    if room >= size(came) + 70:
        assert made.headers[LAST_ERROR].startswith("ValueError: ")
        assert made.attempt == (1 if parked else 2)
    if room >= size(came) + 55:
        assert LAST_ERROR in made.headers if parked else made.attempt == 2


def test_a_copy_that_fits_is_left_as_it_is() -> None:
    """To the byte."""
    copy = failed_copy(Message(b"x", headers={"tenant": "a"}), RETRY, "jobs", NOW)
    assert fitted(copy, size(copy)) is copy
    assert fitted(copy, size(copy) - 1) is not copy


@pytest.mark.parametrize(
    ("headers", "attempt"),
    [
        ({}, 1),
        ({"x-death": [{"queue": "jobs.retry.5s"}]}, 2),
        ({"x-death": [{"queue": "jobs.retry.30s"}]}, 4),
        ({"x-death": [{"queue": "jobs.retry.30s"}], ATTEMPT: 2}, 2),
        ({"x-death": [{"queue": "jobs"}]}, 1),
        ({"x-death": [{"queue": "others.retry.5s"}]}, 1),
        ({"x-death": "no list"}, 1),
        ({"x-death": []}, 1),
        ({"x-death": [7]}, 1),
        ({"x-death": [{}]}, 1),
    ],
)
def test_an_attempt_without_a_header_is_known_by_its_retry_queue(headers: dict[str, object], attempt: int) -> None:
    """Whatever a stranger wrote there; of equal delays the last, so that there is an end."""
    assert attempt_of(Message(b"", headers=headers), Topology("jobs", [5.0, 30.0, 30.0])) == attempt


@pytest.mark.parametrize("count", [-1, -(2**40), "3", 1.5, None])
def test_a_strangers_count_of_replays_lets_no_message_be_replayed_for_ever(count: object) -> None:
    """It would count up from there."""
    message = Message(b"", headers={REPLAYS: count})
    assert replays(message) == 0
    assert replayed_copy(message).headers[REPLAYS] == 1
