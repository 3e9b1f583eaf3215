"""DeadLetter: one message of the dead-letter queue, as the commands show and recognise it. Pure."""

from hashlib import blake2b
from typing import Any, NamedTuple

from common.message import FIRST_ERROR, LAST_ERROR, Message
from consumer.copies import properties_size, replays
from consumer.outcome import ERROR_LENGTH

DEATH_REASON = "x-first-death-reason"  # the broker sets it on a message that the broker itself dead-lettered
PROPERTIES = tuple(name for name in vars(Message(b"").properties) if name != "headers")
FINGERPRINT_BYTES = 8
NO_ROOM = "no room for the reason in its headers; see the consumer's log"
LAST_LEFT_OUT = 70  # bytes of what `fitted` leaves out last: the shortest reason and what may go behind it


class Row(NamedTuple):
    """What `list` says of a message, at most 1 kB of it; the names are those of `--json`."""

    position: int
    id: str | None
    age: float | None  # seconds since its timestamp
    attempt: int
    replays: int
    bytes: int
    error: str


class DeadLetter(NamedTuple):
    """`position` counts from 1, the oldest; it holds until a message before this one leaves the queue.

    `room` is for its properties in a frame, in bytes.
    """

    position: int
    message: Message
    room: int = 131_052

    @property
    def id(self) -> str | None:
        """The message id as text: a foreign publisher's need not be UTF-8."""
        message_id = self.message.message_id
        return None if message_id is None else text_of(message_id)

    @property
    def error(self) -> str:
        """The consumer's last error, or the broker's reason; without either another program parked the message."""
        headers = self.message.headers
        if LAST_ERROR in headers:
            return text_of(headers[LAST_ERROR])
        if DEATH_REASON in headers:
            return f"parked by the broker: {text_of(headers[DEATH_REASON])}"
        return NO_ROOM if properties_size(self.message) + LAST_LEFT_OUT > self.room else ""

    @property
    def row(self) -> Row:
        """The summary that `list` shows."""
        message = self.message
        age = None if message.age is None else round(message.age, 1)
        error = self.error[:ERROR_LENGTH]
        return Row(self.position, self.id, age, message.attempt, replays(message), len(message.body), error)

    @property
    def details(self) -> dict[str, Any]:
        """Everything, as JSON can hold it: the row, `first_error`, `properties`, `headers`, and the body.

        The body is `body` if it is UTF-8 text, otherwise `body_hex`, in hexadecimal digits.
        """
        message = self.message
        values = {name: getattr(message.properties, name) for name in PROPERTIES}
        try:
            body = {"body": message.text}
        except UnicodeDecodeError:
            body = {"body_hex": message.body.hex()}
        return {
            **self.row._asdict(),
            "first_error": text_of(message.headers.get(FIRST_ERROR, "")),
            "properties": {name: json_value(value) for name, value in values.items() if value is not None},
            "headers": json_value(message.headers),
            **body,
        }

    @property
    def fingerprint(self) -> int:
        """Recognises the message in a later scan: a digest of all that stays the same while it is parked.

        Not the position, which changes, nor the broker's `x-` headers: one of them counts the scans.
        """
        message = self.message
        own = sorted((str(key), repr(value)) for key, value in message.headers.items() if not str(key).startswith("x-"))
        named = repr((message.message_id, message.properties.timestamp, own)).encode()
        digest = blake2b(named, digest_size=FINGERPRINT_BYTES)
        digest.update(message.body)
        return int.from_bytes(digest.digest(), "big")


def json_value(value: Any) -> Any:
    """A header's value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): json_value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [json_value(each) for each in value]
    if value is None or isinstance(value, bool | str):
        return value
    return int(value) if isinstance(value, int) else text_of(value)


def text_of(value: object) -> str:
    """A header's value as text."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value).lower() if isinstance(value, bool) else str(value)
