"""Message: made of what a source yields, as published, and as a handler reads it."""

import json
import pickle
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties
from pydantic import BaseModel
from typing_extensions import TypedDict  # as pydantic wants it before Python 3.12

from common.message import ATTEMPT, CC, EXPIRATION, MAX_WRONG_FIELDS, USER_ID, BodyError, Message
from common.properties import MILLISECONDS
from tests.unit.origins import received

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_value_that_json_can_write_is_read_back(value: Any) -> None:
    message = Message.of(value, "id")
    assert message.json() == value
    assert message.content_type == "application/json"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_str_is_sent_as_utf8_text(value: str) -> None:
    message = Message.of(value, "id")
    assert (message.text, message.body) == (value, value.encode())
    assert (message.content_type, message.properties.content_encoding) == ("text/plain", "utf-8")


@pytest.mark.parametrize("value", [b"\xff\x00", bytearray(b"\xff\x00"), memoryview(b"\xff\x00")])
def test_bytes_are_sent_unchanged_without_a_content_type(value: object) -> None:
    message = Message.of(value, "id")
    assert message.body == b"\xff\x00"
    assert type(message.body) is bytes
    assert message.content_type is None


def test_a_sources_message_keeps_its_type_headers_and_id() -> None:
    message = Message(b"x", content_type="image/png", headers={"tenant": "a"}, message_id="mine")
    made = Message.of(message, "id")
    assert (made.body, made.content_type, made.message_id) == (b"x", "image/png", "mine")
    assert made.headers["tenant"] == "a"
    assert message.headers == {"tenant": "a"}


@pytest.mark.parametrize("name", ["body", "properties", "headers", "text"])
def test_a_message_is_immutable(name: str) -> None:
    """The assignment fails at once in the handler's own line, and not the service later with its copy."""
    with pytest.raises(AttributeError):
        setattr(Message(b"x"), name, None)


def test_a_message_can_be_pickled() -> None:
    """A handler with a pool of processes does that."""
    message = Message(b"x", headers={"tenant": "a"}, message_id="mine")
    came = pickle.loads(pickle.dumps(message))
    assert (came.body, came.headers, came.message_id) == (b"x", {"tenant": "a"}, "mine")


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), {"a": float("inf")}])
def test_a_value_that_json_cannot_hold_is_an_error(value: object) -> None:
    """NaN is no JSON: readers in other languages would fail."""
    with pytest.raises((TypeError, ValueError)):
        Message.of(value, "id")


def test_a_published_message_is_persistent_and_has_an_id_and_a_date() -> None:
    """An id and a date of the source's own are kept."""
    before = time.time()
    plain = Message.of("x", "id-1")
    assert (plain.properties.delivery_mode, plain.message_id) == (2, "id-1")
    assert before - 0.001 <= plain.properties.timestamp + plain.headers[MILLISECONDS] / 1000 <= time.time()
    typed = Message.of(Message(b"x", content_type="image/png"), "id-1")
    assert before - 0.001 <= typed.properties.timestamp + typed.headers[MILLISECONDS] / 1000 <= time.time()
    headers: dict[str, Any] = {"a": 1.5}
    said = BasicProperties(message_id="mine", timestamp=0, app_id="app", delivery_mode=1, headers=headers, priority=3)
    own = Message.of(Message(b"x", properties=said), "id-2").properties
    assert (own.message_id, own.timestamp, own.app_id, own.delivery_mode) == ("mine", 0, "app", 2)
    assert own.headers == {"a": 1.5}, "milliseconds of our own would not belong to a date of its source's"
    assert own.priority == 3
    assert said.headers == {"a": 1.5}
    assert said.delivery_mode == 1


def test_a_copy_keeps_everything_foreign_and_is_persistent() -> None:
    """The fields that would let the copy expire or be refused move into headers."""
    given_properties = BasicProperties(
        expiration="500",
        user_id="bob",
        delivery_mode=1,
        headers={"tenant": "a", "x-delivery-count": 3, "CC": ["audit"]},
        correlation_id="c",
        reply_to="r",
        priority=4,
        type="t",
        content_encoding="gzip",
    )
    copy = Message(b"x", properties=given_properties).copied({ATTEMPT: 2, "x-delivery-count": None}).properties
    assert copy.headers == {"tenant": "a", ATTEMPT: 2, EXPIRATION: "500", USER_ID: "bob", CC: ["audit"]}
    assert (copy.expiration, copy.user_id, copy.delivery_mode) == (None, None, 2)
    assert (copy.correlation_id, copy.reply_to, copy.priority, copy.type) == ("c", "r", 4, "t")
    assert copy.content_encoding == "gzip"
    assert given_properties.expiration == "500"
    assert given_properties.headers == {"tenant": "a", "x-delivery-count": 3, "CC": ["audit"]}


