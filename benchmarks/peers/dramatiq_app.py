"""dramatiq: `confirm_delivery=True`, an actor on its default eight worker threads, acked after it returns.

dramatiq declares its own durable classic queue with its own arguments, and has its own JSON envelope: the body travels
as text in it.
"""

import signal
import threading

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import AgeLimit, Callbacks, Pipelines, Retries, TimeLimit

from benchmarks.peers.contract import Task
from benchmarks.span import Span


def main() -> None:
    """One task, then the report."""
    task, span = Task.from_argv(), Span()
    middleware = [AgeLimit(), TimeLimit(), Callbacks(), Pipelines(), Retries()]
    broker = RabbitmqBroker(url=task.url, confirm_delivery=True, middleware=middleware)
    dramatiq.set_broker(broker)
    handle, lock = span.handler(task.mode), threading.Lock()

    @dramatiq.actor(queue_name=task.queue)
    def work(body: str) -> None:
        with lock:
            handle(body.encode())

    if task.mode == "publish":
        span.begin()
        for body in task.bodies():
            work.send(body.decode())
            span.confirmed()
    else:
        stopping = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
        worker = dramatiq.Worker(broker)
        worker.start()
        stopping.wait()
        worker.stop()
    broker.close()
    span.report()


if __name__ == "__main__":
    main()
