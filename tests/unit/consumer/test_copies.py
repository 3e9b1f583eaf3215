"""What a copy carries."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from common.message import ATTEMPT, EXPIRATION, FIRST_ERROR, LAST_ERROR, QUEUE, Message
from common.wire.properties import EncodedProperties
from common.wire.writer import message_frames
from consumer.copies import REPLAYS, failed_copy, fresh_copy, replayed_copy
from consumer.outcome import Park, Retry
from tests.unit.common.wire.test_properties import received

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


FOREIGN = st.dictionaries(
    st.sampled_from([ATTEMPT, FIRST_ERROR, LAST_ERROR, QUEUE, REPLAYS, "CC", EXPIRATION, "x-death", "z"]),
    st.one_of(
        st.integers(0, 2**64 - 1).map(lambda number: b"T" + struct.pack(">Q", number)),
        st.integers(-(2**63), 2**63 - 1).map(lambda number: b"l" + struct.pack(">q", number)),
        st.floats().map(lambda number: b"d" + struct.pack(">d", number)),
        st.tuples(st.integers(0, 255), st.integers(-(2**31), 2**31 - 1)).map(lambda d: b"D" + struct.pack(">Bi", *d)),
        st.binary(max_size=20).map(lambda text: b"S" + struct.pack(">I", len(text)) + text),
        st.binary(max_size=20).map(lambda piece: b"?" + piece),
    ),
)


@pytest.mark.parametrize("name", [ATTEMPT, FIRST_ERROR, REPLAYS, "CC"])
@pytest.mark.parametrize("value", [b"T" + b"\xff" * 8, b"l\x7f" + b"\xff" * 7, b"d\x7f\xf8" + bytes(6)])
def test_a_header_from_outside_that_can_be_read_and_not_written_stops_no_copy(name: str, value: bytes) -> None:
    """It would end the consumer, and again with each delivery."""
    _copy_each_way({name: value})


@given(FOREIGN)
def test_any_headers_from_outside_can_be_copied(entries: dict[str, bytes]) -> None:
    """And what is ours is found in the copy where it can be read at all."""
    _copy_each_way(entries)


def _copy_each_way(entries: dict[str, bytes]) -> None:
    raw = b"".join(bytes([len(key)]) + key.encode() + value for key, value in entries.items())
    flags = struct.pack(">H", BasicProperties.FLAG_HEADERS)
    message = Message.with_origin(b"x", EncodedProperties(flags + struct.pack(">I", len(raw)) + raw))
    for made in (failed_copy(message, RETRY, "q", NOW), failed_copy(message, PARK, "q", NOW), replayed_copy(message)):
        assert message_frames(1, "q", made, 4096)
        assert failed_copy(made, PARK, "q", NOW).headers[QUEUE] == "q"


@pytest.mark.parametrize(("count", "again"), [(0, 1), (1, 2), ("7", 1), (2**31 - 1, 2**31 - 1), (2**40, 2**31 - 1)])
def test_replays_are_counted_as_far_as_a_header_can(count: object, again: int) -> None:
    """Whatever somebody wrote there."""
    copy = replayed_copy(Message(b"", headers={REPLAYS: count, ATTEMPT: 3, LAST_ERROR: "e", "x-death": []}))
    assert copy.headers == {REPLAYS: again, LAST_ERROR: "e"}


def test_an_attempt_over_what_a_header_can_hold_stays_there() -> None:
    """One from outside may be any."""
    assert failed_copy(Message(b"", headers={ATTEMPT: 2**31 - 1}), RETRY, "q", NOW).attempt == 2**31 - 1


def test_a_handlers_edits_are_not_in_the_copy() -> None:
    """It has its own properties, and ours count the attempts."""
    message = Message.with_origin(b"x", received(BasicProperties(headers={ATTEMPT: 2, "tenant": "a"})))
    message.properties.headers = {"tenant": "b"}
    copy = failed_copy(message.original(), RETRY, "q", NOW)
    assert (copy.attempt, copy.headers["tenant"]) == (3, "a")
