"""pika's streams with one send a turn, held against the pika that we lock."""

import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pika.adapters.utils import io_services_utils

from common.wire import stream as transport
from common.wire.stream import JOIN_AT_MOST, RECEIVE, SLICE


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


def stream(wire: Any) -> tuple[Any, Poller]:
    poller = Poller()
    made: Any = io_services_utils._AsyncPlaintextTransport
    return made(wire, None, poller), poller


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
    transported, poller = stream(wire)
    for number, data in enumerate(writes):
        transported.write(data)
        if number % 3 == 0:
            poller.turn()
    flush(poller)
    assert b"".join(wire.sends) == b"".join(writes)
    assert transported.get_write_buffer_size() == 0


def test_what_one_turn_wrote_is_one_send() -> None:
    """That is what it is for."""
    wire = Wire([])
    transported, poller = stream(wire)
    for number in range(300):
        transported.write(b"%d" % number)
    assert flush(poller) == 1
    assert len(wire.sends) == 1


def test_the_loop_is_asked_about_the_socket_only_while_it_is_full() -> None:
    """Asking is a call of the system, twice."""
    transported, poller = stream(Wire([2, 0]))
    transported.write(b"abcd")
    poller.turn()
    assert poller.writer is not None
    poller.turn()
    assert poller.writer is None
    transported.write(b"efgh")
    assert poller.writer is None
    poller.turn()
    assert poller.writer is None
    assert transported.get_write_buffer_size() == 0


def test_nothing_is_sent_and_nobody_waits_once_the_stream_is_closed() -> None:
    """Between a write and the end of its turn, or by the send itself."""
    wire = Wire([])
    transported, poller = stream(wire)
    transported.write(b"abcd")
    transported.abort()
    poller.turn()
    assert wire.sends == []
    assert poller.writer is None
    wire = Wire([])
    wire.send = lambda _: (_ for _ in ()).throw(OSError(104, "reset"))  # type: ignore[method-assign]
    transported, poller = stream(wire)
    transported.write(b"abcd")
    poller.turn()
    assert poller.writer is None


