"""The connection of ours: what it does to its stream, and to nobody else's."""

import socket
import ssl
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika.adapters.utils import io_services_utils
from pika.exceptions import ChannelWrongStateError

from common.message import Message
from common.wire.connection import RECEIVE, SEND, WireConnection
from tests.unit.common.wire.connections import Quick, opened
from tests.unit.conftest import Loop


class Poller:
    """The loop's side of a stream: remembers who is to be called behind this turn, and who waits to write."""

    def __init__(self) -> None:
        self.later: list[Any] = []
        self.writer: Any = None

    def call_later(self, delay: float, function: Any) -> None:
        """Call it behind this turn."""
        assert delay == 0
        self.later.append(function)

    def turn(self) -> bool:
        """Call who is to be called, else who waits to write; whether there was somebody."""
        called, self.later = self.later or [self.writer] * bool(self.writer), []
        for each in called:
            each()
        return bool(called)

    def set_reader(self, *_: object) -> None:
        """Nothing is read here."""

    def add_callback_threadsafe(self, *_: object) -> None:
        """Nothing is read here."""

    def set_writer(self, _descriptor: int, on_writable: Any) -> None:
        """Somebody waits to write."""
        self.writer = on_writable

    def remove_reader(self, *_: object) -> None:
        """Nor here."""

    def remove_writer(self, _descriptor: int) -> None:
        """Nobody does any more."""
        self.writer = None


class Wire:
    """A socket that takes as many bytes at a time as it is told to, and none when told 0."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = deque(sizes)
        self.sends: list[bytes] = []

    def fileno(self) -> int:
        """Of no file."""
        return 0

    def send(self, data: bytes) -> int:
        """Take what the next size allows."""
        size = min(len(data), self.sizes.popleft() if self.sizes else len(data))
        if not size:
            raise BlockingIOError(11, "would block")
        self.sends.append(data[:size])
        return size


class Unconnected(WireConnection):
    """With a stream that a test has made."""

    def __init__(self, poller: Poller, stream: Any) -> None:
        self._reader, self._unsent, self._unsent_bytes = None, [], 0  # type: ignore[assignment]
        self._nbio = poller
        self._proto_connection_made(stream)

    def _on_stream_connected(self) -> None:
        """No handshake."""


def connected(wire: Any, kind: Any = io_services_utils._AsyncPlaintextTransport) -> tuple[Any, Poller]:
    poller = Poller()
    return Unconnected(poller, kind(wire, None, poller)), poller


def flush(poller: Poller) -> int:
    """Let the loop call until nothing waits to be written; how often that was."""
    turns = 0
    while poller.turn():
        turns += 1
    return turns


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=20), st.lists(st.integers(0, 60), max_size=40))
def test_all_bytes_go_out_once_and_in_order_however_the_socket_takes_them(
    writes: list[bytes], sizes: list[int]
) -> None:
    """Partial sends and sends that would block included."""
    wire = Wire(sizes)
    connection, poller = connected(wire)
    for number, data in enumerate(writes):
        connection._adapter_emit_data(data)
        if number % 3 == 0:
            poller.turn()
    flush(poller)
    assert b"".join(wire.sends) == b"".join(writes)
    assert connection._transport.get_write_buffer_size() == 0


def test_what_one_turn_wrote_is_one_send() -> None:
    """A call of the system for each frame would be more than half of a publisher's time."""
    wire = Wire([])
    connection, poller = connected(wire)
    for number in range(300):
        connection._adapter_emit_data(b"%d" % number)
    assert flush(poller) == 1
    assert len(wire.sends) == 1


