"""Envelope: the AMQP properties of a message. The producer's own are encoded in one go; those that come, when needed.

pika encodes and decodes properties field by field, which is the largest part of publishing and a fifth of a delivery.
`tests/unit/common/test_envelope.py` holds both against the pika that we lock. (Deletable: pika's own serve too.)
"""

import struct
from functools import cache
from typing import Any, Final

from pika import BasicProperties, spec

PERSISTENT: Final = 2
APP_ID = "producer"
PUBLISHED_MS = "mq-published-ms"

_FLAGS = (
    BasicProperties.FLAG_CONTENT_TYPE
    | BasicProperties.FLAG_HEADERS
    | BasicProperties.FLAG_DELIVERY_MODE
    | BasicProperties.FLAG_MESSAGE_ID
    | BasicProperties.FLAG_TIMESTAMP
    | BasicProperties.FLAG_APP_ID
)
_NAME = PUBLISHED_MS.encode()
_TABLE = struct.pack(f">IB{len(_NAME)}sc", 1 + len(_NAME) + 9, len(_NAME), _NAME, b"l")
_middle = struct.Struct(">qBB")  # when it was published, delivery mode, length of the message id
_stamp = struct.Struct(">Q")
_long = struct.Struct(">q")
_FLAG_BYTES = struct.pack(">H", _FLAGS)
_NAMES = frozenset(vars(BasicProperties()))
_END = bytes([len(APP_ID)]) + APP_ID.encode()


@cache
def _head(content_type: str) -> bytes:
    encoded = content_type.encode()
    return struct.pack(f">HB{len(encoded)}s", _FLAGS, len(encoded), encoded) + _TABLE


class Envelope(BasicProperties):
    """A persistent message's properties, published `published_ms` after the epoch; never changed afterwards."""

    content_encoding = priority = correlation_id = reply_to = expiration = type = user_id = cluster_id = None
    delivery_mode = PERSISTENT
    app_id = APP_ID

    def __init__(self, content_type: str, message_id: str, published_ms: int) -> None:
        self.content_type = content_type
        self.message_id = message_id
        self.timestamp = published_ms // 1000
        self.headers = {PUBLISHED_MS: published_ms}
        self._published_ms = published_ms

    def encode(self) -> list[bytes]:
        """The bytes of `BasicProperties.encode`, in one piece."""
        name = str(self.message_id).encode()
        middle = _middle.pack(self._published_ms, PERSISTENT, len(name))
        return [_head(str(self.content_type)) + middle + name + _stamp.pack(self._published_ms // 1000) + _END]


class Received(BasicProperties):
    """What came, decoded when the first of its fields is asked for: an empty handler asks for none."""

    def __init__(self) -> None:
        """Without fields: `decode` follows."""

    def decode(self, encoded: bytes, offset: int = 0) -> "Received":
        """Keep the bytes for later."""
        self._encoded = encoded[offset:]
        return self

    def __getattr__(self, name: str) -> Any:
        if name not in _NAMES:
            raise AttributeError(name)
        # Any thread may come here, and several at a time: each writes the same.
        super().decode(self._encoded)
        return self.__dict__[name]

    @property
    def published_ms(self) -> object:
        """The header PUBLISHED_MS: from its place where it is the only one, as in any message that is new."""
        encoded = self._encoded
        if encoded.startswith(_FLAG_BYTES):
            at = 3 + encoded[2]
            if encoded.startswith(_TABLE, at):
                return _long.unpack_from(encoded, at + len(_TABLE))[0]
        return (self.headers or {}).get(PUBLISHED_MS)


spec.props[BasicProperties.INDEX] = Received
