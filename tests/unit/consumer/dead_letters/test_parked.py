"""One message of the dead-letter queue."""

import json
import time
from typing import Any

import pytest
from pika import BasicProperties

from common.message import Message
from common.wire.headers import table_of
from common.wire.properties import Received
from consumer.dead_letters.match import parse_match
from consumer.dead_letters.page import page
from consumer.dead_letters.parked import Parked, plain, text_of
from consumer.dead_letters.table import table


def came(properties: BasicProperties) -> Parked:
    """As the broker delivers it: decoded when asked for."""
    return Parked(1, Message(b"x", properties=Received().decode(b"".join(properties.encode()))))


def parked(body: bytes = b"x", **headers: Any) -> Parked:
    properties = BasicProperties(message_id="m", content_type="text/plain", headers=headers)
    return Parked(3, Message(body, properties=properties))


def test_a_row_is_what_a_list_says() -> None:
    """With ages in seconds, and never more of an error than the consumer's own are long."""
    message = parked(**{"mq-attempt": 4, "mq-replays": 1, "mq-last-error": "e" * 9000})
    message.message.properties.timestamp = int(time.time()) - 5
    row = message.row
    assert (row.position, row.id, row.attempt, row.replays, row.bytes) == (3, "m", 4, 1, 1)
    assert row.age == pytest.approx(5.0, abs=2.0)
    assert row.error == "e" * 500


def test_a_message_of_somebody_else_has_a_row_too() -> None:
    """Whatever it lacks."""
    row = Parked(1, Message(b"", properties=BasicProperties())).row
    assert row == (1, None, None, 1, 0, 0, "")


def test_the_reason_is_the_consumers_or_the_brokers() -> None:
    """The last error, or why the broker gave it up."""
    assert parked(**{"mq-last-error": "ValueError: x", "x-first-death-reason": "expired"}).error == "ValueError: x"
    assert parked(**{"x-first-death-reason": "delivery_limit"}).error == "parked by the broker: delivery_limit"


@pytest.mark.parametrize(("body", "field"), [(b"\xc3\xbc", {"body": "ü"}), (b"\xff\x00", {"body_hex": "ff00"})])
def test_the_whole_is_json(body: bytes, field: dict[str, str]) -> None:
    """Text where it is text."""
    whole = parked(body, **{"mq-first-error": "first"}).whole
    assert whole.items() >= field.items()
    assert whole["first_error"] == "first"
    assert whole["properties"] == {"content_type": "text/plain", "message_id": "m"}
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole


def test_the_whole_of_what_came_has_all_its_properties() -> None:
    """Though nobody asked for one before; and none of what is only ours to know."""
    sent = BasicProperties(message_id="m", timestamp=7, priority=3, delivery_mode=2, headers={"a": 1})
    whole = came(sent).whole
    assert whole["properties"] == {"message_id": "m", "timestamp": 7, "priority": 3, "delivery_mode": 2}
    assert whole["headers"] == {"a": 1}


def test_a_name_that_is_no_text_is_shown_and_found() -> None:
    """The broker takes any bytes for one, and nobody else's message must be hidden by it."""
    odd = came(BasicProperties(message_id=b"\xff1", headers={}))  # type: ignore[arg-type]
    assert odd.row.id == odd.whole["properties"]["message_id"] == "\\xff1"
    assert odd.row.age is None
    assert json.loads(json.dumps(odd.whole, allow_nan=False)) == odd.whole
    assert "\\xff1" in list(table([odd.row], 80))[1]
    assert any("\\xff1" in line for line in page(odd.whole))
    assert parse_match("id~xff1")(odd)
    assert not parse_match("id=m")(odd)


def test_headers_of_any_type_are_json() -> None:
    """Nested, binary, and what JSON has no word for."""
    headers = {"n": 1, "t": True, "none": None, "list": [b"\xff", table_of({"in": 2.5})], "nan": float("nan")}
    assert plain(headers) == {"n": 1, "t": True, "none": None, "list": ["\\xff", {"in": "2.5"}], "nan": "nan"}
    assert (text_of(True), text_of(b"a"), text_of(7)) == ("true", "a", "7")
