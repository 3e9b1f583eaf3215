"""The consumer's settings."""

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator

from common.settings.shared import Settings
from common.settings.types import HANDLER_TIMEOUT, RETRY_DELAYS, Delays, Duration, Plugin, parse_duration


def parse_off(value: object) -> object:
    """None for `off`."""
    return None if value == "off" else value


def parse_idle(text: str | float | None) -> float | None:
    """Seconds, or None for `off`. Raises ValueError."""
    return None if text is None or text == "off" else parse_duration(text)


class ConsumerSettings(Settings):
    """Take messages from a RabbitMQ queue and hand each to a handler, at least once.

    `consumer verify` proves a deployment instead; `consumer dead-letters` shows, replays or deletes what was parked.
    """

    consumer_handler: Plugin = Field(
        "log",
        description="log (the first 200 characters of each body too), append:PATH, or package.module:callable",
        examples=["append:/data/out.txt"],
    )
    consumer_workers: Annotated[int, Field(ge=1, le=256)] = Field(
        1,
        description="handler threads; with 1 the order holds, and the handler need not be thread-safe",
        examples=["8"],
    )
    consumer_prefetch: Annotated[int, Field(ge=1, le=2000)] = Field(
        1536,
        description="deliveries held and not yet settled, at most; fewer while handlers are slow or messages large",
        examples=["100"],
    )
    consumer_handler_timeout: Annotated[Duration, Field(gt=0)] = Field(
        HANDLER_TIMEOUT, description="a handler that runs longer makes /livez fail", examples=["5m"]
    )
    consumer_retry_delays: Delays = Field(
        RETRY_DELAYS,
        description="a failed attempt comes again after these, one after the other, then is parked; off is at once",
        examples=["5s,30s,5m,20m,40m"],
    )
    consumer_postpone_max_age: Annotated[Duration, Field(gt=0)] = Field(
        86400.0, description="a message that is postponed for longer is parked", examples=["2h"]
    )
    consumer_breaker: Annotated[int | None, Field(ge=1, le=1000), BeforeValidator(parse_off)] = Field(
        10,
        description="failures of so many messages in a row are an outage: they are no attempts, and one message at a "
        "time is tried until one succeeds; off",
        examples=["10"],
        json_schema_extra={"unset": "off"},
    )
    consumer_idle_exit: Annotated[float | None, PlainValidator(parse_idle)] = Field(
        None,
        description="exit 0 when nothing came for so long and nothing is in flight",
        examples=["10s"],
        json_schema_extra={"unset": "off"},
    )
