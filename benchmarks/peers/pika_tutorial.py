"""pika as RabbitMQ's tutorials two and seven have it: BlockingConnection, each publish waits for its confirm.

Reliable by `confirm_delivery`, `mandatory`, persistent messages and an ack after each handled message. Its prefetch is
256; the tutorial's own is 1, which would make it wait for the broker after each message.
"""

import signal

import pika
from pika.adapters.blocking_connection import BlockingChannel

from benchmarks.peers.contract import Task
from benchmarks.span import Span


def publish(channel: BlockingChannel, task: Task, span: Span) -> None:
    """See contract.py."""
    channel.confirm_delivery()
    properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
    span.begin()
    for body in task.bodies():
        channel.basic_publish("", task.queue, body, properties, mandatory=True)
        span.confirmed()


def consume(channel: BlockingChannel, task: Task, span: Span) -> None:
    """See contract.py."""
    handle = span.handler(task.mode)

    def on_message(channel, method, _properties, body):  # type: ignore[no-untyped-def]
        handle(body)
        channel.basic_ack(method.delivery_tag)

    stop = channel.stop_consuming
    signal.signal(signal.SIGTERM, lambda *_: channel.connection.add_callback_threadsafe(stop))
    channel.basic_qos(prefetch_count=256)
    channel.basic_consume(task.queue, on_message)
    channel.start_consuming()


def main() -> None:
    """One task, then the report."""
    task, span = Task.from_argv(), Span()
    connection = pika.BlockingConnection(pika.URLParameters(task.url))
    (publish if task.mode == "publish" else consume)(connection.channel(), task, span)
    connection.close()
    span.report()


if __name__ == "__main__":
    main()
