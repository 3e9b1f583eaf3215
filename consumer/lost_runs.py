"""LostRuns: handlers that go on though the channel of their delivery is gone. I/O thread only, but for `reasons`.

The broker delivers their messages again. In this process such a redelivery waits, and takes the outcome of the run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import structlog

from common.amqp.errors import BrokerError
from common.amqp.plain import consumer_timeout
from common.amqp.topology import DELIVERY_LIMIT
from common.message import Message
from common.observe.logs import names
from common.properties import NAMES
from common.settings.types import format_duration
from consumer import metrics
from consumer.copies import BROKERS_COUNTS
from consumer.delivery import Delivery, Running
from consumer.outcome import Forwarded, Outcome, Park
from consumer.settle import Done

# During one run; then its message is parked. Brokers before 4.3 count a handler over their consumer timeout against the
# delivery limit and park its message after as many; 4.3 does not count it, and would deliver it for ever.
MAX_LOSSES = DELIVERY_LIMIT
MAX_KEPT = 1000  # outcomes that no redelivery has taken: 32 bytes and an error each, or what they forward
MAX_FORWARDED_BYTES = 16 * 1024  # of one that is kept; with more the handler runs again

log = structlog.get_logger()


@dataclass(slots=True)
class LostRun:
    """One handler. `redelivery` is the delivery on the current channel that waits for it."""

    message: Message
    identity: bytes
    started: float  # `time.monotonic()`
    losses: int = 0
    reason: str = ""  # of the last loss
    timed_out: bool = False  # by the broker, at any of them
    redelivery: Delivery | None = None
    parked: bool = False


def identify(message: Message) -> bytes:
    """A hash of all that the publisher wrote: an id may be missing, or be that of several messages."""
    properties = message.original().properties
    fields = [getattr(properties, name) for name in NAMES if name != "headers"]
    headers = (properties.headers or {}).items()
    written = sorted((name, repr(value)) for name, value in headers if name not in BROKERS_COUNTS)
    return sha256(repr((fields, written)).encode(errors="backslashreplace") + b"\0" + message.body).digest()


class LostRuns:
    """`active` is True while deliveries must be looked at.

    A run is the outcome of one delivery at most, so of two equal messages without an id both have their run.
    """

    def __init__(self, handler_timeout: float) -> None:
        both = {"handler_timeout": handler_timeout, "consumer_timeout": consumer_timeout(handler_timeout)}
        self._limits = {name: format_duration(seconds) for name, seconds in both.items()}
        self._runs: dict[tuple[object, int], LostRun] = {}  # by channel and tag of the delivery that was lost
        self._kept: dict[bytes, tuple[Outcome, float]] = {}  # how runs ended, and their seconds
        self.active = False

    def lost(self, running: Iterable[Running], broker_error: BrokerError, now: float) -> None:
        """The channel is gone; `running` are all handlers that run, `now` is `time.monotonic()`."""
        self.active, timed_out = True, "consumer_timeout" in str(broker_error)
        self._note(running)
        for run in self._runs.values():
            run.losses, run.redelivery, run.reason = run.losses + 1, None, broker_error.text
            run.timed_out |= timed_out
            metrics.CUT_BY["timeout" if timed_out else "connection"].inc()
            if timed_out:
                why = {"handler_seconds": round(now - run.started), "losses": run.losses, "reason": run.reason}
                event = "the broker took a message from its running handler"
                log.warning(event, **names(run.message), **self._limits, **why)

    def runs(self, delivery: Delivery) -> bool:
        """Whether a handler runs for this redelivery, or an equal one."""
        identity = identify(delivery.message) if delivery.redelivered and self._runs else None
        return any(run.identity == identity for run in self._runs.values())

    def claim(
        self, deliveries: list[Delivery], running: Iterable[Running], now: float
    ) -> tuple[list[Delivery], list[Done]]:
        """Those that a handler is to get, and what is decided at once; what is in neither waits for its run."""
        channel = deliveries[0].channel
        # A worker may have taken its delivery just before the loss, and noted it behind it.
        self._note(each for each in running if each[1].channel is not channel)
        others: list[Delivery] = []
        done: list[Done] = []
        for delivery in deliveries:
            identity = identify(delivery.message) if delivery.redelivered and (self._runs or self._kept) else None
            equal = (run for run in self._runs.values() if run.identity == identity and not run.redelivery)
            if run := next(equal, None):
                run.redelivery, run.parked = delivery, run.losses >= MAX_LOSSES
                if run.parked:
                    done.append((delivery, Park(f"lost {run.losses} times; {self._why(run, now)}"), now - run.started))
            elif identity in self._kept:
                done.append((delivery, *self._kept.pop(identity)))
            else:
                others.append(delivery)
        self.active = bool(self._runs or self._kept)
        return others, done

    def ended(self, stale: Iterable[Done]) -> list[Done]:
        """What handlers of lost channels ended with, for the redeliveries that wait."""
        taken: list[Done] = []
        for delivery, outcome, seconds in stale:
            run = self._runs.pop((delivery.channel, delivery.tag), None)
            if run and run.redelivery:
                taken += [(run.redelivery, outcome, seconds)] * (not run.parked)
            # An equal message without an id may be another one, published behind the end of the run.
            elif delivery.original.message_id and not (
                isinstance(outcome, Forwarded) and outcome.size > MAX_FORWARDED_BYTES
            ):
                self._kept[run.identity if run else identify(delivery.original)] = outcome, seconds
                if len(self._kept) > MAX_KEPT:
                    del self._kept[next(iter(self._kept))]
                self.active = True
        return taken

    def reasons(self, now: float) -> list[str]:
        """Why the broker should wait longer, or the handler be quicker (http thread)."""
        runs = [run for run in list(self._runs.values()) if run.timed_out]
        return [f"message {run.message.message_id}: consumer timeout: {self._why(run, now)}" for run in runs]

    def _note(self, running: Iterable[Running]) -> None:
        for started, delivery in running:
            if (key := (delivery.channel, delivery.tag)) not in self._runs:
                self._runs[key] = LostRun(delivery.original, identify(delivery.original), started)

    def _why(self, run: LostRun, now: float) -> str:
        handler, broker = self._limits.values()
        limits = f"CONSUMER_HANDLER_TIMEOUT is {handler}, and of the broker the consumer asks for {broker}"
        return f"its handler has run for {now - run.started:.0f}s; {limits}; last reason: {run.reason}"
