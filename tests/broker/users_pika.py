"""What a user's own code does with pika, as cases whose results are compared between processes.

This module imports nothing of ours. It runs all cases by itself (`run`), in a handler (`handle`) or in a source
(`read`): on the broker of MQ_URL, with queues named from MQ_CH. What each found goes to the file RECORD, as JSON. Names
of queues and of consumers, which differ between runs, are replaced.
"""

import copy
import datetime as dt
import decimal
import importlib
import json
import os
import pickle
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pika import BasicProperties, BlockingConnection, SelectConnection, URLParameters, data, frame, spec
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import UnroutableError

PATIENCE = 20.0  # seconds
LARGE = 300_000  # bytes; three frames
FRAME = 131_072 - 8  # bytes of a body that fit into a frame
NOON = dt.datetime(2026, 1, 2, 12, 0, 5, tzinfo=dt.UTC)
HEADERS = {
    "text": "grün",
    "number": 7,
    "long": 2**40,
    "yes": True,
    "nothing": None,
    "bytes": b"\x00\xff",
    "list": [1, "two", [3]],
    "table": {"inside": {"deep": 1}},
    "noon": NOON,
    "price": decimal.Decimal("12.50"),
}
SENT: dict[str, Any] = {
    "content_type": "image/png",
    "content_encoding": "gzip",
    "headers": HEADERS,
    "delivery_mode": 2,
    "priority": 3,
    "correlation_id": "c",
    "reply_to": "r",
    "expiration": "60000",
    "message_id": "m",
    "timestamp": 1_767_355_205,
    "type": "t",
    "user_id": "guest",
    "app_id": "a",
    "cluster_id": "k",
}
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


def kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def shown(value: object) -> Any:
    """As JSON, with its type."""
    if isinstance(value, dict):
        return {"": kind(value)} | {repr(key): shown(each) for key, each in value.items()}
    return [kind(value), repr(value)]


def described(value: Any) -> Any:
    """A method or properties, by all that can be asked of it."""
    fields = {name: shown(getattr(value, name)) for name in sorted(vars(type(value)()))}
    return {
        "type": kind(value),
        "fields": fields,
        "repr": repr(value),
        "encoded": repr(b"".join(value.encode())),
        "own": shown(dict(sorted(vars(value).items()))),
        "class": [str(value.INDEX), value.NAME, repr(getattr(value, "synchronous", None))],
        "names": dir(value),
    }


def attempt(function: Callable[[], object]) -> Any:
    """What it returns, or raises."""
    try:
        return shown(function())
    except Exception as error:  # noqa: BLE001 - any is a result
        return f"{kind(error)}: {error}"


def got(channel: BlockingChannel, queue: str, count: int = 1) -> list[tuple[Any, Any, bytes]]:
    """So many messages of the queue, by `basic_get`; a published one may be a moment away."""
    found: list[tuple[Any, Any, bytes]] = []
    for _ in range(1000):
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        found += [(method, properties, body or b"")] if method else []
        if len(found) == count:
            return found
        channel.connection.sleep(0 if method else PATIENCE / 1000)
    raise TimeoutError(f"{len(found)} of {count} messages")


def consumed(channel: BlockingChannel, queue: str, count: int = 1) -> list[tuple[Any, Any, bytes]]:
    """So many messages of the queue, by `consume`."""
    found: list[tuple[Any, Any, bytes]] = []
    for method, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=PATIENCE):
        found += [(method, properties, body)]
        if len(found) == count or method is None:
            channel.cancel()
    return found


def get(channel: BlockingChannel, queue: str) -> Any:
    """`basic_get` of a message and of none."""
    channel.basic_publish("", queue, b"one", BasicProperties(**SENT))
    channel.basic_publish("", queue, b"two")
    found = [
        [described(method), described(properties), repr(body)] for method, properties, body in got(channel, queue, 2)
    ]
    return [*found, repr(channel.basic_get(queue))]


def consume(channel: BlockingChannel, queue: str) -> Any:
    """`for method, properties, body in channel.consume(...)`, through an exchange with a key."""
    channel.exchange_declare(queue, auto_delete=True)
    channel.queue_bind(queue, queue, "a.key")
    for number, properties in enumerate(
        [None, BasicProperties(), BasicProperties(**SENT), BasicProperties(headers={})]
    ):
        channel.basic_publish(queue, "a.key", b"%d" % number, properties)
    found = []
    for method, properties, body in channel.consume(queue):
        found.append([described(method), described(properties), repr(body)])
        copied = spec.Basic.Deliver().decode(b"".join(method.encode()))
        found.append([method == copied, copied == method, repr(copied), method.routing_key, method.exchange])
        channel.basic_ack(method.delivery_tag)
        if body == b"3":
            break
    return [*found, channel.cancel()]


