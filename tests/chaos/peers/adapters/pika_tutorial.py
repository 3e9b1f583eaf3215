"""pika, as RabbitMQ's tutorial "Work Queues" has it.

Reference: https://www.rabbitmq.com/tutorials/tutorial-two-python. Hardened: publisher confirms (tutorial seven) and
`mandatory`, `heartbeat` and `blocked_connection_timeout`, the loop around connection and consumer of
https://pika.readthedocs.io/en/stable/examples/blocking_consume_recover_multiple_hosts.html, a thread for each handler
as in https://github.com/pika/pika/blob/main/examples/basic_consumer_threaded.py, and a dead-letter queue for what the
callback raised on.
"""

import sys
import threading
import time
from functools import partial
from typing import Any

import pika

from tests.chaos.peers import contract

QUEUE = "task_queue"
ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum"}
PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


def channel_of(url: str) -> Any:
    """Connect and declare."""
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    arguments = dict(ARGUMENTS)
    if contract.hardened():
        channel.queue_declare(queue=contract.DEAD, durable=True, arguments=ARGUMENTS)
        arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": contract.DEAD}
    channel.queue_declare(queue=QUEUE, durable=True, arguments=arguments)
    return channel


def hardened_url() -> str:
    return f"{contract.url()}?heartbeat={contract.HEARTBEAT}&blocked_connection_timeout=30"


def produce() -> None:
    channel = channel_of(contract.url())
    for name, body in contract.bodies():
        channel.basic_publish(exchange="", routing_key=QUEUE, body=body, properties=PERSISTENT)
        contract.sender()(name)
    channel.connection.close()


def produce_hardened() -> None:
    channel: Any = None

    def publish(body: str) -> None:
        nonlocal channel
        if channel is None or not channel.is_open:
            channel = channel_of(hardened_url())
            channel.confirm_delivery()
        channel.basic_publish(exchange="", routing_key=QUEUE, body=body, properties=PERSISTENT, mandatory=True)

    for name, body in contract.bodies():
        contract.until_sent(partial(publish, body))
        contract.sender()(name)


def on_message(channel: Any, method: Any, _properties: object, body: bytes) -> None:
    contract.handle(body)
    channel.basic_ack(delivery_tag=method.delivery_tag)


def on_message_hardened(channel: Any, method: Any, _properties: object, body: bytes) -> None:
    def work() -> None:
        settle = channel.basic_ack
        try:
            contract.handle(body)
        except ValueError:
            settle = partial(channel.basic_reject, requeue=False)
        channel.connection.add_callback_threadsafe(partial(settle, delivery_tag=method.delivery_tag))

    threading.Thread(target=work).start()


def consume() -> None:
    channel = channel_of(contract.url())
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(queue=QUEUE, on_message_callback=on_message)
    channel.start_consuming()


def consume_hardened() -> None:
    while True:
        try:
            channel = channel_of(hardened_url())
            channel.basic_qos(prefetch_count=contract.PREFETCH)
            channel.basic_consume(queue=QUEUE, on_message_callback=on_message_hardened)
            channel.start_consuming()
        except pika.exceptions.AMQPError as error:
            print(repr(error), flush=True)
            time.sleep(contract.AGAIN)


if __name__ == "__main__":
    forms = {"produce": (produce, produce_hardened), "consume": (consume, consume_hardened)}
    forms[sys.argv[1]][contract.hardened()]()
