"""kombu over py-amqp: `confirm_publish` makes each publish wait for its confirm; messages are acked after handling.

`confirm_publish` is the transport option that kombu documents for this; a returned message is an error.
"""

import signal
from typing import Any

import kombu

from benchmarks.peers.contract import Task
from benchmarks.span import Span


def on_return(exception: Exception, *_: object) -> None:
    """A returned message ends the run."""
    raise exception


def publish(connection: kombu.Connection, task: Task, span: Span) -> None:
    """See contract.py."""
    producer = kombu.Producer(connection.channel(), on_return=on_return)
    options: dict[str, Any] = {"routing_key": task.queue, "delivery_mode": "persistent", "mandatory": True}
    span.begin()
    for body in task.bodies():
        producer.publish(body, content_type="application/octet-stream", content_encoding="binary", **options)
        span.confirmed()


def consume(connection: kombu.Connection, task: Task, span: Span) -> None:
    """See contract.py."""
    handle = span.handler(task.mode)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))

    def on_message(message: kombu.Message) -> None:
        handle(message.body)
        message.ack()

    queue = kombu.Queue(task.queue, no_declare=True)
    consumer = kombu.Consumer(connection, [queue], on_message=on_message, prefetch_count=256)
    with consumer:
        while not stopping:
            try:
                connection.drain_events(timeout=0.2)
            except TimeoutError:
                continue


def main() -> None:
    """One task, then the report."""
    task, span = Task.from_argv(), Span()
    with kombu.Connection(task.url, transport_options={"confirm_publish": True}) as connection:
        (publish if task.mode == "publish" else consume)(connection, task, span)
    span.report()


if __name__ == "__main__":
    main()
