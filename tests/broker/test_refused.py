"""A broker that refuses a service's connection: it stays alive, says why it is not ready, and heals by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import pika

from tests.brokers import Broker
from tests.processes import Process, until
from tests.system.kit import QUICK, Start
from tests.system.manage import add_user, put


def pair(start: Start, url: str) -> list[Process]:
    """Both services, which try again soon."""
    return [start(service, MQ_URL=url, **QUICK) for service in ("producer", "consumer")]


def refused(service: Process, *words: str) -> None:
    """It says so, and its liveness is no matter of the broker's."""
    until(lambda: all(word in str(service.reasons()) for word in words), f"it says {words}")
    assert service.live()
    assert service.code() is None


@contextmanager
def vhost(broker: Broker, name: str) -> Iterator[None]:
    """One that everybody may use, gone afterwards."""
    put(broker, f"vhosts/{name}", {})
    try:
        put(broker, f"permissions/{name}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
        yield
    finally:
        put(broker, f"vhosts/{name}", method="DELETE")


def test_a_virtual_host_that_is_not_there_is_waited_for(start: Start, broker: Broker, mq_ch: str) -> None:
    """With its name, and what to do; by both services, until somebody makes it."""
    services = pair(start, f"{broker.url}{mq_ch}")
    for service in services:
        refused(service, "NOT_ALLOWED", mq_ch, "create the virtual host")
    with vhost(broker, mq_ch):
        for service in services:
            service.wait_ready()
        for service in services:
            service.terminate()
            assert service.wait() == 0


def test_a_limit_of_the_user_is_waited_for(start: Start, broker: Broker, mq_ch: str) -> None:
    """One that is reached is no mistake: it is tried again, and both are ready when it is lifted."""
    with add_user(broker, mq_ch) as address:
        url = f"amqp://{mq_ch}:pass@{address}"
        broker.rabbitmqctl("set_user_limits", mq_ch, '{"max-connections": 1}')
        with pika.BlockingConnection(pika.URLParameters(url)):
            services = pair(start, url)
            for service in services:
                refused(service, "limit", "tried again")
            broker.rabbitmqctl("clear_user_limits", mq_ch, "max-connections")
            for service in services:
                service.wait_ready()
