"""The consumer's settings."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from common.process.rate import Rate
from common.settings.shared import Settings, Timeout, setting
from common.settings.types import HANDLER_TIMEOUT, RETRY_DELAYS, Delays, Duration, Plugin

LONGEST_TURN_SECONDS = 600.0  # a third of the broker's consumer_timeout, in which a delivery is to be settled


def parse_off(value: object) -> object:
    """None for `off`."""
    return None if value == "off" else value


class ConsumerSettings(Settings):
    """Take messages from a RabbitMQ queue and hand each to a handler, at least once.

    `consumer verify` proves a deployment instead; `consumer dead-letters` shows, replays or deletes what was parked.
    """

    consumer_handler: Plugin = setting(
        "log",
        "log (the first 200 characters of each body too), append:PATH, or package.module:callable "
        "(a function, async or not, or a context manager that yields one)",
        "append:/data/out.txt",
    )
    consumer_workers: Annotated[int, Field(ge=1, le=1000)] = setting(
        1,
        "handlers at a time: threads (256 at most), or coroutines; with 1 the order holds, and the handler need not be "
        "thread-safe",
        "8",
    )
    consumer_prefetch: Annotated[int, Field(ge=1, le=2000)] = setting(
        1536,
        "deliveries held and not yet settled, at most; fewer while handlers are slow or messages large",
        "100",
    )
    consumer_rate: Annotated[Rate | None, BeforeValidator(parse_off)] = setting(
        None,
        "messages a second that handlers begin with, at most; no more than those are sent ahead",
        "100",
        unset="off",
    )
    consumer_handler_timeout: Timeout = setting(
        HANDLER_TIMEOUT,
        "a handler that runs longer makes /livez fail; an `async def` one is cancelled, and has failed",
        "5m",
    )
    consumer_retry_delays: Delays = setting(
        RETRY_DELAYS,
        "a failed attempt comes again after these, one after the other, then is parked; off is at once",
        "5s,30s,5m,20m,40m",
    )
    consumer_postpone_max_age: Timeout = setting(86400.0, "a message that is postponed for longer is parked", "2h")
    consumer_breaker: Annotated[int | None, Field(ge=1, le=1000), BeforeValidator(parse_off)] = setting(
        10,
        "failures of so many messages in a row are an outage: they are no attempts, and one message at a time is tried "
        "until one succeeds; off",
        "10",
        unset="off",
    )
    consumer_idle_exit: Annotated[Duration | None, BeforeValidator(parse_off)] = setting(
        None, "exit 0 when nothing came for so long and nothing is in flight", "10s", unset="off"
    )

    def problems(self) -> dict[str, str]:
        """As the base's, and what only the consumer can get wrong."""
        found = super().problems()
        if self.consumer_rate and self.consumer_workers > LONGEST_TURN_SECONDS * self.consumer_rate:
            found["CONSUMER_RATE"] = (
                "is too low for CONSUMER_WORKERS: each handler must get a message in ten minutes, or the broker, which "
                "waits half an hour, takes it back; raise the one or lower the other"
            )
        return found
