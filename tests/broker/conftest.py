"""A plain channel to look at the broker with, beside the code under test."""

from collections.abc import Iterator

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker


@pytest.fixture
def channel(broker: Broker) -> Iterator[BlockingChannel]:
    """A blocking channel with confirms on. On 3.10 a quorum queue's count lags by seconds: get instead."""
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    opened = connection.channel()
    opened.confirm_delivery()
    yield opened
    if connection.is_open:
        connection.close()
