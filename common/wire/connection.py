"""WireConnection: pika's connection, which reads deliveries straight out of what came and writes a turn by one call.

pika makes an object of each of a delivery's three frames, and again of its properties; here a delivery whose body came
in one frame is read by two `unpack_from`, and everything else goes pika's way. pika builds and writes the three
frames of each message it sends by themselves; here all that a turn of the loop wrote goes out at its end, in one call.
All of it is internal to pika: `tests/unit/common/wire` holds it against the pika that is installed.
"""

import ssl
from typing import TYPE_CHECKING, Any

from pika import ConnectionParameters
from pika.channel import Channel
from pika.exceptions import ChannelWrongStateError, StreamLostError

from common.amqp.plain import OnDeliveries, PlainConnection
from common.message import Message
from common.wire.reader import Consumer, Deliveries, FrameReader
from common.wire.writer import message_frames

RECEIVE = 64 * 1024  # bytes of one `recv`; pika's 4 KiB are a call of the system for every tenth message
SEND = 256 * 1024  # bytes of one `send`: a socket's buffer takes no more, and what it leaves is copied again


class WireConnection(PlainConnection):
    """Connections of ours alone: pika's classes stay as they are."""

    if TYPE_CHECKING:  # pika's own, which its stubs do not name
        _body_max_length: int
        _nbio: Any
        _process_frame: Any
        _terminate_stream: Any
        _transport: Any
        bytes_received: int
        frames_received: int

    def __init__(self, parameters: ConnectionParameters, *arguments: Any, **more: Any) -> None:
        self._reader = FrameReader()
        self._unsent: list[bytes] = []  # pieces, since the end of the last turn
        self._unsent_bytes = 0
        self._plain = True
        super().__init__(parameters, *arguments, **more)

    def consume(
        self, channel: Channel, queue: str, consumer_tag: str, on_deliveries: OnDeliveries, *more: dict[str, int] | None
    ) -> None:
        """Have `queue` send to `on_deliveries`, many at a time."""
        super().consume(channel, queue, consumer_tag, on_deliveries, *more)
        name = channel.channel_number, consumer_tag.encode()
        self._reader.consumers[name] = Consumer(channel, consumer_tag, on_deliveries)

    def publish(self, channel: Channel, routing_key: str, message: Message, exchange: str = "") -> None:
        """Publish, mandatory. Raises what an encoder raises; then nothing of it was sent."""
        if not channel.is_open:
            raise ChannelWrongStateError("the channel is closed")
        pieces = message_frames(channel.channel_number, routing_key, message, self._body_max_length, exchange)
        self._write(pieces, sum(map(len, pieces)))

    def abort(self) -> None:
        """End it, if it has not ended: a peer need not answer the closing handshake, and pika would wait for ever."""
        if not self.is_closed:
            self._terminate_stream(StreamLostError("no answer to the closing handshake"))

    def _proto_connection_made(self, transport: Any) -> None:
        transport._MAX_RECV_BYTES = RECEIVE
        self._plain = not isinstance(transport._sock, ssl.SSLSocket)
        if self._plain:  # of TLS, one `recv` is one record of 16 KiB at most
            transport._MAX_CONSUME_BYTES = 1  # one `recv` a turn: a second would mostly find nothing
        super()._proto_connection_made(transport)  # type: ignore[misc]

    def _on_data_available(self, data_in: bytes) -> None:
        for size, found in self._reader.read(data_in):
            self.bytes_received += size
            if type(found) is Deliveries:
                self.frames_received += 3 * len(found.came)
                found.consumer.on_deliveries(found.consumer.channel, found.came)
            else:
                self._process_frame(found)

    def _adapter_emit_data(self, data: bytes) -> None:
        self._write([data], len(data))

    def _write(self, pieces: list[bytes], size: int) -> None:
        if not self._unsent:  # behind all that this turn of the loop writes
            self._nbio.call_later(0, self._flush)
        self._unsent += pieces
        self._unsent_bytes += size
        if self._unsent_bytes >= SEND:
            self._hand_over()

    def _hand_over(self) -> None:
        data, self._unsent, self._unsent_bytes = b"".join(self._unsent), [], 0
        if data and self._transport:
            if self._plain:  # its `write` would ask the loop first, by two calls of the system
                self._transport._buffer_tx_data(data)
            else:
                self._transport.write(data)

    def _flush(self) -> None:
        self._hand_over()
        transport = self._transport
        if transport and self._plain and transport._tx_buffers:
            transport._on_socket_writable()
            if self._transport and transport._tx_buffers:  # the socket is full; a stream that has ended keeps none
                self._nbio.set_writer(transport._sock.fileno(), transport._on_socket_writable)
