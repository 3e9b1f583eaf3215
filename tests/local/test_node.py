"""The private node."""

import tempfile
import time
from pathlib import Path

import pika
import pytest

from local.ports import is_free, speaks_amqp
from tests.brokers import outlive_a_kill
from tests.node import Node

QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Not started yet; all its files are in a folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Node()


def test_a_kill_and_a_start_keep_what_was_confirmed_and_nothing_is_left_behind(node: Node, tmp_path: Path) -> None:
    """The life of a node, in one test as each start takes seconds; a second one runs beside it."""
    with node, Node() as other:
        with pika.BlockingConnection(pika.URLParameters(node.url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.queue_declare("kept", durable=True, arguments=QUORUM)
            channel.basic_publish("", "kept", b"still here", pika.BasicProperties(delivery_mode=2), mandatory=True)
        assert "kept" in node.rabbitmqctl("list_queues", "name")
        assert "kept" not in other.rabbitmqctl("list_queues", "name")
        outlive_a_kill(time.monotonic())
        node.kill()
        assert not speaks_amqp(node.port)
        assert speaks_amqp(other.port)
        node.restart()
        with pika.BlockingConnection(pika.URLParameters(node.url)) as connection:
            channel = connection.channel()
            _, _, body = next(channel.consume("kept", auto_ack=True, inactivity_timeout=20))
            assert body == b"still here"
            channel.cancel()
    assert is_free(node.port)
    assert is_free(other.port)
    assert list(tmp_path.iterdir()) == []
