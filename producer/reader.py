"""Feed: the source's thread. A source may block for as long as it likes; the I/O thread never waits for it."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import NamedTuple

import structlog

from common.message import Message
from producer.source import Item

BYTES = 1024 * 1024  # bodies held; with the 4 MiB of a thousand of 4 KiB a process took 7 MiB more
STALL = 0.5  # seconds; the longest a stop goes unnoticed, and a source is waited for then
log = structlog.get_logger()


class Pace:
    """A steady rate that does not hurry after a stop: at most one second's worth is caught up."""

    def __init__(self, rate: float | None) -> None:
        """`rate` is in messages a second; None is as fast as it goes."""
        self._interval = 1 / rate if rate else 0.0
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next message may go, which counts as gone then."""
        if not self._interval:
            return 0.0
        self._due = max(self._due + self._interval, now - 1.0) if self._due else now
        return max(0.0, self._due - now)


class UnsendableError(Exception):
    """Stands in a message's place; `message_id` is what it would have had."""

    def __init__(self, why: str, message_id: str) -> None:
        super().__init__(why)
        self.message_id = message_id


class Entry(NamedTuple):
    """What the source gave: a message ready to publish, or why there is none; and the position."""

    value: Message | UnsendableError
    position: int | None
    size: int


class Feed:
    """Fills a bounded buffer from the source thread; `take` empties it from the I/O thread.

    `wake` is called in the source thread when there is something to look at after an empty `take`.
    """

    def __init__(
        self,
        source: Callable[[], Iterable[Item]],
        wake: Callable[[], None],
        pace: Pace,
        *,
        size: int,
        max_body: int,
        most: int | None,
        name: str,
    ) -> None:
        """Hold at most `size` messages of at most `max_body` bytes; take at most `most` from the source (None: all).

        `name` and a message's position, or its number where there is none, make its id.
        """
        self.error: BaseException | None = None  # what the source died of; written by the source thread
        self._source, self._wake, self._pace = source, wake, pace
        self._size, self._max_body, self._most = size, max_body, most
        self._buffer: deque[Entry] = deque()  # the source thread appends, the I/O thread takes from the other end
        self._put_bytes = self._taken_bytes = 0  # the first written by the source thread, the second by the I/O thread
        self._in_hand = False  # an item left the source and is not in the buffer yet; written by the source thread
        self._asleep = True  # the I/O thread found too little and waits for `wake`
        self._room, self._stop = Event(), Event()
        self._leave_at = 0.0
        self._name = name
        self._thread = Thread(target=self._run, name="source", daemon=True)

    def start(self) -> None:
        """Begin to take from the source."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more from the source; what is taken stays to be fetched.

        A source that is asked already gets STALL to give; one that blocks longer is left behind.
        """
        if not self._stop.is_set():
            self._leave_at = time.monotonic() + STALL
        self._stop.set()
        self._room.set()

    @property
    def ended(self) -> bool:
        """Whether all that will ever come is in the buffer."""
        left = self._stop.is_set() and not self._in_hand and time.monotonic() > self._leave_at
        return left or not self._thread.is_alive()

    def __len__(self) -> int:
        return len(self._buffer)

    def take(self, most: int) -> list[Entry]:
        """Up to `most` entries in the source's order. I/O thread only."""
        buffer = self._buffer
        batch = [buffer.popleft() for _ in range(min(most, len(buffer)))]
        self._taken_bytes += sum(entry.size for entry in batch)
        self._asleep = len(batch) < most
        if len(buffer) <= self._size // 2:
            self._room.set()
        if self._asleep and buffer:  # it came between the two looks
            self._wake()
        return batch

    def _run(self) -> None:
        taken = 0
        try:
            for item in self._source():
                self._in_hand = True
                taken += 1
                self._put(item, taken)
                self._in_hand = False
                if taken == self._most or self._stop.is_set():
                    break
        except BaseException as error:  # the user's code: even SystemExit must not lose what was taken
            self.error = error
            log.error("the source failed", exc_info=error)
        self._in_hand = False
        self._wake()

    def _put(self, item: Item, number: int) -> None:
        delay = self._pace.wait(time.monotonic())
        if delay:
            self._stop.wait(delay)
        message_id = f"{self._name}-{number if item.position is None else item.position}"
        if isinstance(item.value, Exception):
            entry = Entry(UnsendableError(str(item.value), message_id), item.position, 0)
        else:
            message = Message.of(item.value, message_id)
            length = len(message.body)
            if length > self._max_body:
                why = f"a body of {length} bytes is over MQ_MAX_BODY ({self._max_body})"
                entry = Entry(UnsendableError(why, message.message_id or ""), item.position, 0)
            else:
                entry = Entry(message, item.position, length)
        while self._full() and not self._stop.is_set():
            self._room.clear()
            if self._full():
                self._room.wait(STALL)
        self._put_bytes += entry.size
        self._buffer.append(entry)
        if self._asleep:
            self._asleep = False
            self._wake()

    def _full(self) -> bool:
        return len(self._buffer) >= self._size or self._put_bytes - self._taken_bytes > BYTES
