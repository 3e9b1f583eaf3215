"""Properties to be sent, and received with plain pika; those kept as bytes: see wire."""

from typing import Any

import pytest
from pika import BasicProperties

from common.properties import MILLISECONDS, NAMES, DecodedProperties, OutgoingProperties, published_ms, received


def test_the_names_are_those_of_pikas_fields_in_their_order() -> None:
    """The flags of a content header follow that order."""
    assert list(NAMES) == list(vars(BasicProperties()))


def test_outgoing_properties_are_persistent_named_and_dated_to_the_millisecond() -> None:
    """AMQP's timestamp has seconds only."""
    outgoing = OutgoingProperties("m", 1_700_000_000_123, "text/plain", "utf-8")
    assert outgoing.to_pika() == BasicProperties(
        content_type="text/plain",
        content_encoding="utf-8",
        headers={MILLISECONDS: 123},
        delivery_mode=2,
        message_id="m",
        timestamp=1_700_000_000,
    )
    assert outgoing.published_ms() == 1_700_000_000_123


def test_outgoing_properties_can_be_changed() -> None:
    """For a copy of a message that was never sent."""
    changed = OutgoingProperties("m", 5).changed({"a": 1}, {}, priority=3).to_pika()
    assert (changed.headers, changed.priority, changed.message_id) == ({MILLISECONDS: 5, "a": 1}, 3, "m")


def test_decoded_properties_are_copied_for_each_caller() -> None:
    """With everything inside of the headers."""
    origin = DecodedProperties(BasicProperties(headers={"list": [1]}))
    mine = origin.to_pika()
    mine.headers["list"].append(2)
    mine.message_id = "other"
    assert origin.to_pika() == BasicProperties(headers={"list": [1]})
    assert len(origin) >= len("list")


@pytest.mark.parametrize("headers", [None, {}])
def test_headers_can_be_added_to_properties_without_headers(headers: Any) -> None:
    """A value of None adds nothing."""
    origin = DecodedProperties(BasicProperties(headers=headers))
    assert origin.changed({"a": 1, "b": None}, {}).to_pika().headers == {"a": 1}


def test_a_renamed_header_replaces_a_header_of_its_new_name() -> None:
    """A new header may take the old name."""
    origin = DecodedProperties(BasicProperties(headers={"CC": [1], "mq-cc": 2, "z": 3}, priority=1))
    changed = origin.changed({"z": None, "CC": 4}, {"CC": "mq-cc"}, priority=None).to_pika()
    assert changed == BasicProperties(headers={"mq-cc": [1], "CC": 4})


@pytest.mark.parametrize(
    ("timestamp", "headers", "published"),
    [(None, {MILLISECONDS: 5}, None), (7, None, 7000), (7, [1], 7000), (7, {MILLISECONDS: 999}, 7999)]
    + [(7, {MILLISECONDS: odd}, 7000) for odd in (1000, -1, "5", None)]
    + [("7", {}, None), (7.5, {}, None), (True, {}, None)],
)
def test_the_time_of_publishing_is_the_timestamp_and_our_milliseconds(
    timestamp: Any, headers: Any, published: int | None
) -> None:
    """Whatever a foreign publisher wrote into them."""
    assert published_ms(timestamp, headers) == published
    assert DecodedProperties(BasicProperties(timestamp=timestamp, headers=headers)).published_ms() == published


def test_received_properties_of_pikas_type_are_wrapped() -> None:
    """Those of `common.wire` are passed on."""
    plain, ours = BasicProperties(app_id="a"), OutgoingProperties("m", 1)
    assert received(plain).to_pika() == plain
    assert received(ours) is ours
