"""Properties: the AMQP properties of a message, before it is sent and after it was received."""

from collections.abc import Collection, Mapping
from copy import copy, deepcopy
from typing import Any, Final, NamedTuple, Protocol

from pika import BasicProperties

PERSISTENT: Final = 2
MILLISECONDS: Final = "mq-ms"  # our header: the milliseconds that AMQP's timestamp in seconds leaves out
NAMES: Final = (  # the fields of class `basic`, in the order of AMQP 0-9-1
    *("content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id", "reply_to"),
    *("expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id"),
)


class Properties(Protocol):
    """Immutable. `common.wire` has one more implementation, which keeps the received bytes."""

    def __len__(self) -> int:
        """The memory they take, in bytes, about."""

    @property
    def message_id(self) -> str | None: ...

    def chosen_headers(self, names: Collection[str]) -> Mapping[str, Any]:
        """Those of these `names` that are there."""

    def to_pika(self) -> BasicProperties:
        """A new object of pika's at each call, which the caller may change."""

    def published_ms(self) -> int | None:
        """When published, in milliseconds since the epoch: `timestamp` and our header. None without a timestamp."""

    def changed(self, headers: Mapping[str, Any], renamed: Mapping[str, str], **fields: Any) -> "Properties":
        """A copy with these `fields`, with `headers` added (None removes one) and headers `renamed` (old to new)."""


class OutgoingProperties(NamedTuple):
    """The properties of a message made by the producer: persistent, with an id and a date.

    Few, to stay within 64 bytes: with more, RabbitMQ 4.3 spends 15 to 30 % more CPU time on a delivery (measured),
    because Erlang keeps a longer binary outside of a process's heap and counts references to it
    (https://www.erlang.org/doc/system/binaryhandling.html).
    """

    message_id: str
    milliseconds: int  # when published, since the epoch
    content_type: str | None = None
    content_encoding: str | None = None  # only with a content type

    def to_pika(self) -> BasicProperties:
        return BasicProperties(
            content_type=self.content_type,
            content_encoding=self.content_encoding,
            headers={MILLISECONDS: self.milliseconds % 1000},
            delivery_mode=PERSISTENT,
            message_id=self.message_id,
            timestamp=self.milliseconds // 1000,
        )

    def chosen_headers(self, names: Collection[str]) -> Mapping[str, Any]:
        return {MILLISECONDS: self.milliseconds % 1000} if MILLISECONDS in names else {}

    def published_ms(self) -> int:
        return self.milliseconds

    def changed(self, headers: Mapping[str, Any], renamed: Mapping[str, str], **fields: Any) -> Properties:
        return DecodedProperties(self.to_pika()).changed(headers, renamed, **fields)


class DecodedProperties:
    """Properties that pika decoded, or that user code made."""

    __slots__ = ("_properties",)

    def __init__(self, properties: BasicProperties) -> None:
        self._properties = properties

    def __len__(self) -> int:
        return len(str(self._properties.headers))  # the headers are the largest part

    @property
    def message_id(self) -> str | None:
        return self._properties.message_id

    def chosen_headers(self, names: Collection[str]) -> Mapping[str, Any]:
        headers = self._properties.headers or {}
        return {name: headers[name] for name in names if name in headers}

    def to_pika(self) -> BasicProperties:
        made = copy(self._properties)
        made.headers = deepcopy(made.headers)
        return made

    def published_ms(self) -> int | None:
        return published_ms(self._properties.timestamp, self._properties.headers)

    def changed(self, headers: Mapping[str, Any], renamed: Mapping[str, str], **fields: Any) -> Properties:
        old = self.to_pika()
        came: Mapping[str, Any] = old.headers or {}
        gone = {*headers, *(renamed[key] for key in came.keys() & renamed.keys())}
        kept = {renamed.get(key, key): value for key, value in came.items() if key in renamed or key not in gone}
        put = {key: value for key, value in headers.items() if value is not None}
        all_fields = {name: getattr(old, name) for name in NAMES} | fields | {"headers": kept | put}
        return DecodedProperties(BasicProperties(**all_fields))


def received(properties: Any) -> Properties:
    """The properties that a callback of pika's was given: pika's type, or one of `common.wire`."""
    return DecodedProperties(properties) if isinstance(properties, BasicProperties) else properties


def published_ms(timestamp: object, headers: object) -> int | None:
    """`Properties.published_ms` of these two fields, whatever a foreign publisher wrote into them."""
    if not isinstance(timestamp, int) or isinstance(timestamp, bool):
        return None
    part = headers.get(MILLISECONDS) if isinstance(headers, dict) else None
    return timestamp * 1000 + (part if isinstance(part, int) and 0 <= part < 1000 else 0)