def test_a_copy_keeps_a_reply_to_but_for_a_direct_reply() -> None:
    """The broker would refuse the copy: another channel waits for that reply."""
    copy = Message(b"x", properties=BasicProperties(reply_to="amq.rabbitmq.reply-to")).copied({})
    assert (copy.properties.reply_to, copy.headers) == (None, {"mq-reply-to": "amq.rabbitmq.reply-to"})
    other = Message(b"x", properties=BasicProperties(reply_to="amq.rabbitmq.reply-to.g1h2")).copied({})
    assert (other.properties.reply_to, other.headers) == ("amq.rabbitmq.reply-to.g1h2", {})


def test_a_copy_of_a_copy_keeps_the_first_expiration() -> None:
    first = Message(b"x", properties=BasicProperties(expiration="500")).copied({ATTEMPT: 2})
    assert first.copied({ATTEMPT: 3}).headers == {EXPIRATION: "500", ATTEMPT: 3}


@pytest.mark.parametrize(
    ("headers", "attempt"), [({}, 1), ({ATTEMPT: 3}, 3), ({ATTEMPT: 0}, 1), ({ATTEMPT: -5}, 1), ({ATTEMPT: "3"}, 1)]
)
def test_an_attempt_is_at_least_1(headers: dict[str, object], attempt: int) -> None:
    """Whatever a foreign publisher wrote into the header."""
    assert Message(b"", headers=headers).attempt == attempt


@pytest.mark.parametrize(("ahead", "age"), [(5, 0.0), (86_000, 0.0), (90_000, None), (10**12, None), (2**63, None)])
def test_an_age_is_never_negative(ahead: int, age: float | None) -> None:
    """Clocks differ a little. A timestamp in milliseconds, as foreign publishers write it, gives no age."""
    assert Message(b"", properties=BasicProperties(timestamp=int(time.time()) + ahead)).age == age


def test_an_age_has_milliseconds_and_is_unknown_without_a_timestamp() -> None:
    now = time.time()
    assert Message(b"").age is None
    assert Message(b"", headers={MILLISECONDS: 5}).age is None
    assert Message(b"", properties=BasicProperties(timestamp=int(now) - 60)).age == pytest.approx(60, abs=5)
    ages = [
        Message(b"", properties=BasicProperties(timestamp=1, headers={MILLISECONDS: part} if part else None)).age or 0
        for part in (0, 999)
    ]
    assert 0.9 < ages[0] - ages[1] < 1


def test_a_message_without_properties_can_be_read() -> None:
    """A foreign publisher may have set none."""
    message = Message(b"\xff", properties=BasicProperties())
    assert (message.message_id, message.content_type, message.headers, message.attempt) == (None, None, {}, 1)
    with pytest.raises(UnicodeDecodeError):
        _ = message.text


@pytest.mark.parametrize("body", [b"{", b"\xff", b"", b"[" * 100_000])
def test_a_body_that_is_no_json_is_a_body_error_and_still_a_value_error(body: bytes) -> None:
    with pytest.raises(BodyError, match="the body is no JSON: ") as error:
        Message(body).json()
    assert isinstance(error.value, ValueError)


class Order(BaseModel):
    """A body."""

    number: int
    total: float


@dataclass
class Line:
    """A body."""

    sku: str


class Row(TypedDict):
    """A body."""

    sku: str


