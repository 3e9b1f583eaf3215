"""A message as it was delivered, and how often."""

from typing import Any

import pytest
from pika import BasicProperties

from common.message import Message
from consumer.delivery import SUSPECT, Delivery, delivery_count, near_delivery_limit, split_by_limit
from tests.unit.common.wire.test_properties import received


@pytest.mark.parametrize(
    ("headers", "count"), [(None, 0), ({}, 0), ({"x-delivery-count": 7}, 7), ({"x-delivery-count": "7"}, 0)]
)
def test_deliveries_are_counted_by_the_broker(headers: dict[str, Any] | None, count: int) -> None:
    """0 where it does not say."""
    assert delivery_count(Message(b"", properties=BasicProperties(headers=headers))) == count


def test_a_count_is_the_brokers_whatever_the_handler_did_to_its_own() -> None:
    """And nothing is kept decoded for it."""
    message = Message.with_origin(b"", received(BasicProperties(headers={"x-delivery-count": 5})))
    assert delivery_count(message) == 5
    assert message._own is None
    message.properties.headers = {}
    assert delivery_count(message) == 5


@pytest.mark.parametrize(("count", "near"), [(0, False), (SUSPECT - 2, False), (SUSPECT - 1, True), (SUSPECT, True)])
def test_a_message_is_near_the_limit_if_one_delivery_more_makes_it_a_suspect(count: int, near: bool) -> None:
    """It would come alone then."""
    assert near_delivery_limit(Message(b"", headers={"x-delivery-count": count})) is near


def test_deliveries_are_split_by_the_limit_in_their_order() -> None:
    """Those near it first."""
    counts = [0, SUSPECT, 1, SUSPECT - 1]
    made = [Delivery("c", tag, Message(b"", headers={"x-delivery-count": each})) for tag, each in enumerate(counts)]
    assert split_by_limit(made) == ([made[1], made[3]], [made[0], made[2]])
