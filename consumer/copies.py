"""The copies that a consumer publishes before it acknowledges the original. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from common.amqp.topology import Topology
from common.message import ATTEMPT, FIRST_ERROR, LAST_ERROR, MOVED, QUEUE, Message
from common.properties import MILLISECONDS
from consumer.delivery import DELIVERY_COUNT
from consumer.outcome import Park, Postponed, Retry

REPLAYS = "mq-replays"
SHORTER = (((FIRST_ERROR, LAST_ERROR), 60), ((LAST_ERROR,), 20))  # characters of errors that find little room
POSTPONED = "mq-postponed"  # when it was postponed first; in seconds since 1970
MAX_COUNT = 2**31 - 1  # of our counts in a header; a foreign value may be more than a header can hold
BROKERS_COUNTS = {DELIVERY_COUNT: None, "x-acquired-count": None}  # true of the original alone
# The broker's, of a message that it parked itself. On RabbitMQ 3.10 a copy with them never leaves its retry queue: it
# would go to a queue that these name already, which the broker takes for a circle.
DEATHS = dict.fromkeys(
    ["x-death", *(f"x-{which}-death-{what}" for which in ("first", "last") for what in ("exchange", "queue", "reason"))]
)


def attempt_of(message: Message, topology: Topology) -> int:
    """The attempt that a message came for; by its retry queue, where its headers left no room for ours."""
    deaths = message.headers.get("x-death")
    if ATTEMPT in message.headers or not isinstance(deaths, list) or not deaths or not isinstance(deaths[0], dict):
        return message.attempt
    queues = [topology.name, *map(topology.retry, topology.delays)]
    came_from = deaths[0].get("queue")
    # Of equal delays the last: too few attempts, and not attempts for ever.
    return max((place for place, queue in enumerate(queues, 1) if queue == came_from), default=1)


def failed_copy(
    message: Message, outcome: Retry | Postponed | Park, queue: str, now: float, attempt: int | None = None
) -> Message:
    """A copy to try again or park, with its attempt, first and last error, `queue`, and a date (`now`, in seconds)."""
    return message.copied(
        {
            **BROKERS_COUNTS,
            **({} if isinstance(outcome, Park) else DEATHS),
            **({POSTPONED: int(postponed_since(message, now))} if isinstance(outcome, Postponed) else {}),
            # Leave an existing header untouched: a foreign value may be decodable and not encodable.
            **({} if FIRST_ERROR in message.headers else {FIRST_ERROR: outcome.error}),
            ATTEMPT: min((attempt or message.attempt) + isinstance(outcome, Retry), MAX_COUNT),
            LAST_ERROR: outcome.error,
            QUEUE: queue,
        },
        int(now),
    )


def fresh_copy(message: Message) -> Message:
    """The message as it is, with the broker's count of its deliveries at 0 again."""
    return message.copied(BROKERS_COUNTS)


def replayed_copy(message: Message) -> Message:
    """The parked message for its queue: the attempts begin anew, the errors stay, the replays are counted."""
    anew = {ATTEMPT: None, POSTPONED: None, REPLAYS: min(replays(message) + 1, MAX_COUNT)}
    return message.copied({**BROKERS_COUNTS, **DEATHS, **anew})


def replays(message: Message) -> int:
    """How often it was replayed from the dead-letter queue; a stranger's negative count is none."""
    count = message.headers.get(REPLAYS, 0)
    return max(0, count) if isinstance(count, int) else 0


def postponed_since(message: Message, now: float) -> float:
    """When it was postponed first, in seconds since 1970; `now` if never, or for a foreign value that is no time."""
    since = message.headers.get(POSTPONED)
    return float(since) if isinstance(since, int) and 0 < since <= now else now


def fitted(message: Message, room: int, *, parked: bool = False) -> Message:
    """A copy of ours with as many of our headers as go into `room` bytes of properties.

    AMQP has one frame for all headers, and a stranger's may fill it. What the original does not need goes first; last
    go the attempt and, of a `parked` message after it, the reason.
    """
    made, steps = message, _leaner(message, parked=parked)
    while properties_size(made) > room and (step := next(steps, None)):
        headers, fields = step
        made = Message.with_origin(made.body, made.origin.changed(headers, {}, **fields))
    return made


def _leaner(message: Message, *, parked: bool) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Headers and fields to change, one step after the other."""
    first, last = ({name: _shortened(message.headers.get(name), length) for name in names} for names, length in SHORTER)
    yield first, {}
    yield dict.fromkeys([QUEUE, FIRST_ERROR, *DEATHS]), {}
    yield last, {}
    yield dict.fromkeys([*MOVED, MILLISECONDS]), {}
    yield {POSTPONED: None}, {}
    for header in (ATTEMPT, LAST_ERROR) if parked else (LAST_ERROR, ATTEMPT):
        yield {header: None}, {}
    yield {REPLAYS: None}, {"timestamp": None, "delivery_mode": None}  # a quorum queue keeps each message on disk


def _shortened(error: object, length: int) -> object:
    return f"{error[:length]}…" if isinstance(error, str) and len(error) > length else error


def properties_size(message: Message) -> int:
    """Bytes of its properties in a frame."""
    origin = message.origin
    if isinstance(origin, bytes):
        return len(origin)
    try:
        return sum(map(len, origin.to_pika().encode()))
    except Exception:  # noqa: BLE001 - pika cannot send it at all, and says so when it is published
        return 0
