"""Whatever a publisher writes into its properties: the copy goes where ours go, and the connection stays."""

from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from tests.brokers import Broker
from tests.conftest import Start
from tests.fuzz.conftest import Fuzz
from tests.fuzz.tables import Raw, properties
from tests.parking import declare, ready
from tests.processes import until

pytestmark = pytest.mark.slow
SETTINGS = {
    "CONSUMER_HANDLER": "tests.fuzz.handlers:reject",
    "CONSUMER_IDLE_EXIT": "500ms",
    "CONSUMER_RETRY_DELAYS": "off",
    "LOG_LEVEL": "warning",
}


@pytest.fixture
def connection(broker: Broker) -> Iterator[pika.BlockingConnection]:
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as opened:
        yield opened


def publish(broker: Broker, queue: str, drawn: list[Raw]) -> int:
    """How many of them the broker takes: it refuses some, such as a CC that is no list, with the channel."""
    taken = 0
    for each in drawn:
        with suppress(AMQPError), pika.BlockingConnection(pika.URLParameters(broker.url)) as own:
            channel = own.channel()
            channel.confirm_delivery()
            channel.basic_publish("", queue, uuid4().bytes, each)
            taken += 1
    return taken


def test_a_message_with_any_properties_is_parked_once_and_nowhere_else(
    broker: Broker, connection: pika.BlockingConnection, start: Start, mq_ch: str, fuzz: Fuzz
) -> None:
    """Its `CC` and `BCC` decide nothing of the copy; no value costs a connection, nor the messages beside it."""
    channel: BlockingChannel = connection.channel()
    declare(channel, mq_ch)
    stranger = f"{mq_ch}.stranger"
    channel.queue_declare(stranger, durable=True, arguments={"x-queue-type": "quorum"})

    @given(st.lists(properties(stranger), min_size=1, max_size=25))
    def one(drawn: list[Raw]) -> None:
        confirmed = publish(broker, mq_ch, drawn)
        until(lambda: ready(channel, mq_ch) >= confirmed, "all are there", 30)
        taken = ready(channel, mq_ch)  # one that the broker answers with 541 may be there all the same
        channel.queue_purge(stranger)  # where the broker itself brought the originals
        consumer = start("consumer", **SETTINGS)
        assert consumer.wait() == 0, consumer.stderr.read_text()
        assert consumer.event("not connected") == {}
        assert consumer.event("stopped").get("left", 0) == 0
        until(lambda: ready(channel, mq_ch) + ready(channel, f"{mq_ch}.dead") >= taken, "all are settled", 30)
        where = {name: ready(channel, name) for name in (mq_ch, f"{mq_ch}.dead", stranger)}
        assert where == {mq_ch: 0, f"{mq_ch}.dead": taken, stranger: 0}
        channel.queue_purge(f"{mq_ch}.dead")

    fuzz(one)
