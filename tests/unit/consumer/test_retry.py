"""What a copier promises while there is no broker; with one it is tested in tests/broker and tests/chaos."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties
from structlog.testing import capture_logs

from common.amqp.errors import Kind, Refusal
from common.message import ATTEMPT, EXPIRATION, FIRST_ERROR, LAST_ERROR, QUEUE, Message
from common.wire.headers import decode_table
from common.wire.properties import published_ms
from consumer.delivery import Delivery, delivery_count
from consumer.outcome import Park, Retry
from consumer.prefetch import SUSPECT
from consumer.retry import REPLAYS, Copier, failed_copy, fresh_copy, replayed_copy
from consumer.settings import ConsumerSettings
from consumer.subscription import Subscription
from tests.unit.conftest import Loop

pytestmark = pytest.mark.usefixtures("own_metrics")


@pytest.fixture
def copier(process: Loop) -> Copier:
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs"})
    subscription = Subscription(process, settings, lambda _: None, lambda: None, lambda *_: None)
    return Copier(process, settings, subscription)


def delivery(tag: int, count: int = 0) -> Delivery:
    return Delivery(object(), tag, Message(b"x", message_id="m", headers={"x-delivery-count": count}))


def test_failures_are_kept_until_there_is_a_broker_and_told_with_where_they_go(copier: Copier) -> None:
    """Retry queue or dead-letter queue."""
    with capture_logs() as lines:
        copier.failed([(delivery(1), Retry(5.0, "ValueError: x", "f.py:1")), (delivery(2), Park("Reject: y"))])
    assert len(copier.publisher) == 2
    assert [(line["to"], line["error"], line["message_id"]) for line in lines] == [
        ("jobs.retry.5s", "ValueError: x", "m"),
        ("jobs.dead", "Reject: y", "m"),
    ]
    assert copier.totals == {"retried": 0, "parked": 0, "handed_back": 0}


def test_a_loss_leaves_no_copies_of_what_the_broker_delivers_again(copier: Copier) -> None:
    """However often the same messages fail while no copy can go out; one in flight is not sent again either."""
    for _ in range(3):
        copier.failed((delivery(tag), Park("x")) for tag in range(100))
        copier.refresh([delivery(100, SUSPECT)])
        copier.lost()
        assert len(copier.publisher) == 0
    in_flight = copier.publisher._in_flight
    copier.failed([(delivery(1), Park("x"))])
    sent = in_flight.take(1)
    assert sent
    in_flight.sent(sent, 1.0)
    copier.lost()
    copier.publisher.lost(Refusal(Kind.TCP, "gone"))
    assert len(copier.publisher) == 0


def test_a_flood_of_failures_is_no_flood_of_lines(copier: Copier) -> None:
    """The rest is counted."""
    with capture_logs() as lines:
        copier.failed((delivery(tag), Park("x")) for tag in range(500))
        copier.tick(1000.0)
    assert len(lines) < 50
    assert len(lines) - 1 + lines[-1]["count"] == 500
    assert len(copier.publisher) == 500


def test_only_what_would_look_suspect_next_time_is_handed_back_as_a_copy(copier: Copier) -> None:
    """Its count begins anew."""
    deliveries = [delivery(tag, count) for tag, count in enumerate((0, SUSPECT - 2, SUSPECT - 1, 15))]
    assert copier.refresh(deliveries) == deliveries[:2]
    assert len(copier.publisher) == 2


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
    assert published_ms(copy(original).properties) == published_ms(original.properties)


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
    table, _ = decode_table(struct.pack(">I", len(raw)) + raw, 0)
    message = Message(b"x", properties=BasicProperties(headers=table))
    for made in (failed_copy(message, RETRY, "q", NOW), failed_copy(message, PARK, "q", NOW), replayed_copy(message)):
        assert b"".join(made.properties.encode())
        assert failed_copy(made, PARK, "q", NOW).headers[QUEUE] == "q"


@pytest.mark.parametrize(
    ("headers", "count"), [(None, 0), ({}, 0), ({"x-delivery-count": 7}, 7), ({"x-delivery-count": "7"}, 0)]
)
def test_deliveries_are_counted_by_the_broker(headers: dict[str, Any] | None, count: int) -> None:
    """0 where it does not say."""
    assert delivery_count(Message(b"", properties=BasicProperties(headers=headers))) == count
