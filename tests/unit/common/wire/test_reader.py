"""What is read directly is what pika reads: both are fed the same bytes, cut anywhere."""

from collections.abc import Callable, Iterator
from traceback import extract_tb
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pika import BasicProperties, frame, spec

from common.wire import reader
from common.wire.reader import Consumer, Deliveries, FrameReader
from tests.unit.common.wire.connections import Plain, Quick, opened
from tests.unit.conftest import Loop

TAGS = {1: ("a", "bb"), 3: ("a",)}  # consumers by their channels
# Where pika decodes what ours passes over or keeps for later: exchange and routing key, and the properties.
UNASKED = {"properties.decode(frame_data[12:])", "method.decode(frame_data, 4)"}
NUMBERS = st.sampled_from([1, 3])
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([4088, 4089, 8176, 8177, 70_000, 131_064, 131_065, 300_000]).map(lambda size: b"b" * size),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
GIVEN = st.builds(
    BasicProperties,
    content_type=st.none() | TEXT,
    headers=st.none() | st.dictionaries(TEXT.filter(bool), TEXT | st.integers(-9, 9), max_size=2),
    message_id=st.none() | TEXT,
    timestamp=st.none() | st.integers(0, 2**40),
)


def message(number: int, method: Any, properties: BasicProperties, body: bytes, longest: int) -> list[frame.Frame]:
    """Its frames, with bodies of at most `longest` bytes a frame."""
    parts = [body[at : at + longest] for at in range(0, len(body), longest)]
    return [
        frame.Method(number, method),
        frame.Header(number, len(body), properties),
        *(frame.Body(number, part) for part in parts),
    ]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames of several channels, each message whole, and what no broker should send between them."""
    frames: list[Any] = []
    for tag in range(1, draw(st.integers(1, 8))):
        number = draw(NUMBERS)
        kind = draw(st.sampled_from(["delivery"] * 6 + ["return", "ack", "heartbeat", "cancelled", "unknown", "stray"]))
        longest = draw(st.sampled_from([30, 4088, 131_064]))
        properties, body = draw(GIVEN), draw(BODIES)
        longest = max(longest, len(body) // 50)
        consumer = {"cancelled": "gone", "unknown": "nobody"}.get(kind) or draw(st.sampled_from(TAGS[number]))
        match kind:
            case "delivery" | "cancelled" | "unknown":
                exchange, key = draw(TEXT), draw(TEXT)
                deliver = spec.Basic.Deliver(consumer, tag, draw(st.booleans()), exchange, key)
                frames += message(number, deliver, properties, body, longest)
            case "return":
                returned = spec.Basic.Return(312, "NO_ROUTE", draw(TEXT), draw(TEXT))
                frames += message(number, returned, properties, body, longest)
            case "ack":
                frames.append(frame.Method(number, spec.Basic.Ack(tag, draw(st.booleans()))))
            case "heartbeat":
                frames.append(frame.Heartbeat())
            case "stray":  # half a message, whose rest never comes
                frames.append(frame.Method(number, spec.Basic.Deliver(consumer, tag, False, "", "")))
                if draw(st.booleans()):
                    frames.append(frame.Header(number, 7, properties))
    pieces = [each.marshal() for each in frames]
    if draw(st.integers(0, 4)) == 0 and pieces:  # a broken frame: its end, or any byte of it
        at = draw(st.integers(0, len(pieces) - 1))
        piece = bytearray(pieces[at])
        where = draw(st.sampled_from([len(piece) - 1, draw(st.integers(0, min(40, len(piece) - 1)))]))
        piece[where] ^= draw(st.integers(1, 255))
        pieces[at] = bytes(piece)
    stream = b"".join(pieces)
    return stream[: draw(st.integers(0, len(stream)))] if draw(st.booleans()) else stream


def fields(properties: Any) -> dict[str, Any]:
    return vars(properties if isinstance(properties, BasicProperties) else properties.to_pika())


def heard(kind: type[Any], process: Loop, pieces: Iterator[bytes]) -> dict[str, Any]:
    """All that a connection tells of these bytes, what it counts, and how it ends."""
    connection: Any = opened(kind, process, 1).connection
    opened(kind, process, 3, connection)
    told: list[Any] = []

    def on_delivery(number: int, name: str) -> Callable[..., None]:
        def plain(_: object, method: Any, properties: Any, body: bytes) -> None:
            told.append((number, name, method.delivery_tag, fields(properties), body, method.redelivered))

        return plain

    for number, names in TAGS.items():
        channel = connection._channels[number]
        channel._cancelled.add("gone")
        channel.add_on_return_callback(
            lambda _, method, properties, body, number=number: told.append((number, method, fields(properties), body))
        )
        channel.basic_reject = lambda tag, number=number: told.append((number, "rejected", tag))
        connection.callbacks.add(
            number, spec.Basic.Ack, lambda value: told.append((value.channel_number, value.method)), False
        )
        for name in names:
            channel._consumers[name] = on_delivery(number, name)
            if kind is Quick:

                def several(_: object, deliveries: list[Any], number: int = number, name: str = name) -> None:
                    told.extend((number, name, tag, fields(came), *more) for tag, came, *more in deliveries)

                connection._reader.consumers[number, name.encode()] = Consumer(channel, name, several)
    error: Any = None
    try:
        for piece in pieces:
            connection._on_data_available(piece)
    except Exception as raised:  # noqa: BLE001
        lines = [each.line or "" for each in extract_tb(raised.__traceback__)]
        error = UNASKED if UNASKED & {*lines} else type(raised)
    left = connection._reader._unread if kind is Quick else connection._frame_buffer
    # Of a delivery that is cut, ours holds back whole frames, too.
    counts = [connection.bytes_received + len(left), connection.frames_received if kind is Plain or not left else None]
    return {"told": told, "error": error, "counts": None if error else counts}


def check(ours: dict[str, Any], pikas: dict[str, Any]) -> None:
    """Everything is the same, up to what pika cannot read, and would lose the connection over, though nobody asks."""
    if pikas["error"] is UNASKED:
        assert ours["told"][: len(pikas["told"])] == pikas["told"]
        return
    if ours["counts"] and pikas["counts"] and ours["counts"][1] is None:
        ours["counts"], pikas["counts"] = ours["counts"][:1], pikas["counts"][:1]
    assert ours == pikas


def cut(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Pieces of these sizes, over and over."""
    at = 0
    while at < len(stream):
        for size in sizes:
            if stream[at : at + size]:
                yield stream[at : at + size]
            at += size


