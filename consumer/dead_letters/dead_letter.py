"""DeadLetter: one message of the dead-letter queue, as the commands show, recognise and choose it. Pure."""

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from common.message import FIRST_ERROR, LAST_ERROR, Message
from common.settings.types import parse_duration
from consumer.copies import properties_size, replays
from consumer.outcome import ERROR_LENGTH

DEATH_REASON = "x-first-death-reason"  # the broker sets it on a message that the broker itself dead-lettered
PROPERTIES = tuple(name for name in vars(Message(b"").properties) if name != "headers")
FINGERPRINT_BYTES = 8
NO_ROOM = "no room for the reason in its headers; see the consumer's log"
LAST_LEFT_OUT = 70  # bytes of what `fitted` leaves out last: the shortest reason and what may go behind it
SYNTAX = "id=ID, error~REGEX, header.NAME=TEXT (= is equal, ~ is found in), older=DURATION, newer=DURATION"
AGE = re.compile(r"(older|newer)=(.*)", re.DOTALL)
TEXT = re.compile(r"(id|error|header\.[^=~]+)([=~])(.*)", re.DOTALL)
MAX_REPLAYS = 2  # a message that came back from two replays will come back from a third


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


Expression = Callable[[DeadLetter], bool]


class Filter:
    """Decides for one dead letter after the other, and counts what it decided."""

    def __init__(
        self, expressions: Sequence[Expression], max_accepted: int | None = None, *, skip_replayed: bool = False
    ) -> None:
        """Accept what all `expressions` match; with `skip_replayed` none that was replayed MAX_REPLAYS times."""
        self.examined = self.accepted = self.replayed_too_often = 0
        self.more = False  # whether `max_accepted` alone kept it from accepting another
        self._expressions, self._max_accepted, self._skip_replayed = expressions, max_accepted, skip_replayed

    @property
    def full(self) -> bool:
        return self._max_accepted is not None and self.accepted >= self._max_accepted

    def accepts(self, letter: DeadLetter) -> bool:
        self.examined += 1
        if not all(matches(letter) for matches in self._expressions):
            return False
        if self._skip_replayed and replays(letter.message) >= MAX_REPLAYS:
            self.replayed_too_often += 1
            return False
        if self.full:
            self.more = True
            return False
        self.accepted += 1
        return True


def parse_expression(text: str) -> Expression:
    """The test that `text` stands for. Raises ValueError with a sentence for people."""
    if age := AGE.fullmatch(text):
        return _age_expression(age[1], parse_duration(age[2]))
    parts = TEXT.fullmatch(text)
    if not parts:
        raise ValueError(f"{text!r} is none of {SYNTAX}")
    name, operator, wanted = parts.groups()
    regex = _compiled(wanted) if operator == "~" else None

    def matches(letter: DeadLetter) -> bool:
        value = _value(letter, name)
        return value is not None and (regex.search(value) is not None if regex else value == wanted)

    return matches


def _age_expression(name: str, seconds: float) -> Expression:
    def matches(letter: DeadLetter) -> bool:
        age = letter.message.age
        return age is not None and (age > seconds if name == "older" else age < seconds)

    return matches


def _value(letter: DeadLetter, name: str) -> str | None:
    if name == "error":
        return letter.error
    if name == "id":
        return letter.id
    header = letter.message.headers.get(name.removeprefix("header."))
    return None if header is None else text_of(header)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


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
