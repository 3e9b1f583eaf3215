"""pika's streams, with what one turn of the loop wrote joined into one `send`, and what it reads in one `recv`.

pika sends each frame by itself, three `send` calls a message, which is more than half of a publisher's time, and
receives 4 KiB at a time: each call lets the handler threads in, which then wait for one another. The two stream
classes of pika's selector adapter are replaced by ones that differ in `_produce` and `_consume`. They are internal to
pika: `tests/unit/common/test_transport.py` holds this module against the pika that we lock. Without it (delete the
import in process.py) everything works, at pika's own rate.
"""

from typing import TYPE_CHECKING, Any

from pika.adapters.utils import io_services_utils

# A send takes what fits into the socket's buffer; joining more than that would be copied for nothing.
JOIN_AT_MOST = 256 * 1024
RECEIVE = 64 * 1024
SLICE = 4096  # pika's own; its frame buffer copies what is left of a slice after each frame


class _Joined(io_services_utils._AsyncTransportBase):
    """What both streams share: `_produce` is called when the socket can take bytes, `_consume` when it has some."""

    RECORDS = False  # whether one `recv` gives a record at most, and an error says that no more is there

    if TYPE_CHECKING:  # pika's own, which its stubs do not name
        _tx_buffers: Any
        _tx_buffered_byte_count: int
        _sock: Any
        _state: Any
        _STATE_ACTIVE: Any
        _protocol: Any
        _sigint_safe_send: Any
        _sigint_safe_recv: Any

    def _consume(self) -> None:
        left = RECEIVE
        while left > 0 and self._state == self._STATE_ACTIVE:
            received = self._sigint_safe_recv(self._sock, left)
            if not received:
                raise self.RxEndOfFile
            left -= len(received) if self.RECORDS else RECEIVE
            for start in range(0, len(received), SLICE):
                if self._state != self._STATE_ACTIVE:  # what came before has closed it
                    return
                self._protocol.data_received(received[start : start + SLICE])

    def _produce(self) -> None:
        buffers = self._tx_buffers
        while buffers:
            if len(buffers) > 1:
                size = len(buffers[0])
                chunks = [buffers.popleft()]
                while buffers and size < JOIN_AT_MOST:
                    size += len(buffers[0])
                    chunks.append(buffers.popleft())
                # Back in its place before the send: a send that would block, or a TLS retry, finds it there again.
                buffers.appendleft(b"".join(chunks))
            sent = self._sigint_safe_send(self._sock, buffers[0])
            self._tx_buffered_byte_count -= sent
            chunk = buffers.popleft()
            if sent < len(chunk):
                buffers.appendleft(chunk[sent:])


class _PlainStream(io_services_utils._AsyncPlaintextTransport, _Joined):
    """Its `write` is pika's without what is checked twice, and the loop is asked about the socket only when it is full.

    pika asks first and sends a turn later: two calls of the system more, and each lets a handler thread in.
    """

    if TYPE_CHECKING:
        _nbio: Any
        _on_socket_writable: Any

    def write(self, data: bytes) -> None:
        """Keep `data` for the next `send`."""
        if self._state == self._STATE_ACTIVE:
            self._tx_buffers.append(data)
            self._tx_buffered_byte_count += len(data)
            if len(self._tx_buffers) == 1:  # behind all that this turn of the loop writes
                self._nbio.call_later(0, self._flush)

    def _flush(self) -> None:
        if self._tx_buffers:
            self._on_socket_writable()
        if self._tx_buffers:  # the socket is full; a stream that has ended keeps none
            self._nbio.set_writer(self._sock.fileno(), self._on_socket_writable)


class _TlsStream(io_services_utils._AsyncSSLTransport, _Joined):
    """Its own `_produce` and `_consume` handle TLS and call the next ones, which are `_Joined`'s."""

    RECORDS = True


io_services_utils._AsyncPlaintextTransport = _PlainStream  # type: ignore[misc]
io_services_utils._AsyncSSLTransport = _TlsStream  # type: ignore[misc]
