"""In-flight: the messages that a publisher holds, waiting to be sent or sent and not yet confirmed. Pure, no pika."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from operator import attrgetter
from typing import Generic, TypeVar

from common.message import Message

T = TypeVar("T")

WINDOW_BYTES = 16 * 1024 * 1024  # of bodies: a window of large messages must not fill the memory


class Publication(Generic[T]):
    """A message for the queue `routing_key`; `token` is the owner's name for it.

    `size` is the body's, in bytes; `number` the place among all messages put in; `sent_at` is `time.monotonic()`.
    """

    __slots__ = ("message", "number", "routing_key", "sent_at", "size", "token")

    def __init__(self, routing_key: str, message: Message, token: T) -> None:
        self.routing_key, self.message, self.token = routing_key, message, token
        self.size, self.number, self.sent_at = len(message.body), 0, 0.0

    exchange = ""  # of a Single alone: it costs the others nothing


class Single(Publication[T]):
    """Is given up when its destination is missing or full, and not sent again."""

    __slots__ = ("exchange",)

    def __init__(self, exchange: str, routing_key: str, message: Message, token: T) -> None:
        super().__init__(routing_key, message, token)
        self.exchange = exchange


class InFlight(Generic[T]):
    """Publications that wait, in the order they came, and publications sent, in the order of their tags."""

    def __init__(self) -> None:
        self.unconfirmed = 0  # sent, and not confirmed
        self.refusing = frozenset[str]()  # the queues that refused what waits for them now
        # In the order of their numbers, but those for `refusing` behind all others.
        self._waiting: deque[Publication[T]] = deque()
        self._numbers = count(1)
        # None stands for a publication confirmed before the head; the head is never None.
        self._sent: deque[Publication[T] | None] = deque()
        self._head_tag = 1  # of the head of `_sent`: a channel counts its tags from 1
        self._waiting_bytes = self._sent_bytes = 0
        self._keep: Callable[[T], bool] = lambda _: True

    def __len__(self) -> int:
        return len(self._waiting) + self.unconfirmed

    @property
    def sent_at(self) -> float | None:
        """When the oldest unconfirmed publication was sent."""
        oldest = self._sent[0] if self._sent else None
        return oldest.sent_at if oldest else None

    @property
    def overtaken(self) -> bool:
        """Whether a later publication was confirmed before the oldest."""
        return self.unconfirmed < len(self._sent)

    @property
    def full(self) -> bool:
        """Whether the bodies, waiting and sent, have reached WINDOW_BYTES."""
        return self._waiting_bytes + self._sent_bytes >= WINDOW_BYTES

    @property
    def to_exchanges(self) -> bool:
        """Whether any that was sent went to an exchange of the user's."""
        return any(each and each.exchange for each in self._sent)

    def put(self, publications: Iterable[Publication[T]]) -> None:
        """Queue these behind everything that waits."""
        for publication in publications:
            publication.number = next(self._numbers)
            self._waiting.append(publication)
            self._waiting_bytes += publication.size
        if self.refusing:
            self._give_back(())

    def take(self, limit: int) -> list[Publication[T]]:
        """The next to send, so that at most `limit` are unconfirmed. Call `sent` with those that were sent."""
        taken: list[Publication[T]] = []
        waiting, room, size = self._waiting, limit - self.unconfirmed, self._sent_bytes
        while waiting and len(taken) < room and size < WINDOW_BYTES:
            taken.append(waiting.popleft())
            size += taken[-1].size
        self._waiting_bytes -= size - self._sent_bytes
        return taken

    def sent(self, publications: Sequence[Publication[T]], now: float) -> None:
        self._sent.extend(publications)
        self.unconfirmed += len(publications)
        for publication in publications:
            publication.sent_at = now
            self._sent_bytes += publication.size

    def confirmed(self, tag: int, *, multiple: bool) -> list[Publication[T]]:
        """Take out what the broker confirmed, in order: `tag`, or with `multiple` everything up to `tag`."""
        sent = self._sent
        index = len(sent) - 1 if multiple and tag == 0 else tag - self._head_tag  # tag 0: everything sent
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
        if self.refusing:
            self.refusing -= {publication.routing_key for publication in out}
        return out

    def nacked(self, tag: int, *, multiple: bool) -> tuple[int, list[Single[T]]]:
        """Put back what a full queue refused, behind all for other queues: how many, and the Singles taken out."""
        nacked = self.confirmed(tag, multiple=multiple)
        singles = [publication for publication in nacked if isinstance(publication, Single)]
        refused = [publication for publication in nacked if not isinstance(publication, Single)] if singles else nacked
        self.refusing |= {publication.routing_key for publication in refused}
        self._give_back(refused)
        return len(refused), singles

    def take_out(self, wanted: Callable[[Single[T]], bool]) -> list[Single[T]]:
        """Take out each Single that was sent and is `wanted`; its confirm, should it come, counts for nothing."""
        sent = enumerate(self._sent, self._head_tag)
        found = [(tag, each) for tag, each in sent if isinstance(each, Single) and wanted(each)]
        for tag, _ in found:
            self.confirmed(tag, multiple=False)
        return [each for _, each in found]

    def withdraw(self, wanted: Callable[[T], bool]) -> list[T]:
        """Take out what a full queue refused and whose token is `wanted`."""
        kept: list[Publication[T]] = []
        taken: list[Publication[T]] = []
        for publication in self._waiting if self.refusing else ():
            refused = publication.routing_key in self.refusing and wanted(publication.token)
            (taken if refused else kept).append(publication)
        if taken:
            self._waiting, self._waiting_bytes = deque(), 0
            self._give_back(kept)
        return [publication.token for publication in taken]

    def lost(self, *, poisoned: bool) -> tuple[Publication[T] | None, int]:
        """Put everything unconfirmed back into its old place: the channel is gone, and what arrived is unknown.

        `poisoned`: the broker closed the channel because it cannot take one of the messages. The result is that message
        if only one was unconfirmed, which does not wait again; and else how many messages are suspects.
        """
        unconfirmed = [publication for publication in self._sent if publication]
        self._sent.clear()
        self._head_tag, self.unconfirmed, self._sent_bytes = 1, 0, 0
        refused = unconfirmed.pop() if poisoned and len(unconfirmed) == 1 else None
        self._give_back(unconfirmed)
        return refused, len(unconfirmed) if poisoned else 0

    def discard(self, keep: Callable[[T], bool]) -> None:
        """Drop what waits and has no token to `keep`; drop what is sent when it would wait again."""
        self._keep, waiting = keep, self._waiting
        self._waiting, self._waiting_bytes = deque(), 0
        self._give_back(waiting)

    def _give_back(self, publications: Iterable[Publication[T]]) -> None:
        again = [publication for publication in publications if self._keep(publication.token)]
        self._waiting_bytes += sum(publication.size for publication in again)
        self._waiting = deque(sorted([*again, *self._waiting], key=attrgetter("number")))
        if self.refusing:  # what goes to other queues must not wait behind it
            self.refusing &= {publication.routing_key for publication in self._waiting}
            self._waiting = deque(sorted(self._waiting, key=lambda each: each.routing_key in self.refusing))