def test_no_more_is_joined_than_a_socket_takes() -> None:
    """A large body is not copied once more for its small neighbours."""
    wire = Wire([])
    transported, poller = stream(wire)
    for _ in range(8):
        transported.write(bytes(JOIN_AT_MOST // 2))
    flush(poller)
    assert [len(sent) for sent in wire.sends] == [JOIN_AT_MOST] * 4


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        yield ours, theirs


def test_a_slow_reader_gets_every_byte_through_a_real_socket() -> None:
    """Over many full buffers."""
    with pair() as (ours, theirs):
        transported, poller = stream(ours)
        sent = [bytes([number % 256]) * 997 for number in range(1000)]
        for data in sent:
            transported.write(data)
        got = bytearray()
        while len(got) < 997_000:
            poller.turn()
            got += theirs.recv(65536)
        assert bytes(got) == b"".join(sent)
        assert poller.writer is None


def test_pika_makes_these_streams() -> None:
    """They are in place as soon as the module is imported."""
    assert io_services_utils._AsyncPlaintextTransport is transport._PlainStream
    assert io_services_utils._AsyncSSLTransport is transport._TlsStream


def test_the_tls_stream_keeps_pikas_own_steps_and_ends_in_the_joined_send() -> None:
    """Its `_produce` for TLS calls the next one's, which must be ours and not the base's."""
    order = transport._TlsStream.__mro__
    tls, joined = order[1], transport._Joined
    assert tls.__name__ == "_AsyncSSLTransport"
    assert "_produce" in vars(tls)
    assert next(each for each in order[2:] if "_produce" in vars(each)) is joined


def test_pika_has_all_that_the_streams_use() -> None:
    """Names that are internal to it."""
    base: Any = io_services_utils._AsyncTransportBase
    for name in ("_produce", "_consume", "_sigint_safe_send", "_sigint_safe_recv", "get_write_buffer_size"):
        assert callable(getattr(base, name))
    assert issubclass(base.RxEndOfFile, Exception)


class Reader:
    """The protocol's side of a stream; `closes_at` is after how many pieces it closes the stream."""

    def __init__(self, closes_at: int | None = None) -> None:
        self.pieces: list[bytes] = []
        self.ended = False
        self.closes_at = closes_at
        self.transport: Any = None

    def data_received(self, data: bytes) -> None:
        """A piece."""
        self.pieces.append(data)
        if len(self.pieces) == self.closes_at:
            self.transport.abort()

    def eof_received(self) -> bool:
        """The other side has closed."""
        self.ended = True
        return True

    def connection_lost(self, error: object) -> None:
        """The stream is closed."""


def reading(wire: Any, reader: Reader) -> Any:
    made: Any = io_services_utils._AsyncPlaintextTransport
    reader.transport = made(wire, reader, Poller())
    return reader.transport


def test_one_turn_reads_all_that_came_in_order_and_in_small_pieces() -> None:
    """What is left of a piece is copied after each frame (pika's frame buffer): a large one would cost its square."""
    with pair() as (ours, theirs):
        reader = Reader()
        transported = reading(ours, reader)
        sent = bytes(range(256)) * 100
        theirs.sendall(sent)
        transported._on_socket_readable()
        assert b"".join(reader.pieces) == sent
        assert max(map(len, reader.pieces)) == SLICE
        transported._on_socket_readable()  # nothing came: neither an end nor an error
        assert not reader.ended
        theirs.close()
        transported._on_socket_readable()
        assert reader.ended


class Records:
    """In the place of a TLS socket: each `recv` gives one record, or says that there is none yet."""

    def __init__(self, records: list[bytes]) -> None:
        self.records = deque(records)

    def fileno(self) -> int:
        """Of no file."""
        return 0

    def recv(self, size: int) -> bytes:
        """At most `size` bytes of the next record."""
        if not self.records:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "no more")
        record = self.records.popleft()
        if len(record) > size:
            self.records.appendleft(record[size:])
        return record[:size]


def test_one_turn_reads_all_tls_records_that_came_up_to_as_much_as_of_a_plain_stream() -> None:
    """A rest between two of them would be one while more is there."""
    reader, records = Reader(), [bytes([number]) * 10_000 for number in range(9)]
    made: Any = transport._TlsStream
    wire = Records(records)
    transported = reader.transport = made(wire, reader, Poller())
    transported._on_socket_readable()
    assert b"".join(reader.pieces) == b"".join(records)[:RECEIVE]
    transported._on_socket_readable()
    assert b"".join(reader.pieces) == b"".join(records)
    transported._on_socket_readable()  # none is there: neither an end nor an error
    assert not reader.ended


def test_nothing_is_read_into_a_stream_that_was_closed_by_what_came_before() -> None:
    """The frame decoder would find a half frame, and call that an error."""
    with pair() as (ours, theirs):
        reader = Reader(closes_at=2)
        transported = reading(ours, reader)
        theirs.sendall(bytes(SLICE * 5))
        transported._on_socket_readable()
        assert len(reader.pieces) == 2
    made: Any = transport._TlsStream
    records = Records([b"the last", b"too late"])
    reader = Reader(closes_at=1)
    reader.transport = made(records, reader, Poller())
    reader.transport._on_socket_readable()
    assert reader.pieces == [b"the last"]
    assert len(records.records) == 1, "also not the next record"


class TlsWire(Wire):
    """A TLS socket: a write that would block must be tried again with the same bytes in front."""

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
    wire, poller = TlsWire([0, 5, 0, 0]), Poller()
    made: Any = transport._TlsStream
    transported = made(wire, None, poller)
    for data in (b"first", b"second"):
        transported.write(data)
    poller.writer()
    transported.write(b"third")
    flush(poller)
    assert b"".join(wire.sends) == b"firstsecondthird"
