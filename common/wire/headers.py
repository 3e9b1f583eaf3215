"""Header tables that survive being read: what pika cannot decode, or decodes to something else, keeps its bytes.

pika 1.4 drops the whole connection when one header of one message cannot be decoded (a timestamp past the year 9999,
deep nesting), again at every redelivery, and cuts floats to integers. This module replaces four functions of
`pika.data`; `tests/unit/common/test_headers.py` holds them against the pika that we lock.
See https://github.com/pika/pika/issues/1698.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from pika import data

_decode_value, _encode_value, _encode_table = data.decode_value, data.encode_value, data.encode_table
_size = struct.Struct(">I")
_long = struct.Struct(">cq")
_time = struct.Struct(">Q")


class Table(dict[str, Any]):
    """A decoded field table that still has its bytes, without their length, to be sent on as they came."""

    __slots__ = ("raw",)

    raw: bytes

    def changed(self, values: Mapping[str, Any], renamed: Mapping[str, str] = {}) -> "Table":
        """A copy with `values` put in and keys `renamed`; all other bytes stay. A value of None takes its key away."""
        gone = {*values, *(renamed[key] for key in self.keys() & renamed.keys())}
        kept: list[bytes] = []
        unread = b""
        for key, piece in _pieces(self.raw):
            if key is None:
                unread = piece
            elif key in renamed:
                data.encode_short_string(kept, renamed[key])
                kept.append(piece[1 + piece[0] :])
            elif key not in gone:
                kept.append(piece)
        new = {key: value for key, value in values.items() if value is not None}
        added: list[bytes] = []
        _encode_table(added, new)
        copy = Table({renamed.get(key, key): value for key, value in self.items() if key not in gone} | new)
        # What cannot be read comes last: readers stop there.
        copy.raw = b"".join([*kept, *added[1:], unread])
        return copy


def _pieces(raw: bytes) -> Iterator[tuple[str | None, bytes]]:
    """Each key with its bytes and its value's; None with the bytes from the first value that cannot be decoded."""
    offset = 0
    while offset < len(raw):
        try:
            key, start = data.decode_short_string(raw, offset)
            _, end = data.decode_value(raw, start)
            if end > len(raw):
                raise ValueError(end)
        except Exception:  # noqa: BLE001 - RecursionError, OverflowError, struct.error ...: all mean "not readable"
            yield None, raw[offset:]
            return
        yield key, raw[offset:end]  # type: ignore[misc]
        offset = end


def table_of(headers: Mapping[str, Any] | None) -> Table:
    """`headers` as a table with bytes."""
    if isinstance(headers, Table):
        return headers
    pieces: list[bytes] = []
    _encode_table(pieces, headers)  # type: ignore[arg-type]
    table = Table(headers or {})
    table.raw = b"".join(pieces[1:])
    return table


def decode_table(encoded: bytes, offset: int) -> tuple[Table, int]:
    """The table at `offset` and the offset behind it; never raises for what stands inside the table."""
    (size,) = _size.unpack_from(encoded, offset)
    offset += 4
    end = offset + size
    table = Table()
    table.raw = encoded[offset:end]
    try:
        while offset < end:
            key, offset = data.decode_short_string(encoded, offset)
            value, offset = data.decode_value(encoded, offset)
            if offset <= end:
                table[key] = value  # type: ignore[index]
    except Exception:  # noqa: BLE001, S110 - as in _pieces; what was read so far is what can be read
        pass
    return table, end


def decode_value(encoded: bytes, offset: int) -> tuple[Any, int]:
    """As pika's, with floats left whole, and what it cannot read as it stands, where its end is known.

    The broker sorts headers by their names: one that cannot be read must not hide those behind it.
    """
    kind = encoded[offset]
    if kind == 0x64:  # d
        return struct.unpack_from(">d", encoded, offset + 1)[0], offset + 9
    if kind == 0x66:  # f
        return struct.unpack_from(">f", encoded, offset + 1)[0], offset + 5
    if kind == 0x49:  # I: the one in each of our own messages, before pika's long row of comparisons
        return struct.unpack_from(">i", encoded, offset + 1)[0], offset + 5
    try:
        return _decode_value(encoded, offset)
    except (OverflowError, ValueError, OSError, RecursionError):
        if kind == 0x54:  # T, past the year 9999: milliseconds for seconds
            return _time.unpack_from(encoded, offset + 1)[0], offset + 9
        if kind != 0x41:
            raise
    end = offset + 5 + _size.unpack_from(encoded, offset + 1)[0]  # A, too deeply nested
    return encoded[offset + 5 : end], end


def encode_table(pieces: list[bytes], table: Mapping[str, Any] | None) -> int:
    """As pika's; a `Table` goes out as it came."""
    if not isinstance(table, Table):
        return _encode_table(pieces, table)  # type: ignore[arg-type]
    pieces.append(_size.pack(len(table.raw)) + table.raw)
    return 4 + len(table.raw)


def encode_value(pieces: list[bytes], value: Any) -> int:
    """As pika's, and floats; integers of more than 32 bits without the exception that pika finds them by.

    Raises ValueError for a float that is no number: RabbitMQ cannot read it, and closes the connection over it.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} in a header")
        pieces.append(struct.pack(">cd", b"d", value))
        return 9
    if type(value) is int and not -0x80000000 <= value <= 0x7FFFFFFF:
        pieces.append(_long.pack(b"l", value))
        return 9
    return _encode_value(pieces, value)


data.decode_table = decode_table  # type: ignore[assignment]
data.decode_value = decode_value
data.encode_table = encode_table
data.encode_value = encode_value
