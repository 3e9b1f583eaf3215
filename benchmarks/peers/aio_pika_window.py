"""aio-pika: connect_robust, publisher confirms, 256 publishes in flight; `message.process()` acks after handling.

BENCH_UVLOOP=1 runs it on uvloop, as its documentation shows.
"""

import asyncio
import os
import signal
from typing import Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.peers.contract import Task
from benchmarks.span import Span, padding, stamped

IN_FLIGHT: Final = 256


async def publish(connection: aio_pika.abc.AbstractConnection, task: Task, span: Span) -> None:
    """See contract.py."""
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    exchange, rest, pace = channel.default_exchange, padding(task.size), task.pace()

    async def send() -> None:
        for wait, late in pace:
            if wait:
                await asyncio.sleep(wait)
            body = stamped(rest, late)
            message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await exchange.publish(message, task.queue, mandatory=True)
            span.confirmed()

    span.begin()
    await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))


async def consume(connection: aio_pika.abc.AbstractConnection, task: Task, span: Span) -> None:
    """See contract.py."""
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=IN_FLIGHT)
    handle = span.handler(task.mode)

    async def on_message(message: AbstractIncomingMessage) -> None:
        async with message.process():
            handle(message.body)

    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    queue = await channel.get_queue(task.queue)
    tag = await queue.consume(on_message)
    await stopping.wait()
    await queue.cancel(tag)


async def run(task: Task, span: Span) -> None:
    """One task on one connection."""
    async with await aio_pika.connect_robust(task.url) as connection:
        await (publish if task.mode == "publish" else consume)(connection, task, span)


def main() -> None:
    """One task, then the report."""
    task, span = Task.from_argv(), Span()
    if os.environ.get("BENCH_UVLOOP"):
        import uvloop  # noqa: PLC0415 - the other run is to be without

        uvloop.run(run(task, span))
    else:
        asyncio.run(run(task, span))
    span.report()


if __name__ == "__main__":
    main()
