"""The source, and that the handler takes what it yields."""

from itertools import islice

from consumer.outcome import Ack
from consumer.testing import handled

from acme.handler import handle
from acme.source import pending


def test_the_handler_takes_what_the_source_yields() -> None:
    assert [handled(handle, order) for order in islice(pending(), 10)] == [Ack()] * 10
