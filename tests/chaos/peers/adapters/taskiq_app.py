"""taskiq on RabbitMQ, as its README has it.

Reference: https://pypi.org/project/taskiq-aio-pika/, https://taskiq-python.github.io/guide/getting-started.html. Its
queue is a durable quorum queue with a dead-letter queue, its messages are persistent, publishes are confirmed, and it
acknowledges when the task has ended, all by default; also when the task raised. Hardened: `SimpleRetryMiddleware` for
what a task raised on (https://taskiq-python.github.io/available-components/middlewares.html) and `heartbeat`.
"""

import asyncio
from typing import Any

from taskiq import SimpleRetryMiddleware
from taskiq_aio_pika import AioPikaBroker

from tests.chaos.peers import contract

OPTIONS: dict[str, Any] = {}
if contract.hardened():
    broker = AioPikaBroker(f"{contract.url()}?heartbeat={contract.HEARTBEAT}").with_middlewares(
        SimpleRetryMiddleware(default_retry_count=3)
    )
    OPTIONS["retry_on_error"] = True
else:
    broker = AioPikaBroker(contract.url())


@broker.task(**OPTIONS)
async def work(body: str) -> None:
    """One message."""
    await contract.handle_async(body)


async def _produce() -> None:
    await broker.startup()
    try:
        async for name, body in contract.bodies_async():
            await contract.until_sent_async(lambda body=body: work.kiq(body))
            contract.sender()(name)
    finally:  # the page leaves it out; without it the program does not end when a publish raised
        await broker.shutdown()


def produce() -> None:
    asyncio.run(_produce())
