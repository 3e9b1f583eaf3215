"""The copies that a consumer publishes before it acknowledges the original. Pure."""

from common.message import ATTEMPT, FIRST_ERROR, LAST_ERROR, QUEUE, Message
from consumer.delivery import DELIVERY_COUNT
from consumer.outcome import Park, Postponed, Retry

REPLAYS = "mq-replays"
POSTPONED = "mq-postponed"  # when it was postponed first; in seconds since 1970
MAX_COUNT = 2**31 - 1  # of our counts in a header; a foreign value may be more than a header can hold
BROKERS_COUNTS = {DELIVERY_COUNT: None, "x-acquired-count": None}  # true of the original alone
# The broker's, of a message that it parked itself. On RabbitMQ 3.10 a copy with them never leaves its retry queue: it
# would go to a queue that these name already, which the broker takes for a circle.
DEATHS = dict.fromkeys(
    ["x-death", *(f"x-{which}-death-{what}" for which in ("first", "last") for what in ("exchange", "queue", "reason"))]
)


def failed_copy(message: Message, outcome: Retry | Postponed | Park, queue: str, now: float) -> Message:
    """A copy to try again or park, with its attempt, first and last error, `queue`, and a date (`now`, in seconds)."""
    return message.copied(
        {
            **BROKERS_COUNTS,
            **({} if isinstance(outcome, Park) else DEATHS),
            **({POSTPONED: int(postponed_since(message, now))} if isinstance(outcome, Postponed) else {}),
            # Leave an existing header untouched: a foreign value may be decodable and not encodable.
            **({} if FIRST_ERROR in message.headers else {FIRST_ERROR: outcome.error}),
            ATTEMPT: min(message.attempt + isinstance(outcome, Retry), MAX_COUNT),
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
    """How often it was replayed from the dead-letter queue."""
    count = message.headers.get(REPLAYS, 0)
    return count if isinstance(count, int) else 0


def postponed_since(message: Message, now: float) -> float:
    """When it was postponed first, in seconds since 1970; `now` if never, or for a foreign value that is no time."""
    since = message.headers.get(POSTPONED)
    return float(since) if isinstance(since, int) and 0 < since <= now else now
