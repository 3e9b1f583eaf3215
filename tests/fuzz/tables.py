"""Properties of messages as bytes: of every type that a broker takes, with names twice and names that mean something.

By our own hand: a library would write none of what is worth trying.
"""

import struct
from typing import Any

from hypothesis import strategies as st
from pika import BasicProperties

# What routes, what counts, what is ours, and what is the broker's.
NAMES = (
    *("CC", "BCC", "cc", "Bcc", "mq-attempt", "mq-replays", "mq-queue", "mq-first-error", "mq-last-error", "mq-cc"),
    *("x-death", "x-delivery-count", "x-acquired-count", "x-first-death-queue", "timestamp_in_ms", "traceparent", ""),
)
SHORT = (15, 14, 10, 9, 7, 5, 3)  # bits of the properties that are short strings and that no broker looks at


def short(value: bytes) -> bytes:
    return struct.pack(">B", len(value)) + value


def long(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def packed(kind: str, form: str, *values: Any) -> bytes:
    return kind.encode() + struct.pack(f">{form}", *values)


def whole(kind: str, form: str, bits: int, signed: bool = True) -> st.SearchStrategy[bytes]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high).map(lambda value: packed(kind, form, value))


def values(stranger: str) -> st.SearchStrategy[bytes]:
    """A field's value, its type in front; strings and lists may name the queue `stranger`."""
    name = b"S" + long(stranger.encode())
    leaves = st.one_of(
        st.sampled_from([name, b"A" + long(name), b"A" + long(name * 2), b"V", b"t\x00", b"t\x01"]),
        st.binary(max_size=60).map(lambda value: b"S" + long(value)),
        st.binary(max_size=60).map(lambda value: b"x" + long(value)),
        whole("b", "b", 8),
        whole("B", "B", 8, signed=False),
        whole("s", "h", 16),
        whole("u", "H", 16, signed=False),
        whole("I", "i", 32),
        whole("i", "I", 32, signed=False),
        whole("l", "q", 64),
        whole("T", "Q", 64, signed=False),
        st.floats(width=32).map(lambda value: packed("f", "f", value)),
        st.floats().map(lambda value: packed("d", "d", value)),
        st.tuples(st.integers(0, 255), st.integers(-(2**31), 2**31 - 1)).map(lambda pair: packed("D", "Bi", *pair)),
    )

    def nested(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
        arrays = st.lists(inner, max_size=4).map(lambda each: b"A" + long(b"".join(each)))
        return arrays | fields(inner).map(lambda table: b"F" + long(table))

    return st.recursive(leaves, nested, max_leaves=12)


def fields(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A table without its length. A name may come twice."""
    names = st.sampled_from(NAMES).map(str.encode) | st.binary(max_size=30)
    pairs = st.tuples(names.map(short), inner).map(b"".join)
    return st.lists(pairs, max_size=8).map(b"".join)


def routes(stranger: str) -> st.SearchStrategy[bytes]:
    """Fields that route, several of one name; the broker takes one of them away and leaves the others."""
    name = b"S" + long(stranger.encode())
    named = st.sampled_from([b"A" + long(name), b"A" + long(name), name, b"V", b"A" + long(b"")])
    pairs = st.tuples(st.sampled_from([b"CC", b"BCC", b"BCC", b"cc"]).map(short), named).map(b"".join)
    return st.lists(pairs, max_size=3).map(b"".join)


class Raw(BasicProperties):
    """Properties that are sent as these bytes."""

    def __init__(self, encoded: bytes) -> None:
        super().__init__()
        self.encoded = encoded

    def encode(self) -> list[bytes]:
        return [self.encoded]


@st.composite
def properties(draw: st.DrawFn, stranger: str) -> Raw:
    """A message's: headers, and some of the others."""
    found = {bit: short(draw(st.binary(max_size=40))) for bit in draw(st.sets(st.sampled_from(SHORT)))}
    found[13] = long(draw(fields(values(stranger))) + draw(routes(stranger)))
    if draw(st.booleans()):
        found[6] = struct.pack(">Q", draw(st.integers(0, 2**64 - 1)))
    for bit in draw(st.sets(st.sampled_from([12, 11]))):  # delivery mode, priority
        found[bit] = struct.pack(">B", draw(st.integers(0, 255)))
    flags = sum(1 << bit for bit in found)
    return Raw(struct.pack(">H", flags) + b"".join(found[bit] for bit in sorted(found, reverse=True)))
