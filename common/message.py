"""Message: what a source yields and a handler gets: a body and its AMQP properties."""

import json
import math
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NoReturn, TypeVar

from pika import BasicProperties
from pydantic import TypeAdapter, ValidationError

from common.properties import MILLISECONDS, NAMES, PERSISTENT, DecodedProperties, OutgoingProperties, Properties

# Our own headers. Names with "x-" belong to the broker, and x-death changed its meaning between its versions.
ATTEMPT = "mq-attempt"
FIRST_ERROR = "mq-first-error"
LAST_ERROR = "mq-last-error"
QUEUE = "mq-queue"
EXPIRATION = "mq-expiration"
USER_ID = "mq-user-id"
CC = "mq-cc"
REPLY_TO = "mq-reply-to"
ROUTING = {"CC": CC, "BCC": "mq-bcc"}  # all headers by which RabbitMQ routes, and their names in a copy
MOVED = (EXPIRATION, USER_ID, REPLY_TO, *ROUTING.values())  # what a copy has in a header, and its original elsewhere
DIRECT_REPLY = "amq.rabbitmq.reply-to"  # no channel but the one that waits for the reply may publish with it

CLOCK_SKEW_MAX = 86400.0  # seconds ahead; a timestamp further ahead is no date, such as one in milliseconds
MAX_WRONG_FIELDS = 10  # that an error names
T = TypeVar("T")
_adapter: Callable[[Any], TypeAdapter[Any]] = lru_cache(256)(TypeAdapter)  # once a type, since it is compiled
_BINARY = (bytes, bytearray, memoryview)  # a tuple is built once, a union at each call


class BodyError(ValueError):
    """The body is not what the handler expects, and never will be: the consumer parks the message at once."""


class Message:
    """An immutable envelope: a body and its AMQP properties.

    A source yields `Message(b"...", content_type="image/png", headers={"tenant": "a"})` to say more than plain bytes.
    A handler may change `message.properties` and publish them again; the message is retried or parked as it came.
    """

    __slots__ = ("_origin", "_own", "body")

    body: bytes
    _origin: Properties | None  # as received or to be sent; None: only `_own` is there
    _own: BasicProperties | None  # as given, or decoded from `_origin` when first asked for

    def __init__(
        self,
        body: bytes,
        *,
        content_type: str | None = None,
        headers: Mapping[str, Any] | None = None,
        message_id: str | None = None,
        properties: BasicProperties | None = None,
    ) -> None:
        """Take `properties` as they are, or else make them of the other arguments."""
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
        """A message whose properties are decoded when first asked for, which most handlers never do."""
        message: Message = cls.__new__(cls)
        _set_body(message, body)
        _set_origin(message, origin)
        _set_own(message, None)
        return message

    @classmethod
    def of(cls, value: object, message_id: str) -> "Message":
        """A persistent message of what a source yields, dated now and with this `message_id`.

        `value` is bytes (without a content type), str (as UTF-8), anything that `json` can write, or a Message, which
        keeps an id and a date of its own. Raises TypeError or ValueError for what JSON cannot hold.
        """
        now_ms = int(time.time() * 1000)
        if isinstance(value, Message):
            return value._stamped(message_id, now_ms)
        if isinstance(value, _BINARY):
            return cls.with_origin(bytes(value), OutgoingProperties(message_id, now_ms))
        if isinstance(value, str):  # typed so that Spring AMQP and kombu read text
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
        """The properties as received or to be sent, whatever a handler did to `properties`."""
        return DecodedProperties(self.properties) if self._origin is None else self._origin

    def original(self) -> "Message":
        return self if self._origin is None else Message.with_origin(self.body, self._origin)

    def copied(self, headers: Mapping[str, Any], timestamp: int | None = None) -> "Message":
        """A persistent copy to publish again, with `headers` added (None removes one) and everything else as received.

        `timestamp` is for a message without a timestamp. What a stranger could steer the copy by moves into headers of
        ours: with `expiration` the copy would expire in the dead-letter queue, the broker refuses a foreign `user_id`
        and a direct reply, and with `CC` or `BCC` the copy would go to further queues, whose confirm would count. The
        broker takes away one `BCC`, and delivers a second.
        """
        origin = self.origin
        old = origin.to_pika()
        direct = old.reply_to == DIRECT_REPLY
        moved = {EXPIRATION: old.expiration, USER_ID: old.user_id, REPLY_TO: old.reply_to if direct else None}
        own = {**headers, **{key: value for key, value in moved.items() if value is not None}}
        changes = {
            "expiration": None,
            "user_id": None,
            "delivery_mode": PERSISTENT,
            "timestamp": timestamp if old.timestamp is None else old.timestamp,
            **({"reply_to": None} if direct else {}),
        }
        return Message.with_origin(self.body, origin.changed(own, ROUTING, **changes))

    @property
    def properties(self) -> BasicProperties:
        """The AMQP properties as pika's type, for the handler to change."""
        if self._own is None:  # threads that come here at once get equal properties
            _set_own(self, self.origin.to_pika())
        return self._own  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """The body as UTF-8 text. Raises UnicodeDecodeError."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises BodyError (a ValueError), which parks the message unless the handler catches it."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested too deeply
            raise BodyError(f"the body is no JSON: {error}") from None

    def parse(self, model: type[T]) -> T:
        """The body, from JSON, as `model`: whatever pydantic validates (a model, a dataclass, `list[int]`).

        Raises BodyError (a ValueError), which names the wrong fields and not their values, and parks the message unless
        the handler catches it. Raises pydantic's own errors for a `model` that it cannot validate.
        """
        try:
            parsed: T = _adapter(model).validate_json(self.body)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            named = [f"{'.'.join(map(str, each['loc'])) or 'the body'}: {each['msg']}" for each in wrong]
            more = f"; and {len(named) - MAX_WRONG_FIELDS} more" if len(named) > MAX_WRONG_FIELDS else ""
            raise BodyError("; ".join(named[:MAX_WRONG_FIELDS]) + more) from None
        return parsed

    @property
    def message_id(self) -> str | None:
        """Equal for all copies of a message, to recognise duplicates; None if a foreign publisher set none."""
        return self.origin.message_id if self._own is None else self._own.message_id

    @property
    def content_type(self) -> str | None:
        return self.properties.content_type

    @property
    def headers(self) -> Mapping[str, Any]:
        """All headers, ours (`mq-...`) and foreign."""
        return self.properties.headers or {}

    @property
    def attempt(self) -> int:
        """1 at the first attempt to handle the message, one more after each failed attempt."""
        attempt = self.headers.get(ATTEMPT, 1)
        return max(1, attempt) if isinstance(attempt, int) else 1

    @property
    def age(self) -> float | None:
        """Seconds since `timestamp`, by two machines' clocks; None without a timestamp, or with one in milliseconds."""
        return self.age_at(time.time())

    def age_at(self, now: float) -> float | None:
        """`age` at `now`, a value of `time.time()`."""
        since = (self.origin if self._origin is None else self._origin).published_ms()
        age = -math.inf if since is None else now - since / 1000
        return age if age >= 0.0 else 0.0 if age >= -CLOCK_SKEW_MAX else None


# Setters that pass __setattr__ by. Read-only properties would cost more: the body is read seven times a message.
_set_body, _set_origin, _set_own = (vars(Message)[name].__set__ for name in ("body", "_origin", "_own"))