def call_back(channel: BlockingChannel, queue: str) -> Any:
    """`basic_consume` with a callback and a consumer tag; what comes again says so."""
    found: list[Any] = []

    def on_message(_: BlockingChannel, method: Any, properties: Any, body: bytes) -> None:
        found.append([described(method), described(properties), repr(body)])
        if method.redelivered:
            channel.basic_ack(method.delivery_tag)
            channel.stop_consuming()
        else:
            channel.basic_nack(method.delivery_tag)

    channel.basic_consume(queue, on_message, consumer_tag="mine")
    channel.basic_publish("", queue, b"again", BasicProperties(message_id="m"))
    channel.connection.call_later(PATIENCE, channel.stop_consuming)
    channel.start_consuming()
    return found


def wait(channel: BlockingChannel, queue: str) -> Any:
    """`consume` with nothing to read, and `cancel` with messages that nobody has read."""
    nothing = [repr(each) for each, _ in zip(channel.consume(queue, inactivity_timeout=0.01), range(2), strict=False)]
    for number in range(3):
        channel.basic_publish("", queue, b"%d" % number)
    return [nothing, repr(channel.queue_declare(queue, passive=True).method.queue), channel.cancel() in range(4)]


def compare(channel: BlockingChannel, queue: str) -> Any:
    """The first that is asked of properties, each of properties that nobody has read a field of."""
    questions: dict[str, Callable[[Any], object]] = {
        "== the same": lambda properties: properties == BasicProperties(**SENT),
        "the same ==": lambda properties: BasicProperties(**SENT) == properties,
        "!=": lambda properties: properties != BasicProperties(**SENT),
        "== others": lambda properties: properties == BasicProperties(**SENT | {"priority": 4}),
        "== None": lambda properties: properties == None,  # noqa: E711
        "== a number": lambda properties: properties == 1,
        "hash": hash,
        "vars": lambda properties: dict(sorted(vars(properties).items())),
        "repr": repr,
        "encode": lambda properties: b"".join(properties.encode()),
        "copy": lambda properties: copy.copy(properties) == BasicProperties(**SENT),
        "deepcopy": lambda properties: copy.deepcopy(properties) == BasicProperties(**SENT),
        "pickle": lambda properties: pickle.loads(pickle.dumps(properties)) == BasicProperties(**SENT),
        "a field of another name": lambda properties: properties.nobody,
        "a new field": lambda properties: setattr(properties, "mine", 1) or properties == BasicProperties(**SENT),
        "delete": lambda properties: delattr(properties, "priority") or vars(properties),
    }
    for _ in questions:
        channel.basic_publish("", queue, b"x", BasicProperties(**SENT))
    pairs = zip(questions.items(), consumed(channel, queue, len(questions)), strict=True)
    return {name: attempt(lambda: question(properties)) for (name, question), (_, properties, _) in pairs}  # noqa: B023


def publish_again(channel: BlockingChannel, queue: str) -> Any:
    """What another reads of properties that were edited and published again."""
    edits: dict[str, Callable[[Any], object]] = {
        "nothing": lambda _: None,
        "changed": lambda properties: properties.headers.update(number=8),
        "added": lambda properties: properties.headers.__setitem__("step", 2),
        "deleted": lambda properties: properties.headers.pop("text"),
        "inside a table": lambda properties: properties.headers["table"]["inside"].update(deep=2),
        "inside a list": lambda properties: properties.headers["list"].append(4),
        "cleared": lambda properties: properties.headers.clear(),
        "other headers": lambda properties: setattr(properties, "headers", {"other": 1}),
        "none": lambda properties: setattr(properties, "headers", None),
        "united": lambda properties: setattr(properties, "headers", properties.headers | {"step": 2}),
        "a field": lambda properties: setattr(properties, "message_id", "mine"),
        "no field": lambda properties: setattr(properties, "priority", None),
    }
    for _ in edits:
        channel.basic_publish("", queue, b"x", BasicProperties(**SENT))
    for (name, edit), (_, properties, _) in zip(edits.items(), consumed(channel, queue, len(edits)), strict=True):
        edit(properties)
        channel.basic_publish("", queue, name, properties)
    return {repr(body): described(properties) for _, properties, body in got(channel, queue, len(edits))}


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