@settings(suppress_health_check=list(HealthCheck), max_examples=300)
@given(streams(), st.lists(st.integers(1, 70_000), min_size=1, max_size=3))
def test_a_stream_is_read_as_pika_reads_it(process: Loop, stream: bytes, sizes: list[int]) -> None:
    """What consumers, publishers and callers hear, in its order, what is counted, what is left, and the errors."""
    sizes = [max(size, len(stream) // 500 + 1) for size in sizes]
    check(heard(Quick, process, cut(stream, sizes)), heard(Plain, process, cut(stream, sizes)))


def one(tag: int = 1, body: bytes = b"body", number: int = 1) -> bytes:
    frames = message(
        number, spec.Basic.Deliver("a", tag, False, "", "jobs"), BasicProperties(message_id="m"), body, 4088
    )
    return b"".join(each.marshal() for each in frames)


@pytest.mark.parametrize("stream", [one(1) + one(2), one(1, b"") + one(2), one(1, b"x" * 5000)])
def test_a_stream_that_is_cut_at_each_byte_is_read_as_a_whole_one(process: Loop, stream: bytes) -> None:
    """Frames come as TCP cuts them."""
    whole = heard(Plain, process, iter([stream]))
    for at in range(1, len(stream)):
        assert heard(Quick, process, iter([stream[:at], stream[at:]])) == whole


# What the properties' own bytes mean, pika decides at once and ours when they are asked for.
PROPERTIES = range(one().index(b"\x01m") - 2, one().index(b"\x01m") + 2)


@pytest.mark.parametrize("at", [at for at in range(len(one())) if at not in PROPERTIES])
@pytest.mark.parametrize("flip", [1, 0x80, 0xFF])
def test_a_stream_with_any_byte_broken_ends_as_with_pika(process: Loop, at: int, flip: int) -> None:
    """Pika says what is wrong; nothing of a broken frame is handed on."""
    stream = bytearray(one(1) + one(2) + one(3))
    stream[len(one()) + at] ^= flip
    check(*(heard(kind, process, iter([bytes(stream)])) for kind in (Quick, Plain)))


def test_deliveries_in_a_row_are_handed_on_together_and_none_of_another_consumer() -> None:
    """The consumer is woken once for all of them."""

    class Channel:
        _cancelled: frozenset[str] = frozenset()

        class _content_assembler:  # noqa: N801 - pika's
            _method_frame = None

    frames = FrameReader()
    for number in (1, 3):
        frames.consumers[number, b"a"] = Consumer(Channel, "a", lambda *_: None)
    found = [each for _, each in frames.read(one(1) + one(2) + one(3, number=3) + one(4))]
    assert all(isinstance(each, Deliveries) for each in found)
    assert [[tag for tag, *_ in each.came] for each in found] == [[1, 2], [3], [4]]  # type: ignore[union-attr]


@example(b"AMQP\x00\x01\x00\x00")
@given(st.binary(max_size=60))
def test_bytes_that_are_no_frames_never_hang_the_reader(noise: bytes) -> None:
    """They are refused, or wait for more."""
    frames = FrameReader()
    try:
        for size, _ in frames.read(noise):
            assert size > 0
    except Exception:  # noqa: BLE001 - pika's own
        pass


def test_a_body_as_long_as_a_frame_is_read_directly_and_a_longer_one_by_pika() -> None:
    """131,072 bytes are the largest frame."""
    assert reader._LONGEST == 131_064
