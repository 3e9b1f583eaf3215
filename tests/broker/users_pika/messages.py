"""Cases: messages that are published, read, compared, and published again."""

import copy
import os
import pickle
from collections.abc import Callable
from typing import Any

from pika import BasicProperties, SelectConnection, URLParameters, spec
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import UnroutableError

from tests.broker.users_pika.shown import SENT, attempt, described

PATIENCE = 20.0  # seconds
LARGE = 300_000  # bytes; three frames
FRAME = 131_072 - 8  # bytes of a body that fit into a frame


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


CASES = (get, consume, call_back, wait, compare, publish_again, bodies, returned, select)
