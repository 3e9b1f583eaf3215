"""One message of the dead-letter queue."""

import json
import time
from typing import Any

import pytest
from pika import BasicProperties

from common.message import Message
from common.properties import received as origin_of
from consumer.copies import failed_copy, fitted, properties_size
from consumer.dead_letters.dead_letter import NO_ROOM, DeadLetter, Filter, json_value, parse_expression, text_of
from consumer.dead_letters.render import page, table
from consumer.outcome import Park
from tests.unit.consumer.dead_letters.conftest import message


def received(properties: BasicProperties) -> DeadLetter:
    """As the broker delivers it: decoded when asked for."""
    return DeadLetter(1, Message(b"x", properties=properties))


def letter(body: bytes = b"x", **headers: Any) -> DeadLetter:
    properties = BasicProperties(message_id="m", content_type="text/plain", headers=headers)
    return DeadLetter(3, Message(body, properties=properties))


def test_a_row_has_the_age_in_seconds_and_the_first_500_characters_of_the_error() -> None:
    """The consumer's own errors are no longer."""
    failed = letter(**{"mq-attempt": 4, "mq-replays": 1, "mq-last-error": "e" * 9000})
    failed.message.properties.timestamp = int(time.time()) - 5
    row = failed.row
    assert (row.position, row.id, row.attempt, row.replays, row.bytes) == (3, "m", 4, 1, 1)
    assert row.age == pytest.approx(5.0, abs=2.0)
    assert row.error == "e" * 500


def test_a_foreign_message_without_properties_has_a_row() -> None:
    row = DeadLetter(1, Message(b"", properties=BasicProperties())).row
    assert row == (1, None, None, 1, 0, 0, "")


def test_the_error_is_the_consumers_last_one_or_the_brokers_reason() -> None:
    assert letter(**{"mq-last-error": "ValueError: x", "x-first-death-reason": "expired"}).error == "ValueError: x"
    assert letter(**{"x-first-death-reason": "delivery_limit"}).error == "parked by the broker: delivery_limit"


@pytest.mark.parametrize("room", range(0, 200, 5))
def test_a_message_whose_headers_left_no_room_for_the_reason_says_so(room: int) -> None:
    """In words, in place of an empty error; the log has the reason."""
    came = Message.with_origin(b"x", origin_of(BasicProperties(headers={"h": "x" * 20}, message_id="m")))
    parked = fitted(failed_copy(came, Park("ValueError: x"), "jobs", 1.0), properties_size(came) + room, parked=True)
    letter = DeadLetter(1, parked, properties_size(came) + room)
    assert letter.error == letter.row.error == ("ValueError: x" if "mq-last-error" in parked.headers else NO_ROOM)
    assert any(NO_ROOM in line for line in page(letter.details)) is ("mq-last-error" not in parked.headers)


def test_what_another_program_parked_has_room_and_no_reason() -> None:
    assert letter(h="x" * 100_000).error == ""


@pytest.mark.parametrize(("body", "field"), [(b"\xc3\xbc", {"body": "ü"}), (b"\xff\x00", {"body_hex": "ff00"})])
def test_details_are_json_with_the_body_as_text_or_as_hexadecimal_digits(body: bytes, field: dict[str, str]) -> None:
    details = letter(body, **{"mq-first-error": "first"}).details
    assert details.items() >= field.items()
    assert details["first_error"] == "first"
    assert details["properties"] == {"content_type": "text/plain", "message_id": "m"}
    assert json.loads(json.dumps(details, allow_nan=False)) == details


def test_details_of_a_received_message_have_all_its_properties_and_no_others() -> None:
    """Properties are decoded when a field is read, and none was read before."""
    sent = BasicProperties(message_id="m", timestamp=7, priority=3, delivery_mode=2, headers={"a": 1})
    details = received(sent).details
    assert details["properties"] == {"message_id": "m", "timestamp": 7, "priority": 3, "delivery_mode": 2}
    assert details["headers"] == {"a": 1}


def test_a_message_id_that_is_no_utf8_is_shown_and_found() -> None:
    """The broker takes any bytes, and such a message must not hide the others."""
    odd = received(BasicProperties(message_id=b"\xff1", headers={}))  # type: ignore[arg-type]
    assert odd.row.id == odd.details["properties"]["message_id"] == "\\xff1"
    assert odd.row.age is None
    assert json.loads(json.dumps(odd.details, allow_nan=False)) == odd.details
    assert "\\xff1" in list(table([odd.row], 80))[1]
    assert any("\\xff1" in line for line in page(odd.details))
    assert parse_expression("id~xff1")(odd)
    assert not parse_expression("id=m")(odd)


