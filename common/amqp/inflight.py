"""In-flight: what a publisher holds, waiting to be sent or sent and waiting for its confirm. Pure; knows no pika."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

from common.message import Message

T = TypeVar("T")

WINDOW_BYTES = 16 * 1024 * 1024  # of bodies; a window of large messages must not fill the memory


class Publication(Generic[T]):
    """A message for the queue `routing_key`, which waits, and then is sent; `token` is its owner's name for it.

    `size` is its body's, in bytes; `number` its place among all that were put in; `sent_at` by `time.monotonic()`.
    """

    __slots__ = ("message", "number", "routing_key", "sent_at", "size", "token")

    def __init__(self, routing_key: str, message: Message, token: T) -> None:
        self.routing_key, self.message, self.token = routing_key, message, token
        self.size, self.number, self.sent_at = len(message.body), 0, 0.0


class Loss(NamedTuple, Generic[T]):
    """What the end of a channel leads to: `refused` is given up, and one of `suspects` messages may be the cause."""

    refused: Publication[T] | None
    suspects: int


class InFlight(Generic[T]):
    """Publications that wait, in the order they came, and those that are sent, in the order of their tags."""

    def __init__(self) -> None:
        self.unconfirmed = 0  # of those that are sent
        self._waiting: deque[Publication[T]] = deque()  # by their numbers
        self._numbers = count(1)
        self._sent: deque[Publication[T] | None] = (
            deque()
        )  # None: confirmed before the head was; the head never is None
        self._head_tag = 1  # a channel's tags count from 1
        self._waiting_bytes = self._sent_bytes = 0
        self._keep: Callable[[T], bool] = lambda _: True

    def __len__(self) -> int:
        return len(self._waiting) + self.unconfirmed

    @property
    def sent_at(self) -> float | None:
        """When the oldest unconfirmed one was sent."""
        oldest = self._sent[0] if self._sent else None
        return oldest.sent_at if oldest else None

    @property
    def overtaken(self) -> bool:
        """Whether later ones were confirmed before the oldest."""
        return self.unconfirmed < len(self._sent)

    @property
    def full(self) -> bool:
        """Whether it holds as many bytes as it should, sent or not."""
        return self._waiting_bytes + self._sent_bytes >= WINDOW_BYTES

    def put(self, publications: Iterable[Publication[T]]) -> None:
        """Behind all that waits."""
        for publication in publications:
            publication.number = next(self._numbers)
            self._waiting.append(publication)
            self._waiting_bytes += publication.size

    def take(self, limit: int) -> list[Publication[T]]:
        """The next to send, with which at most `limit` are unconfirmed. `sent` must follow, with those that went."""
        taken: list[Publication[T]] = []
        waiting, room, size = self._waiting, limit - self.unconfirmed, self._sent_bytes
        while waiting and len(taken) < room and size < WINDOW_BYTES:
            taken.append(waiting.popleft())
            size += taken[-1].size
        self._waiting_bytes -= size - self._sent_bytes
        return taken

    def sent(self, publications: Sequence[Publication[T]], now: float) -> None:
        """They have the next tags of the channel."""
        self._sent.extend(publications)
        self.unconfirmed += len(publications)
        for publication in publications:
            publication.sent_at = now
            self._sent_bytes += publication.size

    def confirmed(self, tag: int, *, multiple: bool) -> list[Publication[T]]:
        """The broker has the message of `tag`, or with `multiple` all up to it: they are out, in order."""
        sent = self._sent
        index = len(sent) - 1 if multiple and tag == 0 else tag - self._head_tag  # tag 0: all there are
        if not 0 <= index < len(sent):
            return []
        if index and not multiple:
            taken = [sent[index]]
            sent[index] = None
        else:
            taken = [sent.popleft() for _ in range(index + 1)]
            while sent and sent[0] is None:
                taken.append(sent.popleft())
            self._head_tag += len(taken)
        out = [publication for publication in taken if publication]
        self.unconfirmed -= len(out)
        self._sent_bytes -= sum([publication.size for publication in out])
        return out

    def nacked(self, tag: int, *, multiple: bool) -> int:
        """The broker refused so many, for now: they wait again, each in its old place."""
        refused = self.confirmed(tag, multiple=multiple)
        self._give_back(refused)
        return len(refused)

    def lost(self, *, poisoned: bool) -> Loss[T]:
        """The channel is gone, and whether its messages arrived is unknown: they wait again, each in its old place.

        `poisoned`: the broker closed the channel for one message that it cannot take. A single one is that.
        """
        unconfirmed = [publication for publication in self._sent if publication]
        self._sent.clear()
        self._head_tag, self.unconfirmed, self._sent_bytes = 1, 0, 0
        refused = unconfirmed.pop() if poisoned and len(unconfirmed) == 1 else None
        self._give_back(unconfirmed)
        return Loss(refused, len(unconfirmed) if poisoned else 0)

    def discard(self, keep: Callable[[T], bool]) -> None:
        """Drop what waits and has no token to `keep`; and what is in flight, once it would wait again."""
        self._keep, waiting = keep, self._waiting
        self._waiting, self._waiting_bytes = deque(), 0
        self._give_back(waiting)

    def _give_back(self, publications: Iterable[Publication[T]]) -> None:
        again = [publication for publication in publications if self._keep(publication.token)]
        self._waiting_bytes += sum(publication.size for publication in again)
        self._waiting = deque(sorted([*again, *self._waiting], key=attrgetter("number")))
