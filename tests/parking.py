"""Messages in a dead-letter queue, and the command that looks at them."""

import json
from typing import Any

from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from common.amqp.topology import Topology
from tests.conftest import Start
from tests.processes import Process, until

COUNT = "x-delivery-count"


def declare(channel: BlockingChannel, mq_ch: str) -> None:
    """The queues, as a service declares them."""
    for queue in Topology(mq_ch).queues:
        channel.queue_declare(queue.name, durable=True, arguments=queue.all_arguments)


def park(channel: BlockingChannel, mq_ch: str, count: int, size: int = 10, **headers: Any) -> None:
    """So many messages, `0` to `count - 1`, as the consumer parks them; the even ones for a time-out."""
    declare(channel, mq_ch)
    dead = f"{mq_ch}.dead"
    before = ready(channel, dead)
    batches = channel.connection.channel()
    batches.tx_select()  # a commit is a confirm of many; without either, RabbitMQ 3.10 may lose what a close overtakes
    for number in range(count):
        error = "ValueError: no such order" if number % 2 else "TimeoutError: too slow"
        ours = {"mq-attempt": 4, "mq-first-error": "KeyError: 'x'", "mq-last-error": error, "mq-queue": mq_ch}
        properties = BasicProperties(message_id=f"m{number}", headers={"number": number, **ours, **headers})
        batches.basic_publish("", dead, b"%d" % number + bytes(size), properties)
        if number % 1000 == 999:
            batches.tx_commit()
    batches.tx_commit()
    batches.close()
    until(lambda: ready(channel, dead) == before + count, "all are parked")


def ready(channel: BlockingChannel, queue: str) -> int:
    """How many messages nobody holds."""
    return int(channel.queue_declare(queue, passive=True).method.message_count)


def drain(channel: BlockingChannel, queue: str, count: int) -> list[tuple[Any, bytes]]:
    """Properties and bodies of exactly `count` messages of `queue`, taken out of it."""
    until(lambda: ready(channel, queue) == count, f"{queue} holds {count}")  # a close is a moment ahead of the queue
    got: list[tuple[Any, bytes]] = []
    tag = channel.basic_consume(queue, lambda _, __, properties, body: got.append((properties, body)), auto_ack=True)
    until(lambda: channel.connection.process_data_events(0.01) or len(got) == count, "all came")
    channel.basic_cancel(tag)
    return got


def ids(channel: BlockingChannel, queue: str, count: int) -> list[str]:
    """The ids of what `drain` gives."""
    return [properties.message_id for properties, _ in drain(channel, queue, count)]


def names(count: int) -> list[str]:
    """The ids of so many parked messages, in order."""
    return [f"m{number}" for number in range(count)]


def run(start: Start, *arguments: str, code: int = 0, **settings: Any) -> Process:
    """`consumer dead-letters arguments`, which must end with `code`."""
    process = start("consumer", "dead-letters", *arguments, **settings)
    assert process.wait() == code, process.stderr.read_text()
    return process


def rows(process: Process) -> list[dict[str, Any]]:
    """What `--json` wrote."""
    return [json.loads(line) for line in process.stdout.read_text().splitlines()]


def listed(start: Start, *arguments: str) -> list[str]:
    """The ids that `list` shows."""
    return [row["id"] for row in rows(run(start, "list", "--json", *arguments))]
