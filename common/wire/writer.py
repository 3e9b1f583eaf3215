"""The frames of a message, as bytes. Pure."""

import struct
from functools import lru_cache

from pika import BasicProperties, frame, spec

from common.message import Message
from common.properties import OutgoingProperties
from common.wire.properties import EncodedProperties, encode_outgoing, encode_properties

_header = struct.Struct(">BHIHHQ")  # frame type, channel, length; class, weight, length of the body
_body = struct.Struct(">BHI")
_END = bytes([spec.FRAME_END])
_OF_CONTENT = 12  # bytes of a content header before its properties


def message_frames(channel: int, routing_key: str, message: Message, longest: int, exchange: str = "") -> list[bytes]:
    """Pieces of bytes: `basic.publish`, mandatory, the content header, the body's frames.

    `longest` is how many bytes fit into a frame. Raises ValueError for properties that do not, which pika would send,
    and the broker would close the connection over them; and what `encode_properties` raises.
    """
    properties, body = _encode(message), message.body
    size, length = _OF_CONTENT + len(properties), len(body)
    if size > longest:
        raise ValueError(f"properties of {size} bytes are over the {longest} that fit into a frame")
    head = _publish(channel, routing_key, exchange) + _header.pack(
        spec.FRAME_HEADER, channel, size, BasicProperties.INDEX, 0, length
    )
    if length <= longest:
        if not length:
            return [head, properties, _END]
        return [head, properties, _END + _body.pack(spec.FRAME_BODY, channel, length), body, _END]
    pieces = [head, properties, _END]
    for start in range(0, length, longest):
        part = body[start : start + longest]
        pieces += (_body.pack(spec.FRAME_BODY, channel, len(part)), part, _END)
    return pieces


def _encode(message: Message) -> bytes:
    origin = message.origin
    if type(origin) is OutgoingProperties:
        return encode_outgoing(origin)
    return origin if type(origin) is EncodedProperties else encode_properties(message.properties)


@lru_cache(64)
def _publish(channel: int, routing_key: str, exchange: str) -> bytes:
    method = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
    return frame.Method(channel, method).marshal()
