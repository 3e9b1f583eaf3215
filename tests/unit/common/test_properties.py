"""Properties before they are sent and after they came, as plain pika has them; those by their bytes: wire."""

from typing import Any

import pytest
from pika import BasicProperties

from common.properties import MILLISECONDS, NAMES, DecodedProperties, OutgoingProperties, published_ms, received


def test_the_names_are_those_of_pikas_fields_in_their_order() -> None:
    """Flags follow from it."""
    assert list(NAMES) == list(vars(BasicProperties()))


def test_outgoing_properties_are_persistent_named_and_dated_to_the_millisecond() -> None:
    """AMQP's timestamp has seconds."""
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


def test_outgoing_properties_are_changed_as_any_others() -> None:
    """For a copy of a message that was never sent."""
    changed = OutgoingProperties("m", 5).changed({"a": 1}, {}, priority=3).to_pika()
    assert (changed.headers, changed.priority, changed.message_id) == ({MILLISECONDS: 5, "a": 1}, 3, "m")


def test_decoded_properties_are_whoevers_own_that_gets_them() -> None:
    """Also what stands inside of the headers."""
    origin = DecodedProperties(BasicProperties(headers={"list": [1]}))
    mine = origin.to_pika()
    mine.headers["list"].append(2)
    mine.message_id = "other"
    assert origin.to_pika() == BasicProperties(headers={"list": [1]})
    assert len(origin) >= len("list")


@pytest.mark.parametrize("headers", [None, {}])
def test_headers_are_put_in_where_there_were_none(headers: Any) -> None:
    """None takes one away."""
    origin = DecodedProperties(BasicProperties(headers=headers))
    assert origin.changed({"a": 1, "b": None}, {}).to_pika().headers == {"a": 1}


def test_a_header_is_renamed_and_gives_way_to_none_of_its_new_name() -> None:
    """What it was called before is free for what is put in."""
    origin = DecodedProperties(BasicProperties(headers={"CC": [1], "mq-cc": 2, "z": 3}, priority=1))
    changed = origin.changed({"z": None, "CC": 4}, {"CC": "mq-cc"}, priority=None).to_pika()
    assert changed == BasicProperties(headers={"mq-cc": [1], "CC": 4})


@pytest.mark.parametrize(
    ("timestamp", "headers", "published"),
    [(None, {MILLISECONDS: 5}, None), (7, None, 7000), (7, [1], 7000), (7, {MILLISECONDS: 999}, 7999)]
    + [(7, {MILLISECONDS: odd}, 7000) for odd in (1000, -1, "5", None)]
    + [("7", {}, None), (7.5, {}, None), (True, {}, None)],
)
def test_a_date_is_its_timestamp_and_our_milliseconds(timestamp: Any, headers: Any, published: int | None) -> None:
    """Whatever a foreign publisher wrote there."""
    assert published_ms(timestamp, headers) == published
    assert DecodedProperties(BasicProperties(timestamp=timestamp, headers=headers)).published_ms() == published


def test_what_pika_hands_over_is_wrapped_and_what_the_fence_does_is_not() -> None:
    """Both ways bring properties."""
    plain, ours = BasicProperties(app_id="a"), OutgoingProperties("m", 1)
    assert received(plain).to_pika() == plain
    assert received(ours) is ours
