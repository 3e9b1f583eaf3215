"""Properties by their bytes: those that came are decoded when somebody asks; the producer's own are encoded in one go.

pika encodes and decodes properties field by field, which is the largest part of publishing and a fifth of a delivery.
"""

import struct
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from typing import Any, Final

from pika import BasicProperties, data

from common.properties import MILLISECONDS, NAMES, PERSISTENT, OutgoingProperties, published_ms
from common.wire.headers import change_table, decode_table, encode_table

# A flag for each, from the highest bit: https://www.rabbitmq.com/resources/specs/amqp0-9-1.xml (class basic)
_OCTETS: Final = ("delivery_mode", "priority")
_FLAGS = {name: 0x8000 >> place for place, name in enumerate(NAMES)}
_MORE = 1  # another word of flags follows
_word, _octet, _stamp, _size, _int = (struct.Struct(form) for form in (">H", "B", ">Q", ">I", ">i"))

_OURS = _FLAGS["headers"] | _FLAGS["delivery_mode"] | _FLAGS["message_id"] | _FLAGS["timestamp"]
_TYPED = _OURS | _FLAGS["content_type"]
_HEADS = [_word.pack(each) for each in (_OURS, _TYPED, _TYPED | _FLAGS["content_encoding"])]  # by how many texts
_TEXTS = {head: count for count, head in enumerate(_HEADS)}
_TABLE = encode_table({MILLISECONDS: 0})[: -_int.size]
_behind = struct.Struct(">iBB")  # milliseconds, delivery mode, length of the message id


class EncodedProperties(bytes):
    """What came, as its bytes. It is them: an object around them would cost as much as to read a delivery."""

    __slots__ = ()

    @property
    def message_id(self) -> str | None:
        at = self._own_place()
        part = self[at + _behind.size - 1 : -_stamp.size] if at else self._parts().get("message_id")
        message_id: str | None = None if part is None else _decode("message_id", part)
        return message_id

    def chosen_headers(self, names: Collection[str]) -> Mapping[str, Any]:
        """Without decoding where none of them can be there, as in most messages."""
        there = [name for name in names if self.find(name.encode()) >= 0]
        headers = decode_table(self._parts().get("headers", bytes(_size.size)))[0] if there else {}
        return {name: headers[name] for name in there if name in headers}

    def to_pika(self) -> BasicProperties:
        """As pika has them. What cannot be read is left out."""
        return _Decoded(**{name: _decode(name, part) for name, part in self._parts().items()})

    def published_ms(self) -> int | None:
        if at := self._own_place():
            milliseconds: int = _int.unpack_from(self, at)[0]
            seconds: int = _stamp.unpack_from(self, len(self) - _stamp.size)[0]
            return seconds * 1000 + (milliseconds if 0 <= milliseconds < 1000 else 0)
        parts = self._parts()
        timestamp, headers = (name in parts and _decode(name, parts[name]) for name in ("timestamp", "headers"))
        return published_ms(timestamp, headers)

    def changed(self, headers: Mapping[str, Any], renamed: Mapping[str, str], **fields: Any) -> "EncodedProperties":
        parts = self._parts()
        parts["headers"] = change_table(parts.get("headers", bytes(_size.size)), headers, renamed)
        for name, value in fields.items():
            parts.pop(name, None)
            if value is not None:
                parts[name] = _encode(name, value)
        return EncodedProperties(_joined(parts))

    def _own_place(self) -> int:
        """Where the milliseconds of our own stand, and behind them the id and the timestamp; 0 in foreign ones.

        So these are read without decoding the rest.
        """
        at = self.find(_TABLE) + len(_TABLE)
        return at if _is_ours(self[:at]) else 0

    def _parts(self) -> dict[str, bytes]:
        """The bytes of each field that is there."""
        encoded = bytes(self)
        parts: dict[str, bytes] = {}
        try:
            (flags,) = _word.unpack_from(encoded)
            more, offset = flags & _MORE, _word.size
            while more:
                more, offset = _word.unpack_from(encoded, offset)[0] & _MORE, offset + _word.size
            for name, flag in _FLAGS.items():
                if flags & flag:
                    end = offset + _length(name, encoded, offset)
                    if end > len(encoded):
                        break
                    parts[name], offset = encoded[offset:end], end
        except (struct.error, IndexError):  # cut off; the broker passes on none of these
            pass
        return parts


class _Decoded(BasicProperties):
    """Plain pika's, which can be published again with a float among the headers: pika 1.4 refuses those."""

    def encode(self) -> list[bytes]:
        return [encode_properties(self)]


def encode_properties(properties: BasicProperties) -> bytes:
    """As they stand in a frame. Raises what `encode_value` does, ValueError for a field of another type or too long."""
    fields = {name: getattr(properties, name) for name in NAMES}
    return _joined({name: _encode(name, value) for name, value in fields.items() if value is not None})


def encode_outgoing(properties: OutgoingProperties) -> bytes:
    """The same, for a producer's own, in one go. Raises ValueError for a message id of more than 255 bytes."""
    message_id, milliseconds, content_type, content_encoding = properties
    name = message_id.encode()
    if len(name) > 255:
        raise ValueError(f"a message_id of {len(name)} bytes; AMQP has room for 255")
    seconds, part = divmod(milliseconds, 1000)
    return b"".join(
        (_head(content_type, content_encoding), _behind.pack(part, PERSISTENT, len(name)), name, _stamp.pack(seconds))
    )


@cache
def _head(content_type: str | None, content_encoding: str | None) -> bytes:
    """What stands before the milliseconds."""
    texts = [_encode("content_type", text) for text in (content_type, content_encoding) if text is not None]
    return b"".join([_HEADS[len(texts)], *texts, _TABLE])


@lru_cache(64)
def _is_ours(head: bytes) -> bool:
    """Whether it is what `_head` makes of any texts."""
    at = _word.size
    for _ in range(_TEXTS.get(head[:at], 0)):
        at += 1 + sum(head[at : at + 1])
    return head[: _word.size] in _TEXTS and head[at:] == _TABLE


def _length(name: str, encoded: bytes, offset: int) -> int:
    if name == "timestamp":
        return _stamp.size
    if name == "headers":
        return int(_size.size + _size.unpack_from(encoded, offset)[0])
    return _octet.size if name in _OCTETS else 1 + encoded[offset]


def _decode(name: str, part: bytes) -> Any:
    if name == "timestamp":
        return _stamp.unpack(part)[0]
    if name == "headers":
        return decode_table(part)[0]
    return part[0] if name in _OCTETS else data.decode_short_string(part, 0)[0]


def _encode(name: str, value: Any) -> bytes:
    if name == "headers":
        return encode_table(value)
    if name == "timestamp" or name in _OCTETS:
        try:
            return (_stamp if name == "timestamp" else _octet).pack(value)
        except struct.error as error:
            raise ValueError(f"{name} is {value!r}: {error}") from None
    if not isinstance(value, str | bytes):
        raise ValueError(f"{name} is {value!r} and no text")
    pieces: list[bytes] = []
    data.encode_short_string(pieces, value)
    return b"".join(pieces)


def _joined(parts: Mapping[str, bytes]) -> bytes:
    flags = sum(_FLAGS[name] for name in parts)
    return _word.pack(flags) + b"".join(parts[name] for name in NAMES if name in parts)
