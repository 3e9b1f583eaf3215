"""Header tables by their bytes: read whatever they hold, changed without touching what cannot be read.

pika 1.4 loses the connection over one header that it cannot decode (a timestamp past the year 9999, deep nesting),
again at every redelivery, and cuts floats to integers (https://github.com/pika/pika/issues/1698). pika 1.5 reads both;
a table that is sent on must keep its bytes all the same: a 16-bit integer stays one, and a key that stands twice.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pika import data

# The types of AMQP 0-9-1 as RabbitMQ has them: https://www.rabbitmq.com/amqp-0-9-1-errata#section_3
_FORMS = {"t": "?", "b": "b", "B": "B", "U": "h", "s": "h", "u": "H", "I": "i", "i": "I", "L": "q", "l": "q"}
_NUMBERS = {ord(kind): struct.Struct(f">{form}") for kind, form in (_FORMS | {"f": "f", "d": "d"}).items()}
_TEXT, _BYTES, _LIST, _TABLE, _TIME, _DECIMAL, _VOID = b"SxAFTDV"
_size, _time, _decimal = struct.Struct(">I"), struct.Struct(">Q"), struct.Struct(">Bi")
_int, _long, _float = struct.Struct(">ci"), struct.Struct(">cq"), struct.Struct(">cd")


def decode_table(encoded: bytes, offset: int = 0) -> tuple[dict[str, Any], int]:
    """The table at `offset`, behind its size, and the offset behind it; never raises for what stands inside of it.

    Where the end of a value that cannot be read is known, its bytes stand for it: the broker sorts headers by their
    names, and such a one must not hide those behind it. Elsewhere the table ends before it.
    """
    start = offset + _size.size
    end = start + _size.unpack_from(encoded, offset)[0]
    entries = _entries(encoded, start, end)
    return {key: value for key, value, _, _, behind in entries if key is not None and behind <= end}, end


def decode_value(encoded: bytes, offset: int) -> tuple[Any, int]:  # noqa: PLR0911 - one for each kind of value
    """The value at `offset`, its type first, and the offset behind it. Raises ValueError for a type of nobody."""
    kind, offset = encoded[offset], offset + 1
    if number := _NUMBERS.get(kind):
        return number.unpack_from(encoded, offset)[0], offset + number.size
    if kind == _VOID:
        return None, offset
    if kind == _TIME:
        (seconds,) = _time.unpack_from(encoded, offset)
        try:
            return datetime.fromtimestamp(seconds, UTC), offset + _time.size
        except (OverflowError, ValueError, OSError):  # past the year 9999: milliseconds for seconds
            return seconds, offset + _time.size
    if kind == _DECIMAL:
        scale, digits = _decimal.unpack_from(encoded, offset)
        return Decimal(digits) * Decimal(10) ** -scale, offset + _decimal.size
    if kind == _TABLE:
        return decode_table(encoded, offset)
    if kind not in (_TEXT, _BYTES, _LIST):
        raise ValueError(f"a header of type {kind}")
    start = offset + _size.size
    end = start + _size.unpack_from(encoded, offset)[0]
    if kind == _LIST:
        return _decode_list(encoded, start, end), end
    return _text(encoded[start:end]) if kind == _TEXT else encoded[start:end], end


def encode_table(table: Mapping[str, Any]) -> bytes:
    """With its size before it. Raises what `encode_value` does, and pika's ShortStringTooLong."""
    pieces: list[bytes] = []
    for key, value in table.items():
        data.encode_short_string(pieces, key)
        pieces.append(encode_value(value))
    joined = b"".join(pieces)
    return _size.pack(len(joined)) + joined


def encode_value(value: Any) -> bytes:
    """With its type before it: as pika 1.5 writes it.

    Raises ValueError for a float that is no number, since RabbitMQ cannot read it and closes the connection over it;
    struct.error for an integer of more than 64 bits; pika's UnsupportedAMQPFieldException for other types.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} in a header")
        return _float.pack(b"d", value)
    if type(value) is int:
        return _int.pack(b"I", value) if -0x80000000 <= value <= 0x7FFFFFFF else _long.pack(b"l", value)
    if isinstance(value, dict):
        return b"F" + encode_table(value)
    if isinstance(value, list):
        joined = b"".join(map(encode_value, value))
        return b"A" + _size.pack(len(joined)) + joined
    pieces: list[bytes] = []
    data.encode_value(pieces, value)
    return b"".join(pieces)


def change_table(encoded: bytes, values: Mapping[str, Any], renamed: Mapping[str, str]) -> bytes:
    """`encoded` with `values` put in (None takes a key away) and keys `renamed`; all other bytes stay.

    Both with their sizes before them.
    """
    raw = encoded[_size.size :]
    entries = list(_entries(raw, 0, len(raw)))
    gone = {*values, *(renamed[key] for key, *_ in entries if key in renamed)}
    kept: list[bytes] = []
    unread = b""
    for key, _, at, value_at, end in entries:
        if key is None or end > len(raw):
            unread = raw[at:]
            break
        if key in renamed:
            data.encode_short_string(kept, renamed[key])
            kept.append(raw[value_at:end])
        elif key not in gone:
            kept.append(raw[at:end])
    added = encode_table({key: value for key, value in values.items() if value is not None})
    # What cannot be read comes last: readers stop there.
    joined = b"".join([*kept, added[_size.size :], unread])
    return _size.pack(len(joined)) + joined


def _entries(encoded: bytes, offset: int, end: int) -> Iterator[tuple[Any, Any, int, int, int]]:
    """Each key and value, the offsets of both and the one behind; the key is None where the rest is unreadable."""
    while offset < end:
        at = offset
        try:
            value_at = at + 1 + encoded[at]
            key = _text(encoded[at + 1 : value_at])
            value, offset = decode_value(encoded, value_at)
        except (struct.error, IndexError, ValueError, ArithmeticError, RecursionError):
            yield None, None, at, at, end
            return
        yield key, value, at, value_at, offset


def _decode_list(encoded: bytes, offset: int, end: int) -> Any:
    values, at = [], offset
    try:
        while at < end:
            value, at = decode_value(encoded, at)
            values.append(value)
    except RecursionError:  # too deeply nested
        return encoded[offset:end]
    return values


def _text(encoded: bytes) -> str | bytes:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded
