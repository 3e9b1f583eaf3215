"""Forward: what a handler returns to have messages published before its own is acknowledged. Pure."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from hashlib import blake2b
from typing import Any

from common.message import ROUTING, Message
from common.observe.trace_context import TRACEPARENT, TRACESTATE, trace_context

NAME_MAX = 255  # bytes of a name in AMQP
ID_BYTES = 15  # 20 characters: with `application/json` the properties stay within 64 bytes
# They say what happened to the original, and are not true of another message.
OF_THE_ORIGINAL = ("mq-", "x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")


class NotForwarded(Exception):  # noqa: N818 - what did not happen
    """A destination is missing or full."""


@dataclass(frozen=True, slots=True, repr=False)
class Forward:
    """Returned by a handler, alone or in a list: publish `value`, and acknowledge the message on the broker's confirm.

    `value` is what a source may yield: bytes, str, or anything that JSON holds. It goes to the queue `to`, or to
    `exchange` with `routing_key`. Of the message's headers only the trace context goes along. A destination that is
    missing or full is a failed attempt.
    """

    value: object
    to: str = ""
    _: KW_ONLY
    exchange: str = ""
    routing_key: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    type: str | None = None
    correlation_id: str | None = None

    def __post_init__(self) -> None:
        """Raises TypeError or ValueError for what names no destination, or is no value."""
        if isinstance(self.value, Message):
            raise TypeError("Forward takes a body: give message.body, and what is to go along of its properties")
        if bool(self.to) == bool(self.exchange) or (self.to and self.routing_key):
            raise ValueError("Forward needs a queue (to=...), or else an exchange (exchange=..., routing_key=...)")
        for name in (self.to,) if self.to else (self.exchange, self.routing_key):
            if not isinstance(name, str):
                raise TypeError(f"a queue, an exchange or a routing key is a str, and not a {type(name).__qualname__}")
            if len(name.encode()) > NAME_MAX:
                raise ValueError(f"a name of {len(name.encode())} bytes is over AMQP's {NAME_MAX}")
        if self.headers and (steering := ROUTING.keys() & self.headers.keys()):
            raise ValueError(
                f"the header {steering.pop()} would send copies elsewhere: return a Forward for each queue"
            )

    def __repr__(self) -> str:
        named = ((each.name, getattr(self, each.name)) for each in fields(self)[1:])
        return (
            f"Forward({', '.join([f'{self.value!r:.200}', *(f'{name}={value!r}' for name, value in named if value)])})"
        )

    @property
    def destination(self) -> tuple[str, str]:
        """Exchange and routing key."""
        return self.exchange, self.to or self.routing_key

    def message(self, message_id: str, context: Mapping[str, str]) -> Message:
        """The message to publish, with the headers `context`. Raises what `Message.of` raises."""
        made = Message.of(self.value, message_id)
        own = {name: value for name, value in self.headers.items() if not name.startswith(OF_THE_ORIGINAL)}
        given = {"content_type": self.content_type, "type": self.type, "correlation_id": self.correlation_id}
        changes = {name: value for name, value in given.items() if value is not None}
        if not (context or own or changes):
            return made
        return Message.with_origin(made.body, made.origin.changed({**context, **own}, {}, **changes))


def messages(forwards: Iterable[Forward], original: Message, queue: str, max_body: int) -> Iterator[Message]:
    """What to publish for `original`, which came from `queue`.

    A repetition gives the same ids. Raises ValueError for a body of over `max_body` bytes.
    """
    # Asked by their names: to decode all properties took most of the time of a forward.
    context = trace_context(original.origin.chosen_headers((TRACEPARENT, TRACESTATE)))
    # Equal messages without an id must not look like one: whoever leaves out duplicates would lose the second.
    base = original.message_id or secrets.token_hex(ID_BYTES)
    count: dict[tuple[str, str], int] = {}
    for forward in forwards:
        place = exchange, key = forward.destination
        count[place] = nth = count.get(place, 0) + 1
        name = f"{queue}\0{exchange}\0{key}\0{nth}\0{base}".encode(errors="backslashreplace")
        made = forward.message(urlsafe_b64encode(blake2b(name, digest_size=ID_BYTES).digest()).decode(), context)
        if len(made.body) > max_body:
            raise ValueError(f"{forward!r:.100}: {len(made.body)} bytes are over MQ_MAX_BODY ({max_body})")
        yield made
