"""FastStream, as its "Quickstart" for RabbitMQ has it.

Reference: https://faststream.ag2.ai/latest/getting-started/. It acknowledges when the function has returned and
rejects when it raised. Hardened as of https://faststream.ag2.ai/latest/rabbit/ack/, /rabbit/publishing/ and
/rabbit/declare/: a durable quorum queue with a dead-letter queue, `persist`, `mandatory` with `on_return_raises`, a
time-out for each publish, a prefetch limit, `heartbeat`.
"""

import asyncio

from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue

from tests.chaos.peers import contract

QUEUE = "test-queue"
TIMEOUT = 10.0  # seconds, of a publish

if contract.hardened():
    broker = RabbitBroker(
        f"{contract.url()}?heartbeat={contract.HEARTBEAT}",
        default_channel=Channel(prefetch_count=contract.PREFETCH, on_return_raises=True),
    )
    dead = RabbitQueue(contract.DEAD, queue_type=QueueType.QUORUM, durable=True)
    queue = RabbitQueue(
        QUEUE,
        queue_type=QueueType.QUORUM,
        durable=True,
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": contract.DEAD},
    )
    options = {"persist": True, "mandatory": True, "timeout": TIMEOUT}
    subscriber = broker.subscriber(queue, ack_policy=AckPolicy.REJECT_ON_ERROR)
else:
    broker = RabbitBroker(contract.url())
    options = {}
    subscriber = broker.subscriber(QUEUE)
app = FastStream(broker)


@subscriber
async def work(body: str) -> None:
    """One message."""
    await contract.handle_async(body)


async def _produce() -> None:
    async with broker:
        if contract.hardened():
            await broker.declare_queue(dead)
            await broker.declare_queue(queue)
        async for name, body in contract.bodies_async():
            await contract.until_sent_async(lambda body=body: broker.publish(body, QUEUE, **options))
            contract.sender()(name)


def produce() -> None:
    asyncio.run(_produce())
