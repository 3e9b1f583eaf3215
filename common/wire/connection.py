"""QuickConnection: pika's SelectConnection, which is quicker with messages.

pika builds and writes three frames for each message it sends, and looks for registered callbacks at each frame that
comes: together a third of a publisher's time and a quarter of a consumer's. Here the frames of a message are one piece,
its first frame, which is always the same, is built once, and frames of deliveries go to their channel at once, since
nobody registers callbacks for them. And properties that do not fit into a frame are refused, where pika sends them and
the broker closes the connection. These methods are internal to pika: `tests/unit/common/test_quick_connection.py` holds
them against the pika that we lock. Without this module (let link.py take `SelectConnection`) everything else works, at
pika's own rate.
"""

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pika import BasicProperties, SelectConnection, frame, spec
from pika.exceptions import StreamLostError

from common.wire.content import Content

JOINED_AT_MOST = 16 * 1024  # bytes of a body; copying a larger one would cost more than it saves

_header = struct.Struct(">BHIHHQ")  # frame type, channel, length; class, weight, length of the body
_body = struct.Struct(">BHI")
_END = bytes([spec.FRAME_END])


@lru_cache(64)
def _publish(channel_number: int, exchange: str, routing_key: str, mandatory: bool) -> bytes:
    method = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)
    return frame.Method(channel_number, method).marshal()


class QuickConnection(SelectConnection):
    """Only its hot paths differ, and that it can be left without an answer."""

    if TYPE_CHECKING:  # pika's own, which its stubs do not name
        _adapter_emit_data: Any
        _body_max_length: int
        _channels: Any
        _frame_buffer: bytes
        _process_frame: Any
        _terminate_stream: Any
        bytes_received: int
        bytes_sent: int
        frames_sent: int
        frames_received: int

    def _create_channel(self, channel_number: int, on_open_callback: Any) -> Any:
        channel: Any = super()._create_channel(channel_number, on_open_callback)  # type: ignore[misc]
        channel._content_assembler = Content(channel._on_deliver)
        return channel

    def abort(self) -> None:
        """End it, if it has not ended: a peer need not answer the closing handshake, and pika would wait for ever."""
        if not self.is_closed:
            self._terminate_stream(StreamLostError("no answer to the closing handshake"))

    def _send_message(
        self, channel_number: int, method_frame: spec.Basic.Publish, content: tuple[BasicProperties, bytes]
    ) -> None:
        properties, body = content
        encoded, length = b"".join(properties.encode()), len(body)
        size, most = 12 + len(encoded), self._body_max_length
        if size > most:
            raise ValueError(f"properties of {size} bytes are over the {most} that fit into a frame")
        if not 0 < length <= min(most, JOINED_AT_MOST):
            super()._send_message(channel_number, method_frame, content)  # type: ignore[misc]
            return
        data = b"".join(
            (
                _publish(channel_number, method_frame.exchange, method_frame.routing_key, method_frame.mandatory),
                _header.pack(spec.FRAME_HEADER, channel_number, size, BasicProperties.INDEX, 0, length),
                encoded,
                _END,
                _body.pack(spec.FRAME_BODY, channel_number, length),
                body,
                _END,
            )
        )
        self.bytes_sent += len(data)
        self.frames_sent += 3
        self._adapter_emit_data(data)

    def _on_data_available(self, data_in: bytes) -> None:
        value: Any
        buffer = self._frame_buffer + data_in
        channels, decode, came, taken = self._channels, frame.decode_frame, len(buffer), 0
        while buffer:
            size, value = decode(buffer)
            if not value:
                break
            buffer = buffer[size:]
            channel = channels and channels.get(value.channel_number)  # before any, a header without one may come
            if channel and channel._content_assembler.take(value):
                taken += 1
            else:
                self._process_frame(value)
        self._frame_buffer = buffer
        self.bytes_received += came - len(buffer)
        self.frames_received += taken  # the others count themselves
