"""Message: what a source gives, what a handler gets, and what travels between them."""

import json
import time
from collections.abc import Mapping
from typing import Any

from pika import BasicProperties

from common.envelope import APP_ID, PERSISTENT, PUBLISHED_MS, Envelope, Received
from common.headers import table_of

# Our own headers. Names with "x-" belong to the broker, and x-death changed its meaning between versions.
ATTEMPT = "mq-attempt"
FIRST_ERROR = "mq-first-error"
LAST_ERROR = "mq-last-error"
QUEUE = "mq-queue"
EXPIRATION = "mq-expiration"
USER_ID = "mq-user-id"
CC = "mq-cc"

FRAME = 128 * 1024 - 64  # bytes; properties travel in one frame, and over it the broker closes the connection
_NAMES = tuple(vars(BasicProperties()))
_BINARY, _NUMBER = (bytes, bytearray, memoryview), (int, float)  # a tuple is built once, a union at each call


class Message:
    """An immutable envelope: a body and its AMQP properties.

    In a source, `Message(b"...", content_type="image/png", headers={"tenant": "a"})` says more than plain bytes;
    in a handler, the properties below read what came.
    """

    __slots__ = ("body", "properties")

    body: bytes
    properties: BasicProperties

    def __init__(
        self,
        body: bytes,
        *,
        content_type: str = "application/octet-stream",
        headers: Mapping[str, Any] | None = None,
        message_id: str | None = None,
        properties: BasicProperties | None = None,
    ) -> None:
        """Take `properties` as they are (they win), or make them of the other arguments."""
        self.body = body
        self.properties = properties or BasicProperties(
            content_type=content_type, headers=dict(headers or {}), message_id=message_id
        )

    @classmethod
    def of(cls, value: object, message_id: str) -> "Message":
        """A message to publish, of what a source yields: persistent, dated now, named `message_id`.

        `value` is bytes, str (sent as UTF-8), anything that `json` can write, or a Message, whose own name and date are
        kept. Raises TypeError or ValueError for what JSON cannot hold.
        """
        now_ms = int(time.time() * 1000)
        if isinstance(value, Message):
            return value._stamped(message_id, now_ms)
        if isinstance(value, _BINARY):
            body, content_type = bytes(value), "application/octet-stream"
        elif isinstance(value, str):
            body, content_type = value.encode(), "text/plain; charset=utf-8"
        else:
            body, content_type = json.dumps(value, allow_nan=False).encode(), "application/json"
        return cls(body, properties=Envelope(content_type, message_id, now_ms))

    def _stamped(self, message_id: str, now_ms: int) -> "Message":
        old = self.properties
        return Message(
            bytes(self.body) if isinstance(self.body, _BINARY) else self.body,
            properties=_replace(
                old,
                headers={**(old.headers or {}), PUBLISHED_MS: now_ms},
                message_id=old.message_id or message_id,
                timestamp=now_ms // 1000 if old.timestamp is None else old.timestamp,
                app_id=old.app_id or APP_ID,
                delivery_mode=PERSISTENT,
            ),
        )

    def copied(self, headers: Mapping[str, Any]) -> "Message":
        """A copy that a client may publish again: persistent, `headers` put in, everything foreign as it came.

        What would lead it astray moves into headers of ours: `expiration` would let it expire where it is parked, the
        broker refuses a foreign `user_id`, and the queues of `CC` would get each copy, too, and confirm it for its own.
        """
        old = self.properties
        moved = {EXPIRATION: old.expiration, USER_ID: old.user_id}
        own = {**headers, **{key: value for key, value in moved.items() if value is not None}}
        changes = {"expiration": None, "user_id": None, "delivery_mode": PERSISTENT}
        table = table_of(old.headers).changed(own, renamed={"CC": CC})
        return Message(self.body, properties=_replace(old, headers=table, **changes))

    def check(self) -> None:
        """Raises ValueError for properties that the broker would close the connection over."""
        size = sum(map(len, self.properties.encode())) if len(self.headers) > 1 else 0  # our one header is small
        if size > FRAME:
            raise ValueError(f"properties of {size} bytes are over the {FRAME} that fit into a frame")

    @property
    def text(self) -> str:
        """The body as UTF-8 text. Raises UnicodeDecodeError."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises ValueError (json.JSONDecodeError, UnicodeDecodeError)."""
        return json.loads(self.body)

    @property
    def message_id(self) -> str | None:
        """The same over re-sends and retries, to recognise a duplicate by; a foreign publisher may have set none."""
        return self.properties.message_id

    @property
    def content_type(self) -> str | None:
        """The MIME type that the publisher gave."""
        return self.properties.content_type

    @property
    def headers(self) -> Mapping[str, Any]:
        """All headers, ours (`mq-...`) and foreign ones."""
        return self.properties.headers or {}

    @property
    def attempt(self) -> int:
        """1 at the first attempt to handle the message, one more after each failed one."""
        attempt = self.headers.get(ATTEMPT, 1)
        return max(1, attempt) if isinstance(attempt, int) else 1

    @property
    def age(self) -> float | None:
        """Seconds since it was first published, by the two machines' clocks; None when the publisher did not say."""
        properties = self.properties
        published_ms = properties.published_ms if isinstance(properties, Received) else self.headers.get(PUBLISHED_MS)
        if isinstance(published_ms, _NUMBER) and abs(published_ms) < 1e15:  # NaN is not, either
            return max(0.0, time.time() - published_ms / 1000)
        timestamp = properties.timestamp
        return None if timestamp is None else max(0.0, time.time() - timestamp)


def _replace(properties: BasicProperties, **changes: Any) -> BasicProperties:
    return BasicProperties(**{name: getattr(properties, name) for name in _NAMES} | changes)
