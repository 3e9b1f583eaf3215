"""A message as it was delivered, and how often."""

from typing import Any

import pytest
from pika import BasicProperties

from common.message import Message
from consumer.delivery import SUSPECT, Delivery, delivery_count, split_by_limit
from tests.unit.origins import received


@pytest.mark.parametrize(
    ("headers", "count"), [(None, 0), ({}, 0), ({"x-delivery-count": 7}, 7), ({"x-delivery-count": "7"}, 0)]
)
def test_deliveries_are_counted_by_the_broker(headers: dict[str, Any] | None, count: int) -> None:
    """0 where it does not say."""
    message = Message(b"", properties=BasicProperties(headers=headers))
    assert delivery_count(Delivery("c", 1, message, redelivered=True)) == count
    assert delivery_count(Delivery("c", 1, message)) == 0, "somebody else wrote it"


def test_a_handlers_edits_do_not_change_the_delivery_count() -> None:
    """And nothing is kept decoded for it."""
    message = Message.with_origin(b"", received(BasicProperties(headers={"x-delivery-count": 5})))
    delivery = Delivery("c", 1, message, redelivered=True)
    assert delivery_count(delivery) == 5
    assert message._own is None
    message.properties.headers = {}
    assert delivery_count(delivery) == 5


def test_deliveries_that_one_more_makes_suspects_are_split_from_the_others_in_order() -> None:
    """A suspect would come alone."""
    counts = [0, SUSPECT, SUSPECT - 2, SUSPECT - 1]
    messages = [Message(b"", headers={"x-delivery-count": each}) for each in counts]
    made = [Delivery("c", tag, message, redelivered=True) for tag, message in enumerate(messages)]
    assert split_by_limit(made) == ([made[1], made[3]], [made[0], made[2]])


def test_the_count_of_what_is_tried_again_here_is_that_of_what_came() -> None:
    """Its copy has none, and a requeue is of the original."""
    came = Message(b"x", headers={"x-delivery-count": SUSPECT})
    again = Delivery("c", 1, Message(b"x"), redelivered=True, came=came)
    assert delivery_count(again) == SUSPECT
    assert split_by_limit([again]) == ([again], [])
