"""FastStream on RabbitMQ: `broker.publish` waits for its confirm, a subscriber's message is acked after its function.

As documented: one publish after the other, no prefetch limit. With BENCH_IN_FLIGHT=256: that many publishes wait at a
time, and the channel prefetches as many. Persistent and mandatory, a returned message raises.
"""

import asyncio
import os
import signal

from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue

from benchmarks.peers.contract import Task
from benchmarks.span import Span, padding, stamped

IN_FLIGHT = int(os.environ.get("BENCH_IN_FLIGHT", "1"))


async def publish(broker: RabbitBroker, task: Task, span: Span) -> None:
    """See contract.py."""
    rest, pace = padding(task.size), task.pace()

    async def send() -> None:
        for wait, late in pace:
            if wait:
                await asyncio.sleep(wait)
            body = stamped(rest, late)
            await broker.publish(body, task.queue, persist=True, mandatory=True)
            span.confirmed()

    await broker.connect()
    span.begin()
    await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))


async def consume(broker: RabbitBroker, task: Task, span: Span) -> None:
    """See contract.py."""
    handle = span.handler(task.mode)

    @broker.subscriber(RabbitQueue(task.queue, declare=False))
    async def on_message(body: bytes, message: RabbitMessage) -> None:
        del body
        handle(message.body)

    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await broker.start()
    await stopping.wait()


async def run(task: Task, span: Span) -> None:
    """One task on one connection."""
    channel = Channel(prefetch_count=IN_FLIGHT if IN_FLIGHT > 1 else None, on_return_raises=True)
    broker = RabbitBroker(task.url, default_channel=channel, logger=None)
    await (publish if task.mode == "publish" else consume)(broker, task, span)
    await broker.stop()


def main() -> None:
    """One task, then the report."""
    task, span = Task.from_argv(), Span()
    asyncio.run(run(task, span))
    span.report()


if __name__ == "__main__":
    main()