@pytest.mark.parametrize(
    ("body", "model", "parsed"),
    [
        (b'{"number": 1, "total": "12.5"}', Order, Order(number=1, total=12.5)),
        (b'{"sku": "a"}', Line, Line("a")),
        (b'{"sku": "a"}', Row, {"sku": "a"}),
        (b"[1, 2]", list[int], [1, 2]),
        (b"null", Order | None, None),
    ],
)
def test_a_body_is_parsed_as_any_type_that_pydantic_validates(body: bytes, model: Any, parsed: object) -> None:
    assert Message(body).parse(model) == parsed


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b'{"number": "s3cr3t"}', ["number: Input should be a valid integer", "total: Field required"]),
        (b"[1]", ["the body: Input should be an object"]),
        (b"{", ["the body: Invalid JSON"]),
        (b"\xff", ["the body: "]),
    ],
)
def test_a_body_that_does_not_fit_names_the_wrong_fields_without_their_values(body: bytes, wrong: list[str]) -> None:
    with pytest.raises(BodyError) as error:
        Message(body).parse(Order)
    assert all(each in str(error.value) for each in wrong)
    assert "s3cr3t" not in str(error.value)
    assert error.value.__suppress_context__, "pydantic's own error has the values"


def test_a_body_error_names_a_bounded_number_of_fields() -> None:
    with pytest.raises(BodyError) as error:
        Message(json.dumps(["x"] * 1000).encode()).parse(list[int])
    assert str(error.value).count("Input should be") == MAX_WRONG_FIELDS
    assert str(error.value).endswith(f"; and {1000 - MAX_WRONG_FIELDS} more")


def test_what_a_handler_does_to_properties_is_not_in_what_is_retried_or_parked() -> None:
    """It is in what the handler itself publishes."""
    message = Message.with_origin(b"x", received(BasicProperties(message_id="mine", headers={"a": 1, "b": 2})))
    message.properties.headers["step"] = 2
    del message.properties.headers["a"]
    assert message.headers == {"b": 2, "step": 2}
    assert message.original().headers == {"a": 1, "b": 2}
    assert message.copied({ATTEMPT: 2}).headers == {"a": 1, "b": 2, ATTEMPT: 2}
    assert message.properties is message.properties


def test_a_message_that_was_never_delivered_is_its_own_original() -> None:
    """Messages made in tests are."""
    message = Message(b"x")
    assert message.original() is message


def test_received_properties_equal_pikas() -> None:
    """Before any field is read."""
    assert Message.with_origin(b"", received(BasicProperties(app_id="a"))).properties == BasicProperties(app_id="a")


@pytest.mark.parametrize("value", [b"x", "x", {"a": 1}, Message(b"x"), Message(b"x", headers={"a": 1})])
def test_a_published_message_is_dated_to_the_millisecond(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.4567)
    message = Message.of(value, "id")
    assert (message.message_id, message.properties.timestamp) == ("id", 1_700_000_000)
    assert message.headers[MILLISECONDS] == 456
    assert message.age_at(1_700_000_001.456) == 1.0


@pytest.mark.parametrize("body", [b"x", bytearray(b"x"), memoryview(b"x")])
def test_the_body_of_a_sources_message_is_sent_as_bytes(body: Any) -> None:
    sent = Message.of(Message(body), "id").body
    assert (sent, type(sent)) == (b"x", bytes)


def test_a_body_of_another_type_is_left_for_the_publisher_to_refuse() -> None:
    """bytes(3) would be three zero bytes."""
    wrong: Any = 3
    assert Message.of(Message(wrong), "id").body == wrong


@pytest.mark.parametrize(
    ("now", "age"),
    [(1060.5, 60.5), (1000.5, 0.5), (1000.0, 0.0), (999.0, 0.0), (1000.0 - 86_400, 0.0), (999.9 - 86_400, None)],
)
def test_an_age_is_0_up_to_a_day_before_the_timestamp_and_unknown_before(now: float, age: float | None) -> None:
    """No two clocks differ by more than a day."""
    assert Message(b"", properties=BasicProperties(timestamp=1000)).age_at(now) == age


def test_a_copy_is_dated_only_if_the_message_was_not() -> None:
    assert Message(b"").copied({}, timestamp=7).properties.timestamp == 7
    assert Message(b"").copied({}).properties.timestamp is None
    assert Message(b"", properties=BasicProperties(timestamp=0)).copied({}, timestamp=7).properties.timestamp == 0


def test_the_properties_given_win_over_the_other_arguments() -> None:
    given_properties = BasicProperties(message_id="mine")
    assert Message(b"", message_id="other", properties=given_properties).properties is given_properties


def test_a_received_message_keeps_its_body_in_its_original_and_in_a_copy() -> None:
    message = Message.with_origin(b"x", received(BasicProperties(timestamp=5)))
    assert (message.original().body, message.copied({}).body, message.origin.published_ms()) == (b"x", b"x", 5000)
