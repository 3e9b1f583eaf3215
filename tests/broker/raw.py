"""Header tables by their bytes: what a stranger may send, and no library would make."""

import struct

from pika import BasicProperties


class Raw(BasicProperties):
    """Properties with a header table of these bytes only."""

    def __init__(self, table: bytes) -> None:
        super().__init__(headers={})
        self._table = table

    def encode(self) -> list[bytes]:
        """What pika puts into the frame."""
        return [struct.pack(">H", self.FLAG_HEADERS), struct.pack(">I", len(self._table)), self._table]


def entry(key: bytes, value: bytes) -> bytes:
    return bytes([len(key)]) + key + value


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"S" + struct.pack(">I", len(encoded)) + encoded


def array(*values: bytes) -> bytes:
    joined = b"".join(values)
    return b"A" + struct.pack(">I", len(joined)) + joined


def table(*entries: bytes) -> bytes:
    joined = b"".join(entries)
    return b"F" + struct.pack(">I", len(joined)) + joined
