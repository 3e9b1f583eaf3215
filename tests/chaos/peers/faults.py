"""The faults: what breaks, for how long, and how it is mended, for all contestants of a trial at once."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.chaos.cluster import Cluster
from tests.chaos.ledger import Ledger
from tests.chaos.peers.broker import clear, fill
from tests.chaos.peers.contestant import Contestant
from tests.chaos.peers.contract import LONG
from tests.chaos.peers.services import terminate
from tests.chaos.rabbit import Rabbit

PATIENCE = 30.0  # seconds for what a fault waits for before it goes on
ROUNDS = 3
LENGTH = 50  # messages, of the full queue


@dataclass(frozen=True)
class Fault:
    """`title` says all of it: the table has no other words for the fault."""

    key: str
    title: str
    inject: Callable[[Sequence[Contestant], "Rabbit | Cluster"], None]
    handler: Literal["record", "raise", "slow", "die"] = "record"
    cluster: bool = False


def _kill_broker(_all: Sequence[Contestant], rabbit: Rabbit) -> None:
    rabbit.kill()
    time.sleep(2)
    rabbit.start()


def _restart_broker(_all: Sequence[Contestant], rabbit: Rabbit) -> None:
    rabbit.stop()
    rabbit.start()


def _freeze_broker(_all: Sequence[Contestant], rabbit: Rabbit) -> None:
    rabbit.freeze()
    time.sleep(30)
    rabbit.thaw()


def _close_connections(_all: Sequence[Contestant], rabbit: Rabbit) -> None:
    for _ in range(ROUNDS):
        rabbit.rabbitmqctl("close_all_connections", "--global", "closed by an operator")
        time.sleep(2)


def _half_open(everyone: Sequence[Contestant], _rabbit: Rabbit) -> None:
    for each in everyone:
        each.proxy.swallow("up", "down")
    time.sleep(25)
    for each in everyone:
        each.proxy.heal()


def _memory_alarm(_all: Sequence[Contestant], rabbit: Rabbit) -> None:
    rabbit.rabbitmqctl("set_vm_memory_high_watermark", "0.00001")
    time.sleep(15)
    rabbit.rabbitmqctl("set_vm_memory_high_watermark", "0.6")


def _queue_full(everyone: Sequence[Contestant], rabbit: Rabbit) -> None:
    """The consumers go while they hold nothing, so that all that is missing later is the full queue's doing."""
    for each in everyone:
        each.pause(paused=True)
    time.sleep(1)
    _wait(lambda: not any(each.missing() for each in everyone))
    time.sleep(1)  # acknowledgements
    for each in everyone:
        each.consumer.rest()
        each.consumer.kill()
    fill(rabbit, [each.home for each in everyone], LENGTH)
    for each in everyone:
        each.pause(paused=False)
    time.sleep(10)
    for each in everyone:
        each.consumer.start()
    time.sleep(3)
    clear(rabbit, [each.home for each in everyone])


def _kill_consumer(everyone: Sequence[Contestant], _rabbit: Rabbit) -> None:
    """As soon as it handles again, so that it holds what came in the meantime."""
    for _ in _rounds([each.handled for each in everyone]):
        for each in everyone:
            each.consumer.kill()


def _kill_producer(everyone: Sequence[Contestant], _rabbit: Rabbit) -> None:
    for _ in _rounds([each.sent for each in everyone]):
        for each in everyone:
            each.producer.kill()


def _stop_consumer(everyone: Sequence[Contestant], _rabbit: Rabbit) -> None:
    for _ in _rounds([each.handled for each in everyone]):
        terminate(each.consumer for each in everyone)


def _stop_producer(everyone: Sequence[Contestant], _rabbit: Rabbit) -> None:
    for _ in _rounds([each.sent for each in everyone]):
        terminate(each.producer for each in everyone)


def _raising(_all: Sequence[Contestant], _rabbit: Rabbit) -> None:
    time.sleep(10)


def _slow(everyone: Sequence[Contestant], _rabbit: Rabbit) -> None:
    _wait(lambda: all(each.tried.read().names for each in everyone))
    time.sleep(LONG + 5)


def _dying(everyone: Sequence[Contestant], _rabbit: Rabbit) -> None:
    _wait(lambda: all(each.tried.read().names for each in everyone))
    time.sleep(2 * LONG)  # 21 deliveries, a restart each


def _lose_node(everyone: Sequence[Contestant], cluster: Cluster) -> None:
    """The node that all are connected to; what balances the load knows the next one after a second."""
    cluster.kill(0)
    time.sleep(1)
    for each in everyone:
        each.proxy.target = cluster.ports()[1]
    time.sleep(20)
    cluster.start(0)


def _rounds(ledgers: Sequence[Ledger]) -> Iterator[int]:
    """ROUNDS times, each time once all the ledgers have grown."""
    for number in range(ROUNDS):
        marks = [len(each.read().names) for each in ledgers]
        _wait(lambda marks=marks: all(len(each.read().names) > mark for each, mark in zip(ledgers, marks, strict=True)))  # type: ignore[misc]
        yield number


def _wait(condition: Callable[[], bool]) -> None:
    """For a while: a contestant that hangs must not keep the fault from the others."""
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


FAULTS = (
    Fault("kill-broker", "the broker is killed (SIGKILL)", _kill_broker),
    Fault("restart-broker", "the broker is restarted in order", _restart_broker),
    Fault("freeze-broker", "the broker freezes for 30 s", _freeze_broker),
    Fault("close-connections", "an operator closes all connections, three times", _close_connections),
    Fault("half-open", "the network forgets all connections, and takes new ones after 25 s (half open)", _half_open),
    Fault("memory-alarm", "a memory alarm for 15 s", _memory_alarm),
    Fault("queue-full", "the queue is full for 13 s (`reject-publish`)", _queue_full),
    Fault("kill-consumer", "the consumer is killed, three times", _kill_consumer),
    Fault("kill-producer", "the producer is killed, three times", _kill_producer),
    Fault("stop-consumer", "the consumer gets SIGTERM, three times", _stop_consumer),
    Fault("stop-producer", "the producer gets SIGTERM, three times", _stop_producer),
    Fault("raise", "the handler raises, always on the same message of 20", _raising, handler="raise"),
    Fault("slow", "the handler takes 30 s with one message, heartbeats of 10 s", _slow, handler="slow"),
    Fault("die", "one message kills the process that handles it", _dying, handler="die"),
    Fault("lose-node", "a cluster loses the node that both are connected to", _lose_node, cluster=True),
)
