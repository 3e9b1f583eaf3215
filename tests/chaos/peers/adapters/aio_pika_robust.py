"""aio-pika, as its README has it.

Reference: https://docs.aio-pika.com/ ("Usage example": simple consumer, simple publisher). There the queue is
declared `auto_delete` by the consumer, and the message is transient. Hardened: a durable quorum queue, persistent
messages, `on_return_raises`, a time-out for each publish, `heartbeat`, a prefetch limit, and a dead-letter queue for
what was rejected (https://docs.aio-pika.com/rabbitmq-tutorial/2-work-queues.html and the API).
"""

import asyncio
import sys
from functools import partial
from typing import Any

import aio_pika

from tests.chaos.peers import contract

QUEUE = "test_queue"
QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}
TIMEOUT = 10.0  # seconds, of a publish


async def connect() -> Any:
    suffix = f"?heartbeat={contract.HEARTBEAT}" if contract.hardened() else ""
    return await aio_pika.connect_robust(contract.url() + suffix)


async def declare(channel: Any) -> Any:
    if not contract.hardened():
        return await channel.declare_queue(QUEUE, auto_delete=True)
    await channel.declare_queue(contract.DEAD, durable=True, arguments=QUORUM)
    arguments = QUORUM | {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": contract.DEAD}
    return await channel.declare_queue(QUEUE, durable=True, arguments=arguments)


async def produce() -> None:
    async with await connect() as connection:
        channel = await connection.channel()
        async for name, body in contract.bodies_async():
            await channel.default_exchange.publish(aio_pika.Message(body=body.encode()), routing_key=QUEUE)
            contract.sender()(name)


async def produce_hardened() -> None:
    async with await connect() as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await declare(channel)

        async def publish(body: str) -> None:
            message = aio_pika.Message(body=body.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, routing_key=QUEUE, mandatory=True, timeout=TIMEOUT)

        async for name, body in contract.bodies_async():
            await contract.until_sent_async(partial(publish, body))
            contract.sender()(name)


async def consume() -> None:
    async with await connect() as connection:
        channel = await connection.channel()
        queue = await declare(channel)
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    await contract.handle_async(message.body)


async def consume_hardened() -> None:
    async def on_message(message: Any) -> None:
        async with message.process():
            await contract.handle_async(message.body)

    async with await connect() as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=contract.PREFETCH)
        await (await declare(channel)).consume(on_message)
        await asyncio.Future()


if __name__ == "__main__":
    forms = {"produce": (produce, produce_hardened), "consume": (consume, consume_hardened)}
    asyncio.run(forms[sys.argv[1]][contract.hardened()]())
