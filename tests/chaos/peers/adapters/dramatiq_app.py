"""dramatiq, as its user guide has it.

Reference: https://dramatiq.io/guide.html (an actor, `send`, and the command `dramatiq`). It acknowledges when the
actor has returned, retries with a growing delay, and keeps dead letters for seven days, all by default. Hardened:
`confirm_delivery=True` and `heartbeat`. Its queues are durable classic ones.
"""

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.chaos.peers import contract

if contract.hardened():
    broker = RabbitmqBroker(url=f"{contract.url()}?heartbeat={contract.HEARTBEAT}", confirm_delivery=True)
else:
    broker = RabbitmqBroker(url=contract.url())
dramatiq.set_broker(broker)


@dramatiq.actor
def work(body: str) -> None:
    """One message."""
    contract.handle(body)


def produce() -> None:
    for name, body in contract.bodies():
        contract.until_sent(lambda body=body: work.send(body))
        contract.sender()(name)
    broker.close()
