"""Copies of messages with headers from outside, of any bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from common.message import ATTEMPT, EXPIRATION, FIRST_ERROR, LAST_ERROR, QUEUE, Message
from common.wire.properties import EncodedProperties
from common.wire.writer import message_frames
from consumer.copies import REPLAYS, failed_copy, fresh_copy, replayed_copy
from consumer.outcome import Park, Retry

NOW = 1_700_000_000  # seconds
RETRY, PARK = Retry(5.0, "ValueError: x"), Park("Reject: y")

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


@given(st.lists(st.tuples(st.sampled_from(["CC", "BCC", "z"]), st.sampled_from([b"A\0\0\0\0", b"V", b"t\1"]))))
def test_no_copy_has_a_header_that_routes_however_often_it_came(entries: list[tuple[str, bytes]]) -> None:
    """The bytes are asked: a decoded table hides a name that stands twice."""
    raw = b"".join(bytes([len(key)]) + key.encode() + value for key, value in entries)
    flags = struct.pack(">H", BasicProperties.FLAG_HEADERS)
    message = Message.with_origin(b"x", EncodedProperties(flags + struct.pack(">I", len(raw)) + raw))
    for made in (failed_copy(message, RETRY, "q", NOW), fresh_copy(message), replayed_copy(message)):
        sent = b"".join(message_frames(1, "q", made, 131_064))
        assert b"\x02CC" not in sent
        assert b"\x03BCC" not in sent


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
