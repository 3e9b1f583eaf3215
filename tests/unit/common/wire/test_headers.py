"""Header tables, held against the pika that we lock."""

import math
import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import data

from common.wire.headers import change_table, decode_table, encode_table, encode_value

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.binary(max_size=20),
        st.decimals(-1000, 1000, places=3),
        st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(lambda d: d.replace(microsecond=0, tzinfo=UTC)),  # noqa: DTZ001
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=5)


def entry(key: bytes, value: bytes) -> bytes:
    return bytes([len(key)]) + key + value


def sized(table: bytes) -> bytes:
    return struct.pack(">I", len(table)) + table


def nested(depth: int) -> bytes:
    value = b"F" + bytes(4)
    for _ in range(depth):
        value = b"F" + sized(entry(b"n", value))
    return value


def decoded(raw: bytes) -> dict[str, Any]:
    table, end = decode_table(b"before" + sized(raw) + b"after", 6)
    assert end == 6 + 4 + len(raw)
    return table


def encoded(table: dict[str, Any]) -> bytes:
    whole = encode_table(table)
    assert whole[:4] == struct.pack(">I", len(whole) - 4)
    return whole[4:]


def changed(raw: bytes, values: dict[str, Any], renamed: dict[str, str] | None = None) -> bytes:
    whole = change_table(sized(raw), values, renamed or {})
    assert whole[:4] == struct.pack(">I", len(whole) - 4)
    return whole[4:]


UNREADABLE = {
    "a date past the year 9999": b"T" + struct.pack(">Q", 253_402_300_800),
    "milliseconds for seconds": b"T" + struct.pack(">Q", 2**63),
    "absurd nesting": nested(3000),
    "a type of nobody": b"?",
    "a cut number": b"l\x00",
    "nothing": b"",
}


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_without_an_error_and_go_on_as_they_came(raw: bytes) -> None:
    """Even those that are no table at all; the offset behind them is right, so the rest of the frame is read."""
    decoded(raw)
    assert changed(raw, {}) == raw


@given(TABLES)
def test_every_value_that_a_program_may_set_comes_back(table: dict[str, Any]) -> None:
    """Floats whole, integers of any size, text, bytes, lists and tables."""
    assert decoded(encoded(table)) == table


def without_floats(value: Any) -> Any:
    if isinstance(value, float):
        return None
    if isinstance(value, list):
        return [without_floats(each) for each in value]
    return {key: without_floats(each) for key, each in value.items()} if isinstance(value, dict) else value


@given(TABLES.map(without_floats))
def test_without_floats_the_bytes_are_those_of_pika_and_are_read_as_by_pika(table: dict[str, Any]) -> None:
    """Of every other type, at any depth: pika 1.4 cuts floats."""
    pikas: list[bytes] = []
    data.encode_table(pikas, table)
    whole = encode_table(table)
    assert whole == b"".join(pikas)
    assert decode_table(whole) == data.decode_table(whole, 0)


@pytest.mark.parametrize("value", [0, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, -(2**63), True])
def test_integers_are_encoded_as_by_pika(value: int) -> None:
    """On both sides of 32 bits."""
    pikas: list[bytes] = []
    data.encode_value(pikas, value)
    assert encode_value(value) == b"".join(pikas)


@pytest.mark.parametrize("value", [2**63, object(), math.nan, math.inf, -math.inf])
def test_what_no_table_can_hold_is_an_error_before_anything_is_sent(value: object) -> None:
    """The publisher refuses the message then."""
    with pytest.raises(Exception, match=r".*"):
        encode_value(value)


@pytest.mark.parametrize(("kind", "form"), [(b"d", ">d"), (b"f", ">f")])
def test_floats_are_not_cut_to_integers(kind: bytes, form: str) -> None:
    """Of both sizes, and those that no integer can be made of."""
    for number in (3.25, -0.5, 1e30, math.inf):
        assert decoded(entry(b"x", kind + struct.pack(form, number)))["x"] == pytest.approx(number)
    assert math.isnan(decoded(entry(b"x", kind + struct.pack(form, math.nan)))["x"])


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_hides_nothing_before_it_and_goes_on_whole(value: bytes) -> None:
    """Also with our headers put in, which the next reader finds."""
    raw = entry(b"first", b"t\x01") + entry(b"bad", value)
    assert decoded(raw)["first"] is True
    copy = changed(raw, {"mq-attempt": 2})
    assert entry(b"bad", value) in copy
    assert (decoded(copy)["first"], decoded(copy)["mq-attempt"]) == (True, 2)


@pytest.mark.parametrize("name", ["a date past the year 9999", "milliseconds for seconds", "absurd nesting"])
def test_what_cannot_be_read_hides_nothing_behind_it_where_its_end_is_known(name: str) -> None:
    """The broker sorts headers by name; with a list around it, too."""
    value = UNREADABLE[name]
    for bad in (value, b"A" + sized(value)):
        table = decoded(entry(b"created-at", bad) + entry(b"mq-attempt", b"b\x03"))
        assert table["mq-attempt"] == 3
        assert "created-at" in table


def test_a_list_in_a_list_and_so_on_is_its_bytes_and_hides_nothing() -> None:
    """Deeper than Python calls."""
    value = b"A" + bytes(4)
    for _ in range(3000):
        value = b"A" + sized(value)
    raw = entry(b"deep", value) + entry(b"mq-attempt", b"b\x03")
    assert decoded(raw)["mq-attempt"] == 3
    assert changed(raw, {}) == raw


@given(TABLES, TABLES)
def test_a_change_touches_its_own_keys_only(table: dict[str, Any], values: dict[str, Any]) -> None:
    """None takes a key away."""
    copy = decoded(changed(encoded(table), values))
    assert copy == {key: value for key, value in {**table, **values}.items() if values.get(key, 0) is not None}


def test_a_key_is_renamed_with_its_value_as_it_came() -> None:
    """Also one that can be read and not written. Another of the new name gives way; without the old one it stays."""
    value = b"T" + b"\xff" * 8
    raw = entry(b"CC", value) + entry(b"mq-cc", b"t\x01") + entry(b"z", b"t\x01")
    copy = changed(raw, {"z": None}, {"CC": "mq-cc"})
    assert copy == entry(b"mq-cc", value)
    assert decoded(copy) == {"mq-cc": 2**64 - 1}
    assert changed(copy, {}, {"CC": "mq-cc"}) == copy


def test_bytes_that_another_encoder_would_write_differently_are_kept_through_a_change() -> None:
    """A 16-bit integer, a 32-bit float, a decimal with zeros, text that is no UTF-8, a double key."""
    odd = [
        entry(b"s", b"s\x00\x07"),
        entry(b"f", b"f" + struct.pack(">f", 0.1)),
        entry(b"D", b"D\x03" + struct.pack(">i", 1000)),
        entry(b"S", b"S" + sized(b"\xff\xfe")),
        entry(b"\xff", b"t\x01"),
        entry(b"twice", b"b\x01") + entry(b"twice", b"b\x02"),
    ]
    assert decoded(b"".join(odd))["D"] == Decimal(1)
    assert changed(b"".join(odd), {"new": 1}) == b"".join(odd) + entry(b"new", b"I" + struct.pack(">i", 1))