def test_headers_of_any_type_become_json() -> None:
    """Nested, binary, and what JSON has no word for."""
    headers = {"n": 1, "t": True, "none": None, "list": [b"\xff", {"in": 2.5}], "nan": float("nan")}
    assert json_value(headers) == {"n": 1, "t": True, "none": None, "list": ["\\xff", {"in": "2.5"}], "nan": "nan"}
    assert (text_of(True), text_of(b"a"), text_of(7)) == ("true", "a", "7")


def test_a_fingerprint_stays_the_same_after_a_scan_and_at_another_position() -> None:
    """The broker counts scans in a header, and messages before this one may leave the queue."""
    later = DeadLetter(3, message(1, tenant="a", **{"x-delivery-count": 2}))
    assert DeadLetter(7, message(1, tenant="a")).fingerprint == later.fingerprint


def test_messages_of_the_same_id_that_differ_have_different_fingerprints() -> None:
    """An id may be missing, or given twice; one that failed again meanwhile says so in its headers."""
    first = DeadLetter(1, message(1, tenant="a"))
    others = [
        message(1, tenant="b"),
        Message(b"y", message_id="m1", headers={"tenant": "a"}),
        message(1, tenant="a", **{"mq-replays": 1}),
        message(2, tenant="a"),
    ]
    assert first.fingerprint not in [DeadLetter(1, other).fingerprint for other in others]


HOUR = 3600
LETTER = DeadLetter(
    1,
    Message(
        b"",
        properties=BasicProperties(
            message_id="order-1",
            timestamp=int(time.time()) - 2 * HOUR,
            headers={
                "mq-last-error": "TimeoutError: no answer",
                "tenant": "acme",
                "number": 7,
                "vip": True,
                "a.b": "c=d",
            },
        ),
    ),
)
MATCHING = [
    *("id=order-1", "id~^order", "error~Timeout", "error=TimeoutError: no answer", "older=1h", "newer=3h"),
    *("header.tenant=acme", "header.tenant~^ac", "header.number=7", "header.vip=true", "header.a.b=c=d"),
]
NOT_MATCHING = [
    *("id=order", "id~^rder", "error=Timeout", "error~timeout", "older=3h", "newer=1h"),
    *("header.tenant=Acme", "header.nothing=", "header.nothing~.*", "header.number=8"),
]
WRONG = [
    "",
    "foo",
    "id",
    "id!x",
    "header.=x",
    "age>2h",
    "older~2h",
    "older=2",
    "older=",
    "error~(",
    "error~*",
    "error~a{99999999999}",
    f"error~{'(' * 3000}{')' * 3000}",
    "Error~x",
]


def numbered(number: int, replays: int = 0) -> DeadLetter:
    return DeadLetter(number, Message(b"", message_id=f"m{number}", headers={"mq-replays": replays}))


def accepted(wanted: Filter, *letters: DeadLetter) -> list[int]:
    return [each.position for each in letters if wanted.accepts(each)]


@pytest.mark.parametrize("text", MATCHING)
def test_expressions_that_match(text: str) -> None:
    assert parse_expression(text)(LETTER)


@pytest.mark.parametrize("text", NOT_MATCHING)
def test_expressions_that_do_not_match(text: str) -> None:
    """A header that is missing matches nothing, not even the empty text."""
    assert not parse_expression(text)(LETTER)


def test_a_message_without_a_date_is_neither_older_nor_newer() -> None:
    ageless = DeadLetter(1, Message(b""))
    assert not parse_expression("older=0s")(ageless)
    assert not parse_expression("newer=8760h")(ageless)


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_expression_is_refused_with_the_syntax_or_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"id=ID|regular expression|duration"):
        parse_expression(text)


def test_a_filter_accepts_what_all_of_its_expressions_match() -> None:
    """Without an expression it accepts everything."""
    letters = [numbered(number) for number in range(20)]
    assert accepted(Filter([]), *letters) == list(range(20))
    both = Filter([parse_expression("id~1"), parse_expression("id~2$")])
    assert accepted(both, *letters) == [12]
    assert (both.examined, both.accepted, both.full, both.more) == (20, 1, False, False)


def test_a_full_filter_notices_only_matching_messages_as_more() -> None:
    wanted = Filter([parse_expression("id~^m[0-3]$")], 3)
    assert accepted(wanted, *map(numbered, range(3))) == [0, 1, 2]
    assert (wanted.full, wanted.more) == (True, False)
    assert accepted(wanted, numbered(9)) == []
    assert not wanted.more
    assert accepted(wanted, numbered(3)) == []
    assert wanted.more


def test_messages_replayed_twice_are_counted_and_skipped_when_asked() -> None:
    """They do not count towards the most that are accepted."""
    letters = [numbered(1, replays=1), numbered(2, replays=2), numbered(3, replays=3), numbered(4)]
    wanted = Filter([], 2, skip_replayed=True)
    assert accepted(wanted, *letters) == [1, 4]
    assert wanted.replayed_too_often == 2
    assert accepted(Filter([]), *letters) == [1, 2, 3, 4]
