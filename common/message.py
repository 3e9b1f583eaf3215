"""Message: what a source gives, what a handler gets, and what travels between them."""

import json
import math
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

from pika import BasicProperties

from common.properties import MILLISECONDS, NAMES, PERSISTENT, DecodedProperties, OutgoingProperties, Properties

# Our own headers. Names with "x-" belong to the broker, and x-death changed its meaning between versions.
ATTEMPT = "mq-attempt"
FIRST_ERROR = "mq-first-error"
LAST_ERROR = "mq-last-error"
QUEUE = "mq-queue"
EXPIRATION = "mq-expiration"
USER_ID = "mq-user-id"
CC = "mq-cc"

DAY = 86400.0  # seconds; no two clocks differ by more, and a timestamp in milliseconds is far ahead
_BINARY = (bytes, bytearray, memoryview)  # a tuple is built once, a union at each call


class Message:
    """An immutable envelope: a body and its AMQP properties.

    In a source, `Message(b"...", content_type="image/png", headers={"tenant": "a"})` says more than plain bytes;
    in a handler, the properties below read what came. They are the handler's own: it may change `message.properties`
    and publish it again; what is retried or parked stays as it came.
    """

    __slots__ = ("_origin", "_own", "body")

    body: bytes
    _origin: Properties | None  # what came or is to be sent
    _own: BasicProperties | None  # what was given; or, when somebody first asked, what `_origin` becomes

    def __init__(
        self,
        body: bytes,
        *,
        content_type: str | None = None,
        headers: Mapping[str, Any] | None = None,
        message_id: str | None = None,
        properties: BasicProperties | None = None,
    ) -> None:
        """Take `properties` as they are (they win), or make them of the other arguments."""
        _set_body(self, body)
        _set_origin(self, None)
        made = properties or BasicProperties(
            content_type=content_type, headers=dict(headers or {}), message_id=message_id
        )
        _set_own(self, made)

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"a message is immutable: yield or keep a new Message, and leave its {name} as it came")

    def __reduce__(self) -> tuple[object, ...]:
        return partial(Message, properties=self.properties), (self.body,)

    @classmethod
    def with_origin(cls, body: bytes, origin: Properties) -> "Message":
        """A message whose properties are decoded when somebody asks: most handlers do not."""
        message: Message = cls.__new__(cls)
        _set_body(message, body)
        _set_origin(message, origin)
        _set_own(message, None)
        return message

    @classmethod
    def of(cls, value: object, message_id: str) -> "Message":
        """A message to publish, of what a source yields: persistent, dated now, named `message_id`.

        `value` is bytes (of a type that nobody said), str (sent as UTF-8), anything that `json` can write, or a
        Message, whose own name and date are kept. Raises TypeError or ValueError for what JSON cannot hold.
        """
        now_ms = int(time.time() * 1000)
        if isinstance(value, Message):
            return value._stamped(message_id, now_ms)
        if isinstance(value, _BINARY):
            return cls.with_origin(bytes(value), OutgoingProperties(message_id, now_ms))
        if isinstance(value, str):  # typed as Spring AMQP and kombu have it, which then give text
            return cls.with_origin(value.encode(), OutgoingProperties(message_id, now_ms, "text/plain", "utf-8"))
        body = json.dumps(value, allow_nan=False).encode()
        return cls.with_origin(body, OutgoingProperties(message_id, now_ms, "application/json"))

    def _stamped(self, message_id: str, now_ms: int) -> "Message":
        old = self.properties
        undated = old.timestamp is None
        stamp = {
            "headers": {**(old.headers or {}), **({MILLISECONDS: now_ms % 1000} if undated else {})},
            "message_id": old.message_id or message_id,
            "timestamp": now_ms // 1000 if undated else old.timestamp,
            "delivery_mode": PERSISTENT,
        }
        made = BasicProperties(**{name: getattr(old, name) for name in NAMES} | stamp)
        return Message(bytes(self.body) if isinstance(self.body, _BINARY) else self.body, properties=made)

    @property
    def origin(self) -> Properties:
        """The properties as they came or are to be sent, whatever a handler did to its own."""
        return DecodedProperties(self.properties) if self._origin is None else self._origin

    def original(self) -> "Message":
        """The message as it came."""
        return self if self._origin is None else Message.with_origin(self.body, self._origin)

    def copied(self, headers: Mapping[str, Any], timestamp: int | None = None) -> "Message":
        """A copy that a client may publish again: persistent, `headers` put in, everything foreign as it came.

        One without a `timestamp` gets this one.

        What would lead it astray moves into headers of ours: `expiration` would let it expire where it is parked, the
        broker refuses a foreign `user_id`, and the queues of `CC` would get each copy, too, and confirm it for its own.
        """
        origin = self.origin
        old = origin.to_pika()
        moved = {EXPIRATION: old.expiration, USER_ID: old.user_id}
        own = {**headers, **{key: value for key, value in moved.items() if value is not None}}
        changes = {
            "expiration": None,
            "user_id": None,
            "delivery_mode": PERSISTENT,
            "timestamp": timestamp if old.timestamp is None else old.timestamp,
        }
        return Message.with_origin(self.body, origin.changed(own, {"CC": CC}, **changes))

    @property
    def properties(self) -> BasicProperties:
        """All of AMQP's properties, as pika has them."""
        if self._own is None:  # several threads may come here at a time: each gets the same fields
            _set_own(self, self.origin.to_pika())
        return self._own  # type: ignore[return-value]

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
        """Seconds since its `timestamp`, by two machines' clocks; None without one, or with one in milliseconds."""
        return self.age_at(time.time())

    def age_at(self, now: float) -> float | None:
        """The same at `now`, which is `time.time()`."""
        since = (self.origin if self._origin is None else self._origin).published_ms()
        age = -math.inf if since is None else now - since / 1000
        return age if age >= 0.0 else 0.0 if age >= -DAY else None


# The ways around __setattr__: properties that read a field would cost more, since a body is looked at seven times.
_set_body, _set_origin, _set_own = (vars(Message)[name].__set__ for name in ("body", "_origin", "_own"))
