"""What is sent to ask for a right; that real brokers answer so is in tests/broker."""

from typing import Any, cast

import pytest
from pika.channel import Channel

from common.amqp.errors import Kind, Refusal
from common.amqp.topology import Topology
from common.doctor import rights


class Recorder:
    """A channel that writes down what it is asked for."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **arguments: self.sent.append((name, given, arguments))


def test_none_of_them_could_make_take_or_leave_anything() -> None:
    """Each has an argument that no broker takes, or goes to a queue that nobody has."""
    recorder = Recorder()
    queue = Topology("jobs").queues[1]
    for question in (rights.declare(queue), rights.consume("jobs"), rights.publish, rights.publish):
        question(cast("Channel", recorder), lambda _: None)
    declare, consume, confirm, publish, _, again = recorder.sent
    assert (declare[0], declare[2]["arguments"]["x-expires"]) == ("queue_declare", "no number")
    assert (consume[0], consume[2]["arguments"]) == ("basic_consume", {"x-priority": "no number"})
    assert confirm[0] == "confirm_delivery"
    assert publish[2]["mandatory"]
    assert publish[1][1] != again[1][1], "the name could be taken by then"


def test_the_first_right_that_is_missing_ends_the_asking() -> None:
    """Any other refusal says that it is there."""
    told: list[Refusal] = []
    asked = rights.ask(["consume", "publish"], "jobs", told.append)
    next(asked)
    asked.send(Refusal(Kind.TOPOLOGY, "406 PRECONDITION_FAILED - invalid arg"))
    forbidden = Refusal(Kind.PERMISSION, "403 ACCESS_REFUSED - no")
    with pytest.raises(StopIteration):
        asked.send(forbidden)
    assert told == [forbidden]
