"""Settlement: what is acknowledged or given back, in transactions."""

import re
import time
from collections.abc import Callable
from typing import Any

from pika.channel import Channel

NACK_KEEPS_ORDER = (4, 3)


class Settlement:
    """In a transaction many acknowledgements are one command to the queue, for each consumer. I/O thread only.

    One by one they are a command each; from 32 on the broker keeps them back, and drops them with the channel.
    """

    def __init__(self, guarded: Callable[..., Any]) -> None:
        self.settled = 0  # messages whose acknowledgement was committed
        self.committing = False
        self.complete = False  # `give_back` is through
        self.moved_at = 0.0  # when a commit was last asked for, or answered
        self._guarded = guarded
        self._tags: list[int] = []

    def add(self, tags: list[int]) -> None:
        """To be acknowledged."""
        self._tags += tags

    def send(self, channel: Channel, upto: float) -> None:
        """Acknowledge those up to the delivery tag `upto`."""
        if self.committing:
            return
        tags = [tag for tag in self._tags if tag <= upto]
        self._tags = [tag for tag in self._tags if tag > upto]
        if tags:
            self._commit(channel, tags, last=False)

    def give_back(self, channel: Channel, *, quiet: bool) -> None:
        """Acknowledge all, and then give back all others; with `quiet` no message comes for it."""
        if self.committing or self.complete:
            return
        tags, self._tags = self._tags, []
        self._commit(channel, tags, last=True, nack=quiet and nack_keeps_order(channel))

    def _commit(self, channel: Channel, tags: list[int], *, last: bool, nack: bool = False) -> None:
        for tag in tags:
            channel.basic_ack(tag)
        if nack:  # otherwise the close gives them back
            channel.basic_nack(0, multiple=True, requeue=True)
        self.committing, self.moved_at = True, time.monotonic()
        channel.tx_commit(self._guarded(lambda _: self._on_commit(len(tags), last)))

    def _on_commit(self, count: int, last: bool) -> None:
        self.committing, self.complete, self.moved_at = False, last, time.monotonic()
        self.settled += count


def nack_keeps_order(channel: Channel) -> bool:
    """Whether the broker is new enough."""
    version = str((channel.connection.server_properties or {}).get("version"))
    return tuple(map(int, re.findall(r"\d+", version)[:2])) >= NACK_KEEPS_ORDER
