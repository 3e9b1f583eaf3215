"""pika's SelectConnection with a window: up to 1024 publishes wait for their confirm; acks fold with `multiple`.

The way of pika's asynchronous examples (confirms and returns by callback), with the window that they leave out.
"""

import signal
from typing import Final

import pika
from pika.channel import Channel

from benchmarks.peers.contract import Task
from benchmarks.span import Span, padding, stamped

WINDOW: Final = 1024
ACK_EVERY: Final = 128
FLUSH: Final = 0.05


class Publishing:
    """Keeps the window full; a confirm makes room."""

    def __init__(self, channel: Channel, task: Task, span: Span) -> None:
        self._channel, self._task, self._span = channel, task, span
        self._rest = padding(task.size)
        self._pace = task.pace()
        self._next: tuple[float, float] | None = None
        self._sent = self._timer = 0
        self._properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=self._start)

    def _start(self, _frame: object) -> None:
        self._span.begin()
        self._next = next(self._pace, None)
        self._fill()

    def _on_return(self, *_: object) -> None:
        raise SystemExit("a message was returned")

    def _on_confirm(self, frame: pika.frame.Method[pika.spec.Basic.Ack]) -> None:
        if not isinstance(frame.method, pika.spec.Basic.Ack):
            raise SystemExit("a message was refused")
        tag = frame.method.delivery_tag
        self._span.confirmed(tag - self._span.count)
        if tag == self._task.count:
            self._channel.connection.close()
        elif not self._task.rate:
            self._fill()

    def _fill(self) -> None:
        while self._next is not None and self._sent - self._span.count < WINDOW:
            wait, late = self._next
            if wait:
                self._next = 0.0, 0.0  # it is waited for
                self._channel.connection.ioloop.call_later(wait, self._fill)
                return
            body = stamped(self._rest, late)
            self._channel.basic_publish("", self._task.queue, body, self._properties, mandatory=True)
            self._sent += 1
            self._next = next(self._pace, None)


class Consuming:
    """Acknowledges every 128 messages, and what is left over when nothing has come for a moment."""

    def __init__(self, channel: Channel, task: Task, span: Span) -> None:
        self._channel, self._handle = channel, span.handler(task.mode)
        self._tag = self._acked = 0
        self._stopping = False
        signal.signal(signal.SIGTERM, self._on_signal)
        channel.basic_qos(prefetch_count=WINDOW)
        channel.basic_consume(task.queue, self._on_message)
        self._tick()

    def _on_signal(self, *_: object) -> None:
        self._stopping = True

    def _on_message(self, _channel: Channel, method: pika.spec.Basic.Deliver, _props: object, body: bytes) -> None:
        self._handle(body)
        self._tag = method.delivery_tag
        if self._tag - self._acked >= ACK_EVERY:
            self._ack()

    def _ack(self) -> None:
        self._channel.basic_ack(self._tag, multiple=True)
        self._acked = self._tag

    def _tick(self) -> None:
        if self._tag > self._acked:
            self._ack()
        if self._stopping:
            self._channel.connection.close()
        else:
            self._channel.connection.ioloop.call_later(FLUSH, self._tick)


def main() -> None:
    """One task, then the report."""
    task, span = Task.from_argv(), Span()
    role = Publishing if task.mode == "publish" else Consuming
    connection = pika.SelectConnection(
        pika.URLParameters(task.url),
        on_open_callback=lambda connection: connection.channel(
            on_open_callback=lambda channel: role(channel, task, span)
        ),
        on_close_callback=lambda connection, _reason: connection.ioloop.stop(),
    )
    connection.ioloop.start()
    span.report()


if __name__ == "__main__":
    main()
