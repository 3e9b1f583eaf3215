"""Source reader: the source's thread. A source may block as long as it likes; the I/O thread never waits for it."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Thread
from typing import NamedTuple

import structlog

from common.amqp.inflight import Publication
from common.message import Message
from common.plugins import ConfigError
from common.process import fork
from common.process.rate import RateLimiter, ahead
from producer.follower import Item
from producer.settings import ProducerSettings

BUFFER_BYTES = 1024 * 1024  # bodies held; with the 4 MiB of a thousand of 4 KiB a process took 7 MiB more
STOP_WAIT_SECONDS = 0.5  # the longest a stop goes unnoticed; and a source is waited for then
PLACE_MAX = 100  # characters; a value may contain itself
_LISTS = (list, tuple)
log = structlog.get_logger()


class Unsendable(NamedTuple):
    """Stands in a message's place, for `reason`; `message_id` is what it has, or would have had."""

    reason: str
    message_id: str | None
    token: int
    size: int = 0


def place_of_error(value: object) -> str:
    """Where in `value` stands what JSON cannot hold, such as `['rows'][3]`; empty for `value` itself."""
    place = ""
    with suppress(Exception):  # nor need the user's value be fit to be looked at
        while len(place) < PLACE_MAX:
            pairs = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, _LISTS) else ())
            for key, child in pairs:
                try:
                    json.dumps(child, allow_nan=False)
                except RecursionError:  # the depth is what is wrong, and each look at it may take 0.2 s
                    return f"{place}[{key!r:.60}]"
                except Exception:  # noqa: BLE001 - as `Message.of` met it
                    place, value = f"{place}[{key!r:.60}]", child
                    break
            else:
                break
    return place


def text_of(error: Exception) -> str:
    """What the user's `error` says, if it can say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return "an error without a text"


class SourceReader:
    """Fills a bounded buffer from the source thread; `take` empties it from the I/O thread.

    `wake` is called in the source thread when there is something to look at after an empty `take`.
    """

    def __init__(
        self, source: Callable[[], Iterable[Item]], wake: Callable[[], None], settings: ProducerSettings, name: str
    ) -> None:
        """Hold at most PRODUCER_WINDOW messages. `name` and an item's position make the id of its message."""
        self.error: BaseException | None = None  # what the source died of; written by the source thread
        self._source, self._wake, self._name = source, wake, name
        self._queue, self._max_body, self._count = settings.mq_ch, settings.mq_max_body, settings.producer_count
        self._skip = settings.producer_bad_item == "refuse"
        rate = settings.producer_rate or (1.0 if settings.producer_source == "heartbeat" else None)
        self._size = ahead(rate, settings.producer_window)
        self._limiter = RateLimiter(rate) if rate else None
        # The source thread appends and counts what it put; the I/O thread takes from the other end and counts that.
        self._buffer: deque[Publication[int] | Unsendable] = deque()
        self._put_bytes = self._taken_bytes = 0
        self._in_hand = False  # an item left the source and is not in the buffer yet; written by the source thread
        self._asleep = True  # the I/O thread found too little and waits for `wake`
        self._room, self._stop = Event(), Event()
        self._leave_at = 0.0
        self._thread = Thread(target=self._run, name="source", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Read no further. A source that is asked already has STOP_WAIT_SECONDS to give; then it is left behind."""
        if not self._stop.is_set():
            self._leave_at = time.monotonic() + STOP_WAIT_SECONDS
        self._stop.set()
        self._room.set()

    def fail(self, error: BaseException) -> None:
        """End the source for `error`, which is told already, as if it had raised it."""
        self.error = self.error or error
        self.stop()

    @property
    def ended(self) -> bool:
        """Whether all that will ever come is in the buffer."""
        left = self._stop.is_set() and not self._in_hand and time.monotonic() > self._leave_at
        return left or not self._thread.is_alive()

    def __len__(self) -> int:
        return len(self._buffer)

    def take(self, most: int) -> list[Publication[int] | Unsendable]:
        """Up to `most`, in the source's order; the tokens are its positions. I/O thread only."""
        buffer = self._buffer
        batch = [buffer.popleft() for _ in range(min(most, len(buffer)))]
        self._taken_bytes += sum([each.size for each in batch])
        self._asleep = len(batch) < most
        if len(buffer) <= self._size // 2:
            self._room.set()
        if self._asleep and buffer:  # it came between the two looks
            self._wake()
        return batch

    def _run(self) -> None:
        try:
            items = self._source()
            for number, item in enumerate(items, 1):
                if fork.child:
                    break
                self._in_hand = True
                if self._limiter and (delay := self._limiter.wait(time.monotonic())):
                    self._stop.wait(delay)
                self._put(self._made(item))
                self._in_hand = False
                if number == self._count or self._stop.is_set():
                    break
            self._in_hand = True  # a stop waits for what the source does at its end
            if close := getattr(items, "close", None):
                close()
        except BaseException as error:  # the user's code: even SystemExit must not lose what was taken
            self.error = ConfigError(f"PRODUCER_SOURCE: {error}") if isinstance(error, ConfigError) else error
            if not fork.child and self.error is error:
                log.error("the source failed", exc_info=error)
        if fork.child:
            fork.end_child(self.error)
        self._wake()

    def _made(self, item: Item) -> Publication[int] | Unsendable:
        message_id = f"{self._name}-{item.position}"
        if isinstance(item.value, Exception):
            return Unsendable(text_of(item.value), message_id, item.position)
        try:
            publication = Publication(self._queue, Message.of(item.value, message_id), item.position)
        except Exception as error:  # the user's value, which may raise anything
            at = (place := place_of_error(item.value)) and f", at {place}"
            said = f"item {item.position} of the source{at}: {type(error).__name__}: {text_of(error):.300}"
            if self._skip:
                return Unsendable(said, message_id, item.position)
            raise TypeError(f"{said} (PRODUCER_BAD_ITEM=refuse leaves it out and goes on)") from error
        if publication.size <= self._max_body:
            return publication
        reason = f"a body of {publication.size} bytes is over MQ_MAX_BODY ({self._max_body})"
        return Unsendable(reason, publication.message.message_id, item.position)

    def _put(self, made: Publication[int] | Unsendable) -> None:
        while self._full() and not self._stop.is_set():
            self._room.clear()
            if self._full():  # still, or there was room before the clearing
                self._room.wait(STOP_WAIT_SECONDS)
        self._put_bytes += made.size
        self._buffer.append(made)
        if self._asleep:
            self._asleep = False
            self._wake()

    def _full(self) -> bool:
        return len(self._buffer) >= self._size or self._put_bytes - self._taken_bytes > BUFFER_BYTES
