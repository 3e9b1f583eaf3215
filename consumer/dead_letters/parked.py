"""Parked: one message of the dead-letter queue, as a person asks for it. Pure."""

from typing import Any, NamedTuple

from common.message import FIRST_ERROR, LAST_ERROR, Message
from consumer.copies import replays
from consumer.outcome import ERROR_LENGTH

DEATH_REASON = "x-first-death-reason"  # the broker's, of what it parked itself
PROPERTIES = tuple(name for name in vars(Message(b"").properties) if name != "headers")


class Row(NamedTuple):
    """What `list` says of a message, at most 1 kB of it; the names are those of `--json`."""

    position: int
    id: str | None
    age: float | None  # seconds since its timestamp
    attempt: int
    replays: int
    bytes: int
    error: str


class Parked:
    """`position` counts from 1, the oldest; it is right until something before it leaves the queue."""

    __slots__ = ("message", "position")

    def __init__(self, position: int, message: Message) -> None:
        self.position = position
        self.message = message

    @property
    def id(self) -> str | None:
        """Its name as text: a foreign publisher's need not be UTF-8."""
        name = self.message.message_id
        return None if name is None else text_of(name)

    @property
    def error(self) -> str:
        """Why it is here: the consumer's last error, or the broker's reason; empty when somebody else parked it."""
        headers = self.message.headers
        if LAST_ERROR in headers:
            return text_of(headers[LAST_ERROR])
        return f"parked by the broker: {text_of(headers[DEATH_REASON])}" if DEATH_REASON in headers else ""

    @property
    def row(self) -> Row:
        """In short."""
        message = self.message
        age = None if message.age is None else round(message.age, 1)
        error = self.error[:ERROR_LENGTH]
        return Row(self.position, self.id, age, message.attempt, replays(message), len(message.body), error)

    @property
    def whole(self) -> dict[str, Any]:
        """All there is, for JSON: a body that is no text as hexadecimal digits."""
        message = self.message
        values = {name: getattr(message.properties, name) for name in PROPERTIES}
        try:
            body = {"body": message.text}
        except UnicodeDecodeError:
            body = {"body_hex": message.body.hex()}
        named = {name: plain(value) for name, value in values.items() if value is not None}
        first = text_of(message.headers.get(FIRST_ERROR, ""))
        headers = plain(message.headers)
        return {**self.row._asdict(), "first_error": first, "properties": named, "headers": headers, **body}


def plain(value: Any) -> Any:
    """A header's value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if value is None or isinstance(value, bool | str):
        return value
    return int(value) if isinstance(value, int) else text_of(value)


def text_of(value: object) -> str:
    """A header's value as text."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value).lower() if isinstance(value, bool) else str(value)
