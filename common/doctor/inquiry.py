"""Inquiry: questions to the broker, one after the other, each on a channel of its own, which a refusal closes."""

from collections.abc import Callable, Generator
from typing import Any

from pika.channel import Channel
from pika.connection import Connection

from common.amqp.errors import explain
from common.process.run import Process

Answer = Callable[[object], None]
# Asks on an open channel, and gives the reply to `Answer`.
Question = Callable[[Channel, Answer], object]
# Yields questions, and is sent the reply to each, or the `Refusal`.
Questions = Generator[Question, Any, None]


class Inquiry:
    """I/O thread only."""

    def __init__(
        self, connection: Connection, process: Process, questions: Questions, on_end: Callable[[], None]
    ) -> None:
        """Begin; `on_end` is called behind the last answer."""
        self._connection, self._guarded = connection, process.guarded
        self._questions, self._on_end = questions, on_end
        self._channel: Channel | None = None  # on which a question waits for its answer
        self._next(None)

    def answer(self, reply: object) -> None:
        """Take `reply` for the one that is waited for."""
        channel, self._channel = self._channel, None
        if channel:
            if channel.is_open:
                channel.close()
            self._next(reply)

    def _next(self, reply: object) -> None:
        try:
            question = self._questions.send(reply)
        except StopIteration:
            self._on_end()
            return

        def ask(channel: Channel) -> None:
            question(channel, self._guarded(lambda reply: self._answered(channel, reply)))

        self._channel = self._connection.channel(on_open_callback=self._guarded(ask))
        closed = self._guarded(lambda channel, error: self._answered(channel, explain(error)))
        self._channel.add_on_close_callback(closed)

    def _answered(self, channel: Channel, reply: object) -> None:
        # What ends the connection closes the channel too; whoever has the connection sees that.
        if channel is self._channel and self._connection.is_open:
            self.answer(reply)
