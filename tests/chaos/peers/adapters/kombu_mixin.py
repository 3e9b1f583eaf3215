"""kombu, as its "Task Queue Example" has it.

Reference: https://docs.celeryq.dev/projects/kombu/en/stable/userguide/examples.html. There the worker logs what a
task raised and acknowledges the message. Hardened: `confirm_publish` and `confirm_timeout`, `retry` with a policy for
each publish, `mandatory`, `heartbeat`, a prefetch limit, a quorum queue, and `reject` into a dead-letter queue for
what a task raised on (https://docs.celeryq.dev/projects/kombu/en/stable/userguide/producers.html).
"""

import sys
from functools import partial
from typing import Any

from kombu import Connection, Exchange, Queue
from kombu.mixins import ConsumerMixin
from kombu.pools import producers

from tests.chaos.peers import contract

QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}
DEAD_LETTERS = QUORUM | {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": contract.DEAD}
POLICY = {"interval_start": 0, "interval_step": 1, "interval_max": 5, "max_retries": 5}
TIMEOUT = 10  # seconds, of a confirm

EXCHANGE = Exchange("tasks", type="direct")


def queue() -> Queue:
    arguments = DEAD_LETTERS if contract.hardened() else None
    return Queue("tasks", EXCHANGE, routing_key="tasks", queue_arguments=arguments)


def connection() -> Connection:
    if not contract.hardened():
        return Connection(contract.url())
    options = {"confirm_publish": True}
    return Connection(contract.url(), heartbeat=contract.HEARTBEAT, transport_options=options)


class Worker(ConsumerMixin):
    """As on the page."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def get_consumers(self, consumer: Any, _channel: object) -> list[Any]:
        callbacks = [self.process_hardened if contract.hardened() else self.process]
        options = {"prefetch_count": contract.PREFETCH} if contract.hardened() else {}
        return [consumer(queues=[queue()], accept=["json"], callbacks=callbacks, **options)]

    def process(self, body: Any, message: Any) -> None:
        try:
            contract.handle(body["args"][0])
        except Exception as error:  # noqa: BLE001 - as on the page
            print(f"task raised exception: {error!r}", flush=True)
        message.ack()

    def process_hardened(self, body: Any, message: Any) -> None:
        try:
            contract.handle(body["args"][0])
        except Exception as error:  # noqa: BLE001 - as on the page
            print(f"task raised exception: {error!r}", flush=True)
            message.reject()
        else:
            message.ack()


def on_return(error: Exception, *_: object) -> None:
    raise error


def produce() -> None:
    with connection() as conn:
        for name, body in contract.bodies():
            with producers[conn].acquire(block=True) as producer:
                producer.publish(
                    {"args": [body]}, serializer="json", exchange=EXCHANGE, declare=[queue()], routing_key="tasks"
                )
            contract.sender()(name)


def produce_hardened() -> None:
    with connection() as conn:
        dead = Queue(contract.DEAD, queue_arguments=QUORUM)

        def publish(body: str) -> None:
            with conn.Producer(on_return=on_return) as producer:
                producer.publish(
                    {"args": [body]},
                    serializer="json",
                    exchange=EXCHANGE,
                    declare=[dead, queue()],
                    routing_key="tasks",
                    retry=True,
                    retry_policy=POLICY,
                    mandatory=True,
                    confirm_timeout=TIMEOUT,
                )

        for name, body in contract.bodies():
            contract.until_sent(partial(publish, body))
            contract.sender()(name)


def consume() -> None:
    with connection() as conn:
        Worker(conn).run()


if __name__ == "__main__":
    forms = {"produce": (produce, produce_hardened), "consume": (consume, consume)}
    forms[sys.argv[1]][contract.hardened()]()