def test_large_messages_are_not_joined_into_one_that_no_socket_takes() -> None:
    """What is left of a send is copied."""
    wire = Wire([])
    connection, poller = connected(wire)
    for _ in range(9):
        connection._adapter_emit_data(b"x" * (SEND // 2))
    flush(poller)
    assert [len(each) for each in wire.sends] == [SEND] * 4 + [SEND // 2]


def test_the_loop_is_asked_about_the_socket_only_while_it_is_full() -> None:
    """Asking is a call of the system, twice."""
    connection, poller = connected(Wire([2, 0]))
    connection._adapter_emit_data(b"abcd")
    poller.turn()
    assert poller.writer is not None
    poller.turn()
    assert poller.writer is None
    connection._adapter_emit_data(b"efgh")
    assert poller.writer is None
    poller.turn()
    assert poller.writer is None
    assert connection._transport.get_write_buffer_size() == 0


def test_nothing_is_sent_and_nobody_waits_once_the_stream_is_closed() -> None:
    """Between a write and the end of its turn, or by the send itself."""
    wire = Wire([])
    connection, poller = connected(wire)
    connection._adapter_emit_data(b"abcd")
    connection._transport.abort()
    poller.turn()
    assert wire.sends == []
    assert poller.writer is None
    wire = Wire([])
    wire.send = lambda _: (_ for _ in ()).throw(OSError(104, "reset"))  # type: ignore[method-assign]
    connection, poller = connected(wire)
    connection._adapter_emit_data(b"abcd")
    poller.turn()
    assert poller.writer is None


class TlsWire(Wire):
    """A TLS socket: a write that would block must be tried again with the same bytes in front."""

    __class__ = ssl.SSLSocket  # type: ignore[assignment]

    def __init__(self, sizes: list[int]) -> None:
        super().__init__(sizes)
        self.unsent = b""

    def pending(self) -> int:
        """Nothing is read here."""
        return 0

    def send(self, data: bytes) -> int:
        """Take what the next size allows."""
        assert data.startswith(self.unsent), "bad write retry"
        try:
            sent = super().send(data)
        except BlockingIOError:
            self.unsent = data
            raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "would block") from None
        self.unsent = b""
        return sent


def test_a_tls_write_is_tried_again_with_the_same_bytes_in_front() -> None:
    """OpenSSL refuses anything else; what was written meanwhile may follow."""
    wire = TlsWire([0, 5, 0, 0])
    connection, poller = connected(wire, io_services_utils._AsyncSSLTransport)
    for data in (b"first", b"second"):
        connection._adapter_emit_data(data)
    poller.turn()
    connection._adapter_emit_data(b"third")
    flush(poller)
    assert b"".join(wire.sends) == b"firstsecondthird"


def test_one_call_receives_what_is_there_and_no_second_one_finds_nothing() -> None:
    """As it comes from pika, each asks for 4 KiB, until the socket says that no more is there."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    received: list[bytes] = []
    with ours, theirs:
        connection, _ = connected(ours)
        calls: list[int] = []
        receive = connection._transport._sigint_safe_recv
        connection._transport._sigint_safe_recv = lambda wire, size: calls.append(size) or receive(wire, size)

        class Protocol:
            def data_received(self, data: bytes) -> None:
                received.append(data)

        connection._transport._protocol = Protocol()
        theirs.sendall(bytes(20_000))
        connection._transport._on_socket_readable()
        assert (len(b"".join(received)), calls) == (20_000, [RECEIVE])


def test_pikas_streams_stay_as_they_are() -> None:
    """Another's connection in this process gets pika's own sizes."""
    connected(Wire([]))
    for kind in (io_services_utils._AsyncPlaintextTransport, io_services_utils._AsyncSSLTransport):
        assert (kind._MAX_RECV_BYTES, kind._MAX_CONSUME_BYTES) == (4096, 100 * 1024)


def test_a_message_is_published_whole_or_not_at_all(process: Loop) -> None:
    """One that cannot be encoded, or on a channel that is closed."""
    channel: Any = opened(Quick, process)
    with pytest.raises(ValueError, match="nan in a header"):
        channel.connection.publish(channel, "jobs", Message(b"x", headers={"a": float("nan")}))
    assert channel.connection.sent == b""
    channel.connection.publish(channel, "jobs", Message(b"x"))
    assert b"jobs" in channel.connection.sent
    channel._set_state(channel.CLOSED)
    with pytest.raises(ChannelWrongStateError):
        channel.connection.publish(channel, "jobs", Message(b"x"))
