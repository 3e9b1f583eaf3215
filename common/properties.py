"""Properties: what AMQP says of a message beside its body, before it is sent and after it came."""

from collections.abc import Mapping
from copy import copy, deepcopy
from typing import Any, Final, NamedTuple, Protocol

from pika import BasicProperties

PERSISTENT: Final = 2
MILLISECONDS: Final = "mq-ms"  # our header: what AMQP's timestamp, which has seconds, leaves out
NAMES: Final = (  # of the fields of class `basic`, in the order of AMQP 0-9-1
    *("content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id", "reply_to"),
    *("expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id"),
)


class Properties(Protocol):
    """Never changed. Beside those below `common.wire` has its own, which keep the bytes of what came."""

    def __len__(self) -> int:
        """How many bytes they keep, about."""

    def to_pika(self) -> BasicProperties:
        """As pika has them, anew at each call: whoever gets them may change them."""

    def published_ms(self) -> int | None:
        """Milliseconds after the epoch by `timestamp`, and by our header if it has that; None without a timestamp."""

    def changed(self, headers: Mapping[str, Any], renamed: Mapping[str, str], **fields: Any) -> "Properties":
        """A copy with other `fields`, `headers` put in (None takes one away), and headers `renamed`."""


class OutgoingProperties(NamedTuple):
    """Those of a producer's message: persistent, named, dated. An encoding only with a type.

    They are kept within 64 bytes: with more, RabbitMQ 4.3 spends 15 to 30 % more CPU time on a delivery (measured),
    since Erlang holds a longer binary outside of a process's heap and counts its references
    (https://www.erlang.org/doc/system/binaryhandling.html).
    """

    message_id: str
    milliseconds: int  # when it was published, after the epoch
    content_type: str | None = None
    content_encoding: str | None = None

    def to_pika(self) -> BasicProperties:
        """As pika has them."""
        return BasicProperties(
            content_type=self.content_type,
            content_encoding=self.content_encoding,
            headers={MILLISECONDS: self.milliseconds % 1000},
            delivery_mode=PERSISTENT,
            message_id=self.message_id,
            timestamp=self.milliseconds // 1000,
        )

    def published_ms(self) -> int:
        """It is known."""
        return self.milliseconds

    def changed(self, headers: Mapping[str, Any], renamed: Mapping[str, str], **fields: Any) -> Properties:
        """As of any others."""
        return DecodedProperties(self.to_pika()).changed(headers, renamed, **fields)


class DecodedProperties:
    """Those that pika has decoded, or that somebody made."""

    __slots__ = ("_properties",)

    def __init__(self, properties: BasicProperties) -> None:
        self._properties = properties

    def __len__(self) -> int:
        return len(str(self._properties.headers))  # the largest part, about

    def to_pika(self) -> BasicProperties:
        """A copy, also of the headers."""
        made = copy(self._properties)
        made.headers = deepcopy(made.headers)
        return made

    def published_ms(self) -> int | None:
        """By their fields."""
        return published_ms(self._properties.timestamp, self._properties.headers)

    def changed(self, headers: Mapping[str, Any], renamed: Mapping[str, str], **fields: Any) -> Properties:
        """By their fields."""
        old = self.to_pika()
        came: Mapping[str, Any] = old.headers or {}
        gone = {*headers, *(renamed[key] for key in came.keys() & renamed.keys())}
        kept = {renamed.get(key, key): value for key, value in came.items() if key in renamed or key not in gone}
        put = {key: value for key, value in headers.items() if value is not None}
        all_fields = {name: getattr(old, name) for name in NAMES} | fields | {"headers": kept | put}
        return DecodedProperties(BasicProperties(**all_fields))


def received(properties: Any) -> Properties:
    """What a callback of pika's was given: plain, or the fence's own."""
    return DecodedProperties(properties) if isinstance(properties, BasicProperties) else properties


def published_ms(timestamp: object, headers: object) -> int | None:
    """As `Properties.published_ms`, of these two fields, whatever a foreign publisher wrote there."""
    if not isinstance(timestamp, int) or isinstance(timestamp, bool):
        return None
    part = headers.get(MILLISECONDS) if isinstance(headers, dict) else None
    return timestamp * 1000 + (part if isinstance(part, int) and 0 <= part < 1000 else 0)
