"""Header tables that survive being read: what pika cannot decode, or decodes to something else, is kept as bytes.

pika 1.4 drops the whole connection when one header of one message cannot be decoded (a timestamp past the year 9999,
deep nesting), again at every redelivery, and cuts floats to integers. This module replaces four functions of
`pika.data`; `tests/unit/common/test_headers.py` holds them against the pika that we lock.
See https://github.com/pika/pika/issues/1698.
"""

import struct
from collections.abc import Mapping
from typing import Any

from pika import data

_decode_value, _encode_value, _encode_table = data.decode_value, data.encode_value, data.encode_table


class Table(dict[str, Any]):
    """A decoded field table with the bytes of each value, and of all from the first value that cannot be decoded."""

    __slots__ = ("encoded", "unread")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.encoded: dict[str, bytes] = {}
        self.unread = b""

    def changed(self, values: Mapping[str, Any]) -> "Table":
        """A copy with `values` put in; the others keep their bytes. A value of None takes its key away."""
        copy = Table({**self, **values})
        for key in [key for key, value in values.items() if value is None]:
            del copy[key]
        copy.encoded = {key: raw for key, raw in self.encoded.items() if key not in values}
        copy.unread = self.unread
        return copy


def decode_table(encoded: bytes, offset: int) -> tuple[Table, int]:
    """The table at `offset` and the offset behind it; never raises for what stands inside the table."""
    table = Table()
    end = offset + 4 + struct.unpack_from(">I", encoded, offset)[0]
    offset += 4
    while offset < end:
        try:
            key, start = data.decode_short_string(encoded, offset)
            table[key], after = data.decode_value(encoded, start)  # type: ignore[index]
        except Exception:  # noqa: BLE001 - RecursionError, OverflowError, struct.error ...: all mean "not readable"
            table.unread = encoded[offset:end]
            break
        table.encoded[key] = encoded[start:after]  # type: ignore[index]
        offset = after
    return table, end


def decode_value(encoded: bytes, offset: int) -> tuple[Any, int]:
    """As pika's, with floats left whole."""
    kind = encoded[offset : offset + 1]
    if kind == b"d":
        return struct.unpack_from(">d", encoded, offset + 1)[0], offset + 9
    if kind == b"f":
        return struct.unpack_from(">f", encoded, offset + 1)[0], offset + 5
    return _decode_value(encoded, offset)


def encode_table(pieces: list[bytes], table: Mapping[str, Any] | None) -> int:
    """As pika's; values of a `Table` that were not changed keep their bytes."""
    if not isinstance(table, Table):
        return _encode_table(pieces, table)  # type: ignore[arg-type]
    inside: list[bytes] = []
    for key, value in table.items():
        data.encode_short_string(inside, key)
        raw = table.encoded.get(key)
        if raw is None:
            data.encode_value(inside, value)
        else:
            inside.append(raw)
    inside.append(table.unread)
    joined = b"".join(inside)
    pieces.append(struct.pack(">I", len(joined)) + joined)
    return 4 + len(joined)


def encode_value(pieces: list[bytes], value: Any) -> int:
    """As pika's, and floats."""
    if isinstance(value, float):
        pieces.append(struct.pack(">cd", b"d", value))
        return 9
    return _encode_value(pieces, value)


def install() -> None:
    """Put these functions in the place of pika's; twice is as good as once."""
    data.decode_table = decode_table  # type: ignore[assignment]
    data.decode_value = decode_value
    data.encode_table = encode_table
    data.encode_value = encode_value


install()
