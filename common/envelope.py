"""Envelope: the AMQP properties of the producer's own messages, encoded in one go.

pika encodes properties field by field, which is the largest part of publishing. What it would write for these seven is
known: `tests/unit/common/test_envelope.py` holds the bytes against its own. (Deletable: `BasicProperties` serves too.)
"""

import struct
from functools import cache
from typing import Final

from pika import BasicProperties

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
