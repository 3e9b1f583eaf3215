"""Outbox: what a publisher holds, waiting to be sent or sent and waiting for its confirm. Pure; knows no pika."""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from common.message import Message

T = TypeVar("T")

WINDOW_BYTES = 16 * 1024 * 1024  # of bodies; a window of large messages must not fill the memory


class Publication(NamedTuple, Generic[T]):
    """A message on its way to the queue `routing_key`; `token` is its owner's name for it."""

    routing_key: str
    message: Message
    token: T


class Sent(NamedTuple, Generic[T]):
    """A publication, when it was sent (`time.monotonic()`), and its place among all that were ever put in."""

    publication: Publication[T]
    at: float
    number: int


class Unconfirmed(Generic[T]):
    """Published entries of one channel in the order of their tags, which count from 1."""

    def __init__(self) -> None:
        self._entries: deque[T | None] = deque()  # None: confirmed before the head was; the head is never None
        self._first_tag = 1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def oldest(self) -> T | None:
        """The entry that waits longest."""
        return self._entries[0] if self._entries else None

    @property
    def overtaken(self) -> bool:
        """Whether later entries were confirmed before it."""
        return self._count < len(self._entries)

    def add(self, entry: T) -> None:
        """Note the next publish."""
        self._entries.append(entry)
        self._count += 1

    def settle(self, tag: int, *, multiple: bool) -> list[T]:
        """Take out the entry of `tag`, or with `multiple` all up to it, in order. Unknown tags give nothing."""
        entries = self._entries
        index = len(entries) - 1 if multiple and tag == 0 else tag - self._first_tag  # tag 0: all there are
        if not 0 <= index < len(entries):
            return []
        if not multiple and index > 0:
            taken = [entries[index]]
            entries[index] = None
        else:
            taken = [entries.popleft() for _ in range(index + 1)]
            self._first_tag += index + 1
            while entries and entries[0] is None:
                entries.popleft()
                self._first_tag += 1
        settled = [entry for entry in taken if entry is not None]
        self._count -= len(settled)
        return settled

    def drain(self) -> list[T]:
        """Take out all, in order. What is added next is of a new channel, whose tags count from 1 again."""
        entries = [entry for entry in self._entries if entry is not None]
        self._entries.clear()
        self._first_tag, self._count = 1, 0
        return entries


class Outbox(Generic[T]):
    """A queue of publications, and those in flight in the order of their tags."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Publication[T]]] = deque()  # by their numbers
        self._numbers = count(1)
        self._number = 0  # of the one that was taken last
        self.flying: Unconfirmed[Sent[T]] = Unconfirmed()
        self._bytes = 0  # of the bodies in flight
        self._waiting_bytes = 0
        self._keep: Callable[[T], bool] = lambda _: True

    def __len__(self) -> int:
        return len(self._waiting) + len(self.flying)

    @property
    def sent_at(self) -> float | None:
        """When the oldest in flight was sent."""
        oldest = self.flying.oldest
        return oldest.at if oldest else None

    @property
    def full(self) -> bool:
        """Whether what it holds, sent or not, is as many bytes as it should hold."""
        return self._bytes + self._waiting_bytes >= WINDOW_BYTES

    def put(self, publications: Iterable[Publication[T]]) -> None:
        """Behind all that waits."""
        for publication in publications:
            self._waiting.append((next(self._numbers), publication))
            self._waiting_bytes += len(publication.message.body)

    def next(self, limit: int) -> Publication[T] | None:
        """Take the next to send while fewer than `limit` are in flight. `sent` or nothing must follow."""
        if self._waiting and len(self.flying) < limit and self._bytes < WINDOW_BYTES:
            self._number, publication = self._waiting.popleft()
            self._waiting_bytes -= len(publication.message.body)
            return publication
        return None

    def sent(self, publication: Publication[T], now: float) -> None:
        """It is on its way."""
        self.flying.add(Sent(publication, now, self._number))
        self._bytes += len(publication.message.body)

    def settle(self, tag: int, *, multiple: bool) -> list[Sent[T]]:
        """Take out what the broker speaks of."""
        settled = self.flying.settle(tag, multiple=multiple)
        for sent in settled:
            self._bytes -= len(sent.publication.message.body)
        return settled

    def drain(self) -> list[Sent[T]]:
        """Take out all that is in flight: the channel is gone."""
        self._bytes = 0
        return self.flying.drain()

    def give_back(self, entries: list[Sent[T]]) -> None:
        """Before all that was not sent yet, each in its old place: they are sent again, if they are to be kept."""
        front = [(sent.number, sent.publication) for sent in entries if self._keep(sent.publication.token)]
        self._waiting_bytes += sum(len(publication.message.body) for _, publication in front)
        last = max((number for number, _ in front), default=0)
        while self._waiting and self._waiting[0][0] < last:
            front.append(self._waiting.popleft())
        self._waiting.extendleft(sorted(front, key=itemgetter(0), reverse=True))

    def discard(self, keep: Callable[[T], bool]) -> None:
        """Drop what waits and has no token to `keep`; and what is in flight, once it is given back."""
        self._keep = keep
        self._waiting = deque(each for each in self._waiting if keep(each[1].token))
        self._waiting_bytes = sum(len(publication.message.body) for _, publication in self._waiting)
