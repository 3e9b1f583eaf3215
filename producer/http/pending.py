"""Pending: HTTP requests until all that they brought is confirmed, and the client has its answer.

A request holds its place until both: one that was answered for want of time is still on its way. So what is held is
bounded whatever the broker does.
"""

from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Lock

from common.message import Message
from producer.follower import Follower, Item

STOP_CHECK_SECONDS = 0.1  # between two looks whether to end; a request is taken at once


class Receipt:
    """One request's messages, and what became of them."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.unsettled = len(messages)  # written by the I/O thread
        self.refused: list[str | None] = []  # the ids of those that no broker takes; the same
        self.settled = Event()  # no message is unsettled, or none will be settled any more
        self.first = 0  # position of the first message; written by the source thread
        self.holders = 2  # who is not done with it: the broker, and the client


class Pending(Follower):
    """The source of the messages."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._inside: set[Receipt] = set()
        self._stopped = False
        self._arrived: SimpleQueue[Receipt] = SimpleQueue()
        self._unconfirmed: dict[int, Receipt] = {}  # the source thread puts in, the I/O thread takes out

    def __len__(self) -> int:
        return len(self._inside)

    def admit(self, messages: Sequence[Message]) -> Receipt | None:
        """Take over a request's messages; None when there is no place. `answered` must follow. Any thread."""
        with self._lock:
            if self._stopped or len(self._inside) >= self._most:
                return None
            receipt = Receipt(messages)
            self._inside.add(receipt)
        self._arrived.put(receipt)
        return receipt

    def answered(self, receipt: Receipt) -> None:
        """The client has its answer. Any thread."""
        with self._lock:
            receipt.holders -= 1
            if not receipt.holders:
                self._inside.discard(receipt)

    def items(self) -> Iterator[Item]:
        """The messages as they come; ends after `stop`, when nobody is inside. Source thread."""
        position = 0
        while self._inside or not self._stopped:
            try:
                receipt = self._arrived.get(timeout=STOP_CHECK_SECONDS)
            except Empty:
                continue
            receipt.first = position + 1
            for position, message in enumerate(receipt.messages, receipt.first):
                self._unconfirmed[position] = receipt
                yield Item(message, position)

    def stop(self) -> None:
        """Admit nobody. Any thread."""
        with self._lock:
            self._stopped = True

    def confirmed(self, position: int) -> None:
        receipt = self._unconfirmed.pop(position)
        receipt.unsettled -= 1
        if not receipt.unsettled:
            receipt.settled.set()
            self.answered(receipt)

    def refused(self, position: int) -> None:
        receipt = self._unconfirmed[position]
        receipt.refused.append(receipt.messages[position - receipt.first].message_id)
        self.confirmed(position)

    def close(self) -> None:
        with self._lock:
            self._stopped = True
            for receipt in self._inside:
                receipt.settled.set()
