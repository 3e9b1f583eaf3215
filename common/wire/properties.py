"""Envelope: the AMQP properties of a message. The producer's own are encoded in one go; those that come, when needed.

pika encodes and decodes properties field by field, which is the largest part of publishing and a fifth of a delivery.
`tests/unit/common/test_envelope.py` holds both against the pika that we lock. (Deletable: pika's own serve too, where
`consumer.intake` counts no properties.)

They are kept within 64 bytes: with more, RabbitMQ 4.3 spends 15 to 30 % more CPU time on a delivery (measured), since
Erlang holds a longer binary outside of a process's heap and counts its references
(https://www.erlang.org/doc/system/binaryhandling.html).
"""

import struct
from functools import cache, lru_cache
from typing import Any, Final

from pika import BasicProperties, spec

PERSISTENT: Final = 2
LONG: Final = 2048  # bytes; decoded, many small headers keep ten times their bytes
MILLISECONDS: Final = "mq-ms"  # what AMQP's timestamp, which has seconds, leaves out

_ALWAYS = (
    BasicProperties.FLAG_HEADERS
    | BasicProperties.FLAG_DELIVERY_MODE
    | BasicProperties.FLAG_MESSAGE_ID
    | BasicProperties.FLAG_TIMESTAMP
)
_TYPED = _ALWAYS | BasicProperties.FLAG_CONTENT_TYPE
_FLAGS = [struct.pack(">H", each) for each in (_ALWAYS, _TYPED, _TYPED | BasicProperties.FLAG_CONTENT_ENCODING)]
_TEXTS = {flags: count for count, flags in enumerate(_FLAGS)}  # how many texts stand before the headers
_NAME = MILLISECONDS.encode()
_TABLE = struct.pack(f">IB{len(_NAME)}sc", 1 + len(_NAME) + 5, len(_NAME), _NAME, b"I")
_middle = struct.Struct(">iBB")  # milliseconds, delivery mode, length of the message id
_stamp = struct.Struct(">Q")
_int = struct.Struct(">i")
_NAMES = frozenset(vars(BasicProperties()))


@cache
def _head(content_type: str | None, content_encoding: str | None) -> bytes:
    """What stands before the milliseconds."""
    texts = [text.encode() for text in (content_type, content_encoding) if text is not None]
    return _FLAGS[len(texts)] + b"".join(bytes([len(text)]) + text for text in texts) + _TABLE


class Envelope(BasicProperties):
    """A persistent message's properties, published `published_ms` after the epoch; never changed afterwards."""

    priority = correlation_id = reply_to = expiration = type = user_id = app_id = cluster_id = None
    delivery_mode = PERSISTENT

    def __init__(
        self, message_id: str, published_ms: int, content_type: str | None = None, content_encoding: str | None = None
    ) -> None:
        """An encoding only with a type."""
        self.content_type, self.content_encoding = content_type, content_encoding
        self.message_id = message_id
        self.timestamp = published_ms // 1000
        self._milliseconds = published_ms % 1000
        self.headers = {MILLISECONDS: self._milliseconds}

    def encode(self) -> list[bytes]:
        """The bytes of `BasicProperties.encode`, in one piece."""
        name = str(self.message_id).encode()
        middle = _middle.pack(self._milliseconds, PERSISTENT, len(name))
        return [_head(self.content_type, self.content_encoding) + middle + name + _stamp.pack(self.timestamp)]


class Received(BasicProperties):
    """What came, decoded when the first of its fields is asked for: an empty handler asks for none."""

    __init__ = object.__init__  # without fields: `decode` follows

    def decode(self, encoded: bytes, offset: int = 0) -> "Received":
        """Keep the bytes for later."""
        self.encoded = encoded[offset:]
        return self

    def again(self) -> "Received":
        """Of the same bytes."""
        again: Received = Received().decode(self.encoded)
        return again

    def __getattr__(self, name: str) -> Any:
        if name not in _NAMES:
            raise AttributeError(name)
        # Any thread may come here, and several at a time: each writes the same.
        super().decode(self.encoded)
        return self.__dict__[name]


def published_ms(properties: BasicProperties) -> int | None:
    """Milliseconds after the epoch by its `timestamp`, and by our header if it has that; None without a timestamp."""
    timestamp: int | None
    milliseconds: Any
    encoded = properties.encoded if isinstance(properties, Received) else b""
    at = encoded.find(_TABLE) + len(_TABLE)
    if _is_ours(encoded[:at]):  # then both stand at their places, and nothing needs to be decoded
        milliseconds = _int.unpack_from(encoded, at)[0]
        timestamp = _stamp.unpack_from(encoded, len(encoded) - _stamp.size)[0]
    else:
        if isinstance(properties, Received) and len(encoded) > LONG:
            properties = properties.again()  # which is not kept
        timestamp, headers = properties.timestamp, properties.headers
        milliseconds = headers.get(MILLISECONDS) if isinstance(headers, dict) else None
    if not isinstance(timestamp, int):  # or a handler has set it to something else
        return None
    return timestamp * 1000 + (milliseconds if isinstance(milliseconds, int) and 0 <= milliseconds < 1000 else 0)


@lru_cache(64)
def _is_ours(head: bytes) -> bool:
    """Whether it is what `_head` makes of any texts."""
    at = 2
    for _ in range(_TEXTS.get(head[:at], 0)):
        at += 1 + sum(head[at : at + 1])
    return head[:2] in _TEXTS and head[at:] == _TABLE


spec.props[BasicProperties.INDEX] = Received