def bodies(channel: BlockingChannel, queue: str) -> Any:
    """Of none, one and several frames."""
    sizes = (0, 1, FRAME - 1, FRAME, FRAME + 1, LARGE)
    channel.confirm_delivery()
    for size in sizes:
        channel.basic_publish("", queue, bytes(size - 1) + b"z" if size else b"", BasicProperties(message_id=f"{size}"))
    found = got(channel, queue, len(sizes))
    for _, properties, body in found:
        channel.basic_publish("", queue, body, properties)
    found += consumed(channel, queue, len(sizes))
    return [[properties.message_id, len(body), repr(body[-1:]), repr(method)] for method, properties, body in found]


def returned(channel: BlockingChannel, queue: str) -> Any:
    """What no queue takes comes back: to a callback, and with confirms as an error."""
    found: list[Any] = []

    def on_return(_: BlockingChannel, method: Any, properties: Any, body: bytes) -> None:
        found.append([described(method), described(properties), repr(body)])

    channel.add_on_return_callback(on_return)
    for body in (b"back", bytes(LARGE)):
        channel.basic_publish("", f"{queue}.none", body, BasicProperties(**SENT), mandatory=True)
    for _ in range(1000):
        if len(found) < 2:
            channel.connection.process_data_events(PATIENCE / 1000)
    confirmed = channel.connection.channel()
    confirmed.confirm_delivery()
    try:
        confirmed.basic_publish("", f"{queue}.none", b"back", BasicProperties(**SENT), mandatory=True)
    except UnroutableError as error:
        found += [[described(each.method), described(each.properties), repr(each.body)] for each in error.messages]
    return found


def select(channel: BlockingChannel, queue: str) -> Any:
    """The same by a SelectConnection with its own loop."""
    found: list[Any] = []
    queues = ["small", "large"]
    connection: Any = None

    def on_message(opened: Any, method: Any, properties: Any, body: bytes) -> None:
        found.append([described(method), described(properties), len(body), method.routing_key])
        opened.basic_ack(method.delivery_tag)
        if len(found) == len(queues):
            connection.close()

    def on_channel(opened: Any) -> None:
        opened.basic_publish("", queue, b"small", BasicProperties(**SENT))
        opened.basic_publish("", queue, bytes(LARGE), BasicProperties(**SENT))
        opened.basic_consume(queue, on_message, consumer_tag="mine")

    connection = SelectConnection(
        URLParameters(os.environ["MQ_URL"]),
        on_open_callback=lambda opened: opened.channel(on_open_callback=on_channel),
        on_open_error_callback=lambda *_: connection.ioloop.stop(),
        on_close_callback=lambda *_: connection.ioloop.stop(),
    )
    connection.ioloop.call_later(PATIENCE, connection.ioloop.stop)
    connection.ioloop.start()
    return found


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


CASES = (
    get,
    consume,
    call_back,
    wait,
    compare,
    publish_again,
    headers,
    own_headers,
    tables,
    unreadable,
    frames,
    bodies,
)
CASES += (returned, select, attributes)


def run() -> None:
    """All cases, each on a connection and a queue of its own."""
    found = {}
    for each in CASES:
        connection = BlockingConnection(URLParameters(os.environ["MQ_URL"]))
        try:
            channel = connection.channel()
            queue = f"{os.environ['MQ_CH']}.{each.__name__}"
            channel.queue_declare(queue, durable=True)
            found[each.__name__] = each(channel, queue)
        except Exception as error:  # noqa: BLE001 - the test shows it
            found[each.__name__] = {"raised": f"{kind(error)}: {error}"}
        finally:
            if connection.is_open:
                connection.close()
    text = json.dumps(found).replace(os.environ["MQ_CH"], "MQ_CH")
    whole = Path(os.environ["RECORD"])
    part = whole.with_suffix(".part")
    part.write_text(re.sub(r"ctag\d+\.[0-9a-f]{32}", "CTAG", text))
    part.rename(whole)


def handle(_message: object) -> None:
    """All cases in a handler."""
    run()


def read() -> Iterator[bytes]:
    """All cases in a source that has no message."""
    run()
    return iter(())
