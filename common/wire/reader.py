"""FrameReader: from the bytes of a connection to deliveries, many at a time, and to pika's frames for all else. Pure.

A delivery whose body came in one frame is three frames in a row (AMQP 0-9-1, 4.2.6), read here where they stand. What
is cut waits for its rest. What is anything else, or broken, is decoded by pika, which says what is wrong with it.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from pika import BasicProperties, frame, spec

from common.amqp.plain import Came, OnDeliveries
from common.wire.properties import EncodedProperties

_head = struct.Struct(">BHI")  # frame type, channel, length
_deliver = struct.Struct(">BHIIB")  # the same; class and method, length of the consumer tag
_content = struct.Struct(">BHIHHQ")  # the same as `_head`; class, weight, length of the body
_tag = struct.Struct(">Q")
_body = struct.Struct(">4sI")  # the end of a frame, and frame type and channel of the next; its length
_AROUND = _head.size + spec.FRAME_END_SIZE  # bytes of a frame beside its payload
_IN_CONTENT = _content.size - _head.size  # bytes of a content header before the properties
_LONGEST = spec.FRAME_MAX_SIZE - _AROUND  # of a body in one frame
_DELIVER, _BASIC = spec.Basic.Deliver.INDEX, BasicProperties.INDEX
_METHOD, _HEADER, _BODY, _END = spec.FRAME_METHOD, spec.FRAME_HEADER, spec.FRAME_BODY, spec.FRAME_END
_TYPES = (_METHOD, _HEADER, _BODY, spec.FRAME_HEARTBEAT)
_CLASS = struct.pack(">HH", _BASIC, 0)


class Consumer(NamedTuple):
    """Who gets the deliveries of one consumer tag."""

    channel: Any  # pika's, some of whose private fields are asked
    consumer_tag: str
    on_deliveries: OnDeliveries


class Deliveries(NamedTuple):
    """What came for one consumer in a row."""

    consumer: Consumer
    came: list[Came]


class FrameReader:
    """Of one connection."""

    def __init__(self) -> None:
        self.consumers: dict[tuple[int, bytes], Consumer] = {}  # by channel number and consumer tag
        self._unread = b""

    def read(self, data: bytes) -> Iterator[tuple[int, Deliveries | frame.Frame | frame.ProtocolHeader]]:
        """What `data`, behind what was left of the last, completes, in order, each with how many bytes it took.

        Raises what pika's decoder raises.
        """
        buffer, offset = self._unread + data if self._unread else data, 0
        while len(buffer) - offset >= _AROUND:
            found, end = self._deliveries(buffer, offset)
            if found:
                yield end - offset, found
            elif _is_cut(buffer, offset):
                break
            else:
                value, end = _decode(buffer, offset)
                if value is None:
                    break
                yield end - offset, value
            offset = end
        self._unread = buffer[offset:]

    def _deliveries(self, buffer: bytes, offset: int) -> tuple[Deliveries | None, int]:
        """Those of one consumer from `offset` on, and the offset behind them."""
        size = len(buffer)
        if size - offset < _deliver.size:
            return None, offset
        kind, number, length, method, letters = _deliver.unpack_from(buffer, offset)
        start = buffer[offset : offset + _deliver.size + letters]  # the same for all of a consumer
        consumer = self.consumers.get((number, start[_deliver.size :]))
        rest = _AROUND + length - len(start) - _tag.size
        if method != _DELIVER or kind != _METHOD or not consumer or _goes_pikas_way(consumer) or rest < 2:
            return None, offset
        layout = _layout(len(start), rest)
        before_header, before_body = (struct.pack(">BBH", _END, each, number) for each in (_HEADER, _BODY))
        came: list[Came] = []
        while size - offset >= layout.size:
            same, tag, bits, before, length, of_class, body_size = layout.unpack_from(buffer, offset)
            if same != start or before != before_header or of_class != _CLASS or not 0 < body_size <= _LONGEST:
                break
            properties = offset + layout.size
            behind = properties + length - _IN_CONTENT  # the properties; there stands the end of their frame
            body = behind + _body.size
            end = body + body_size + 1
            if end > size or _body.unpack_from(buffer, behind) != (before_body, body_size) or buffer[end - 1] != _END:
                break
            came.append((tag, EncodedProperties(buffer[properties:behind]), buffer[body : end - 1], bits & 1 == 1))
            offset = end
        return Deliveries(consumer, came) if came else None, offset


@lru_cache(64)
def _layout(start: int, rest: int) -> struct.Struct:
    """Of a delivery up to its properties: so many bytes, the delivery tag, the bit `redelivered`, so many to its end.

    Exchange and routing key are passed over.
    """
    return struct.Struct(f">{start}sQB{rest - 2}x4sI4sQ")


def _is_cut(buffer: bytes, offset: int) -> bool:
    """Whether a delivery in one frame may begin at `offset` whose rest has not come."""
    size = len(buffer)
    if size - offset < _deliver.size:
        return False  # what is shorter than the head of a delivery is none, or not whole as a frame either
    kind, number, length, method, _ = _deliver.unpack_from(buffer, offset)
    header = offset + _AROUND + length
    if method != _DELIVER or kind != _METHOD or (header <= size and buffer[header - 1] != _END):
        return False
    if size - header < _content.size:
        return buffer[header : header + 1] in (b"", bytes([_HEADER]))
    kind, same, length, of_class, _, body_size = _content.unpack_from(buffer, header)
    body = header + _AROUND + length
    broken = body <= size and buffer[body - 1] != _END
    if (kind, same, of_class) != (_HEADER, number, _BASIC) or not 0 < body_size <= _LONGEST or broken:
        return False
    if size - body < _head.size:
        return buffer[body : body + 1] in (b"", bytes([_BODY]))
    return size < body + _AROUND + body_size and _head.unpack_from(buffer, body) == (_BODY, number, body_size)


def _goes_pikas_way(consumer: Consumer) -> bool:
    """Cancelled, and pika gives back what still comes; or half of another message is with it already."""
    channel = consumer.channel
    return consumer.consumer_tag in channel._cancelled or channel._content_assembler._method_frame is not None


def _decode(buffer: bytes, offset: int) -> tuple[Any, int]:
    """The frame at `offset` as pika has it, and the offset behind it; None if it is not whole."""
    kind, number, length = _head.unpack_from(buffer, offset)
    end = offset + _AROUND + length
    if kind == _HEADER and end <= len(buffer) and buffer[end - 1] == _END and length >= _IN_CONTENT:
        *_, of_class, _, body_size = _content.unpack_from(buffer, offset)
        if of_class == _BASIC:  # whatever its headers are
            properties: Any = EncodedProperties(buffer[offset + _content.size : end - 1])
            return frame.Header(number, body_size, properties), end
    consumed, value = frame.decode_frame(buffer[offset:end] if kind in _TYPES else buffer[offset:])
    return value, offset + consumed
