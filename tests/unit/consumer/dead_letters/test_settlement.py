"""What is acknowledged or given back; with a broker it is tested in tests/broker and tests/system."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pika.channel import Channel

from consumer.dead_letters.settlement import nack_keeps_order


@pytest.mark.parametrize(
    ("version", "keeps"),
    [("4.3.0", True), ("4.3.6-rc.1", True), ("4.10.1", True), ("5.0.0", True), ("4.2.9", False), ("3.10.8", False)],
)
def test_a_nack_keeps_the_order_from_4_3_on(version: str, keeps: bool) -> None:
    """By what the broker says of itself."""
    assert nack_keeps_order(channel_of({"version": version})) is keeps


@pytest.mark.parametrize("properties", [None, {}, {"version": "unknown"}])
def test_a_broker_that_does_not_say_is_taken_for_an_old_one(properties: dict[str, Any] | None) -> None:
    """A close keeps the order on all."""
    assert not nack_keeps_order(channel_of(properties))


def channel_of(properties: dict[str, Any] | None) -> Channel:
    return cast("Channel", SimpleNamespace(connection=SimpleNamespace(server_properties=properties)))
