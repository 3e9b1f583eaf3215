"""Cases: values of headers, frames, and where pika's functions come from."""

import decimal
import importlib
import struct
from typing import Any

from pika import BasicProperties, data, frame, spec
from pika.adapters.blocking_connection import BlockingChannel

from tests.broker.users_pika.messages import got
from tests.broker.users_pika.shown import HEADERS, NOON, SENT, attempt, described, kind, shown

MODULES = (
    "pika",
    "pika.amqp_object",
    "pika.callback",
    "pika.channel",
    "pika.connection",
    "pika.data",
    "pika.frame",
    "pika.heartbeat",
    "pika.spec",
    "pika.adapters.base_connection",
    "pika.adapters.blocking_connection",
    "pika.adapters.select_connection",
    "pika.adapters.utils.io_services_utils",
    "pika.adapters.utils.selector_ioloop_adapter",
)
KINDS = {
    "t": b"t\x01",
    "b": b"b\xfe",
    "B": b"B\xfe",
    "u": b"u\xff\xfe",
    "I": b"I\xff\xff\xff\xfe",
    "i": b"i\xff\xff\xff\xfe",
    "l": b"l" + struct.pack(">q", -(2**40)),
    "f": b"f" + struct.pack(">f", 2.5),
    "d": b"d" + struct.pack(">d", 3.14159),
    "D": b"D\x02" + struct.pack(">i", 1250),
    "S": b"S\x00\x00\x00\x02\xc3\xa4",
    "S, no UTF-8": b"S\x00\x00\x00\x02\xff\xfe",
    "x": b"x\x00\x00\x00\x02\xff\xfe",
    "A": b"A\x00\x00\x00\x09d" + struct.pack(">d", 3.14159),
    "F": b"F\x00\x00\x00\x0b\x01kd" + struct.pack(">d", 3.14159),
    "V": b"V",
    "T": b"T" + struct.pack(">Q", 1_767_355_205),
}
UNREADABLE = {"T, year 10000": b"T" + struct.pack(">Q", 253_402_300_800), "Z": b"Z\x01"}


class Raw(BasicProperties):
    """Properties of one header `k` whose value has these bytes."""

    def __init__(self, value: bytes) -> None:
        super().__init__(headers={})
        self._table = b"\x01k" + value

    def encode(self) -> list[bytes]:
        """What pika puts into the frame."""
        return [struct.pack(">H", self.FLAG_HEADERS), struct.pack(">I", len(self._table)), self._table]


def headers(channel: BlockingChannel, queue: str) -> Any:
    """Each kind of value that the broker takes, as it is read, and as it is when it is published again."""
    found = {}
    for name, value in KINDS.items():
        channel.basic_publish("", queue, b"x", Raw(value))
        [(_, properties, _)] = got(channel, queue)
        read = shown(properties.headers)
        found[name] = [read, attempt(lambda: b"".join(properties.encode()))]  # noqa: B023
    return found


def own_headers(_: BlockingChannel, _queue: str) -> Any:
    """Each kind of value that a program may set, as it is encoded, or refused."""
    values = [1, -1, 2**31 - 1, 2**31, -(2**31) - 1, 2**63, 1.5, 0.0, float("nan"), float("inf"), True, None, "x" * 300]
    values += [b"x", NOON, decimal.Decimal("1.25"), {}, {"a": 1.5}, [], [1.5], [[], {}], (1,), {1}, object]
    return [attempt(lambda: b"".join(BasicProperties(headers={"k": each}).encode())) for each in values]  # noqa: B023


def tables(_: BlockingChannel, _queue: str) -> Any:
    """The functions of pika for tables, with what can be read and what cannot."""
    found: dict[str, Any] = {}
    for name, value in (KINDS | UNREADABLE).items():
        table = struct.pack(">I", 2 + len(value)) + b"\x01k" + value + b"behind"
        found[name] = [attempt(lambda: data.decode_value(value, 0)), attempt(lambda: data.decode_table(table, 0))]  # noqa: B023
    pieces: list[bytes] = []
    found["encoded"] = [data.encode_table(pieces, HEADERS), repr(b"".join(pieces))]
    found["encoded float"] = attempt(lambda: data.encode_value([], 1.5))
    return found


def unreadable(channel: BlockingChannel, queue: str) -> Any:
    """A header that pika cannot decode, which ends the connection."""
    channel.basic_publish("", queue, b"x", Raw(UNREADABLE["T, year 10000"]))
    return [attempt(lambda: got(channel, queue)), channel.connection.is_open]


def frames(_: BlockingChannel, _queue: str) -> Any:
    """The decoder of frames that pika has."""
    methods = [
        spec.Basic.Deliver("tag", 5, True, "exchange", "key"),
        spec.Basic.GetOk(5, False, "exchange", "key", 6),
        spec.Basic.Return(312, "NO_ROUTE", "exchange", "key"),
        spec.Basic.Ack(5, True),
    ]
    marshalled = [frame.Method(1, each).marshal() for each in methods]
    marshalled += [frame.Header(1, 5, BasicProperties(**SENT)).marshal(), frame.Body(1, b"x").marshal()]
    decoded = [frame.decode_frame(each + b"behind") for each in marshalled]
    contents: list[Any] = [getattr(each, "method", None) or getattr(each, "properties", None) for _, each in decoded]
    return [[size, kind(each), repr(each)] for size, each in decoded] + [described(each) for each in contents if each]


def attributes(_: BlockingChannel, _queue: str) -> Any:
    """Where each function and class of pika comes from, and each entry of its tables."""

    def origin(value: Any) -> str:
        value = getattr(value, "__func__", value)
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"

    found = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for attribute, value in sorted(vars(module).items()):
            if attribute != "__warningregistry__":  # which warnings were shown
                found[f"{name}.{attribute}"] = origin(value)
            if isinstance(value, type):
                members = {f"{name}.{attribute}.{member}": origin(each) for member, each in vars(value).items()}
                found |= {member: each for member, each in members.items() if "__" not in member}
    tables = {"methods": spec.methods, "props": spec.props}
    return found | {f"{name}[{key}]": origin(each) for name, table in tables.items() for key, each in table.items()}


CASES = (headers, own_headers, tables, unreadable, frames, attributes)
