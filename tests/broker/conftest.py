"""Both wires; and a plain channel to look at the broker with, beside the code under test."""

import os
from collections.abc import Iterator

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker
from tests.processes import WIRES


@pytest.hookimpl(trylast=True)  # behind the broker, also in a test's name
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What starts a service is shown with each way to read and write frames, or with MQ_WIRE of the environment."""
    if "start" in metafunc.fixturenames:
        asked, quick = os.environ.get("MQ_WIRE"), metafunc.config.getoption("--quick")
        metafunc.parametrize("wire", [asked] if asked else WIRES[:1] if quick else WIRES, indirect=True)


@pytest.fixture
def channel(broker: Broker) -> Iterator[BlockingChannel]:
    """A blocking channel with confirms on. On 3.10 a quorum queue's count lags by seconds: get instead."""
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    opened = connection.channel()
    opened.confirm_delivery()
    yield opened
    if connection.is_open:
        connection.close()
