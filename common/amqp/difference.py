"""Difference: how a queue that is there differs from the one we want. AMQP names one argument at a time."""

import re
from collections.abc import Callable, Mapping

from pika.channel import Channel
from pika.connection import Connection

from common.amqp.topology import Queue

# Compiled when it is looked for: few runs do, and each start would pay for it.
INEQUIVALENT = (
    r"(?s)inequivalent arg '(?P<argument>.+?)' for queue '(?P<queue>.+)' in vhost '.*': "
    r"received (?P<wanted>.+) but current is (?P<found>.+)"
)


def parse_value(text: str) -> str | int | None:
    """`5000` of "the value '5000' of type 'signedint'", None of "none"."""
    if text == "none":
        return None
    match = re.fullmatch(r"(?:the value )?'(.*?)'(?: of type '(\w+)')?", text, re.DOTALL)
    value, kind = match.groups() if match else (text, None)
    return int(value) if kind not in (None, "longstr", "bool") and re.fullmatch(r"-?\d+", value) else value


def compare(
    channel: Channel, queue: str, arguments: Mapping[str, object], callback: Callable[[object], object]
) -> None:
    """Ask whether a queue that is there has these arguments; one that is not there is never made.

    Somebody may have deleted it, as we advise, and another in its place might be wrong as well. So it is asked in the
    same breath whether it is there; where it is not, the broker closes the channel before it reads the second frame.
    """
    channel.queue_declare(queue, passive=True)
    channel.queue_declare(queue, durable=True, arguments=dict(arguments), callback=callback)


class Difference:
    """Asks on new channels of `connection`, each time with one more argument as it is found."""

    def __init__(
        self, connection: Connection, queues: list[Queue], refused: str, on_done: Callable[[str], None]
    ) -> None:
        """`refused` is the broker's text; `on_done` gets the whole difference as text."""
        self._connection, self._on_done = connection, on_done
        self._arguments = {queue.name: dict(queue.all_arguments) for queue in queues}
        self._found: dict[str, str] = {}
        self._ask(refused)

    def _ask(self, refused: str) -> None:
        match = re.search(INEQUIVALENT, refused)
        arguments = self._arguments.get(match["queue"]) if match else None
        if match is None or arguments is None:
            self._done(refused)
            return
        name, found = match["argument"], parse_value(match["found"])
        if isinstance(arguments.get(name), int) and isinstance(found, str) and found.isdigit():
            found = int(found)  # the broker gives no type with some
        self._queue = match["queue"]
        if name in self._found or not name.startswith("x-") or not self._connection.is_open:
            self._done(refused)
            return
        self._found[name] = f"{name} is {found!r} and not {arguments.get(name)!r}"
        arguments[name] = found
        channel = self._connection.channel(on_open_callback=lambda channel: self._declare(channel, arguments))
        channel.add_on_close_callback(lambda _, error: self._ask(getattr(error, "reply_text", "")))

    def _declare(self, channel: Channel, arguments: dict[str, object]) -> None:
        given = {name: value for name, value in arguments.items() if value is not None}
        compare(channel, self._queue, given, lambda _: self._done(""))

    def _done(self, refused: str) -> None:
        on_done, self._on_done = self._on_done, lambda _: None  # once: closing the channel ends here too
        on_done(
            f"406 PRECONDITION_FAILED - queue {self._queue}: " + "; ".join(self._found.values())
            if self._found
            else refused
        )
