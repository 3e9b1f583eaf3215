"""Intake: the consumers of one channel, by which deliveries come. I/O thread only."""

from collections.abc import Callable

from pika.channel import Channel

from common.process import Process
from consumer.consumer_tags import consumer_tags


class Intake:
    """Opened with a prefetch of 1 that the channel has already, then widened; shut, it can be opened again."""

    def __init__(
        self, process: Process, queue: str, on_message: Callable[..., None], on_shut: Callable[[], None]
    ) -> None:
        """`on_message`, once a delivery, must not raise; `on_shut` hears that nothing comes any more."""
        self.shutting = False  # what comes now is to go back
        self._guarded, self._queue = process.guarded, queue
        self._on_message, self._on_shut = on_message, on_shut
        self._channel: Channel | None = None
        self._consumer_tags: list[str] = []
        self._names = consumer_tags()

    @property
    def shut(self) -> bool:
        """Whether it was, on a channel that is still there."""
        return bool(self._channel) and not self._consumer_tags

    def open(self, channel: Channel) -> None:
        """Let one come."""
        self._channel, self._consumer_tags = channel, []
        self._consume(channel)

    def widen(self, more: int) -> None:
        """Let `more` come by a further consumer of the same channel, so that the order holds."""
        if more and self._channel and self._consumer_tags and not self.shutting:
            self._channel.basic_qos(prefetch_count=more)
            self._consume(self._channel)

    def close(self) -> None:
        """Let nothing more come.

        pika rejects what arrives once a cancel is sent, and a rejection counts against the delivery limit. So the
        cancel waits for the answer to another question, which comes behind all that was on its way.
        """
        channel = self._channel
        if channel and self._consumer_tags and not self.shutting:
            self.shutting = True
            channel.basic_qos(prefetch_count=1, callback=self._guarded(lambda _: self._cancel(channel)))

    def lost(self) -> None:
        """The channel is gone."""
        self._channel, self._consumer_tags, self.shutting = None, [], False

    def _consume(self, channel: Channel) -> None:
        self._consumer_tags.append(next(self._names))
        channel.basic_consume(self._queue, self._on_message, consumer_tag=self._consumer_tags[-1])

    def _cancel(self, channel: Channel) -> None:
        if channel is self._channel:
            *others, last = self._consumer_tags
            for tag in others:
                channel.basic_cancel(tag)
            channel.basic_cancel(last, self._guarded(lambda _: self._on_cancel_ok(channel)))

    def _on_cancel_ok(self, channel: Channel) -> None:
        if channel is self._channel:
            self._consumer_tags, self.shutting = [], False
            self._on_shut()
