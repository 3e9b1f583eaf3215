"""Handlers that end after the channel of their messages is gone, while their tags are those of other messages."""

import time
from pathlib import Path

from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker
from tests.processes import until
from tests.system.kit import PLUGINS, QUICK, Start, bodies, take

WORKERS = 4
SOON = 0.3  # seconds; by then an acknowledgement, which waits 5 ms at most, has reached the broker
UNSETTLED = "consumer_unsettled"
OUTCOMES = ("ack", "retry", "parked")


def test_handlers_of_a_lost_channel_settle_no_message_of_the_next_channel(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker, tmp_path: Path
) -> None:
    """Two of four that are running end after the loss, one well and one not, when their tags name other messages.

    The broker had given theirs to a second consumer. The others, running or waiting, are still the queue's when the
    first consumer is killed.
    """
    held, quick = tmp_path / "held", tmp_path / "quick"
    old, new = ([f"{age}{number}" for number in range(WORKERS)] for age in ("old", "new"))
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:hold_each", "CONSUMER_WORKERS": WORKERS, "RECORD": held, **QUICK}
    first = start("consumer", **settings).wait_ready()
    publish(channel, mq_ch, old)
    until(lambda: len(bodies(held)) == WORKERS, "each of its handlers is running")
    [pid] = connections(broker, "consumer")

    second = start("consumer", CONSUMER_HANDLER=f"{PLUGINS}:record", RECORD=quick).wait_ready()
    ahead = [f"ahead{number}" for number in range(WORKERS)]
    publish(channel, mq_ch, ahead)
    until(lambda: sorted(bodies(quick)) == ahead, "the second consumer takes what the first has no room for")
    broker.rabbitmqctl("close_connection", pid, "closed by the test")
    until(lambda: sorted(bodies(quick)) == ahead + old, "the second consumer handles what the first has lost")
    second.terminate()
    assert second.wait() == 0
    first.wait_ready()

    publish(channel, mq_ch, new)
    until(lambda: first.metric(UNSETTLED) == WORKERS, "the first consumer holds as many with the same tags")
    Path(f"{held}.go.{old[0]}").touch()
    Path(f"{held}.go.{old[1]}").write_text("fail")
    until(lambda: len(bodies(held)) == WORKERS + 2, "two handlers have ended, and have begun with the next messages")
    time.sleep(SOON)
    seen = first.metrics()
    first.kill()
    assert sorted(body.decode() for _, body in take(channel, mq_ch, WORKERS)) == new
    take(channel, f"{mq_ch}.dead", 0)
    assert seen[UNSETTLED] == WORKERS
    assert [seen.get(f'consumer_settled_total{{outcome="{outcome}"}}', 0) for outcome in OUTCOMES] == [0, 0, 0]
    assert seen['mq_reconnects_total{connection="consumer"}'] == 1


def publish(channel: BlockingChannel, queue: str, names: list[str]) -> None:
    """One message for each name, which is its body and its id."""
    for name in names:
        channel.basic_publish("", queue, name, BasicProperties(message_id=name), mandatory=True)


def connections(broker: Broker, name: str) -> list[str]:
    """The process ids, in the broker, of the connections that have this name."""
    listed = broker.rabbitmqctl("list_connections", "pid", "client_properties").splitlines()
    return [line.split()[0] for line in listed if f'"{name}"' in line]
