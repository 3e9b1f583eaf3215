"""How a queue that is there differs: the brokers' own texts."""

import re
from typing import Any, cast

import pytest
from pika import SelectConnection

from common.amqp.difference import INEQUIVALENT, Difference, parse_value
from common.amqp.topology import Topology

SAYS = "PRECONDITION_FAILED - inequivalent arg '{}' for queue '{}' in vhost '{}': received {} but current is {}"
TEXTS = [
    ("x-queue-type", "the value 'quorum' of type 'longstr'", "none", None),
    ("x-queue-type", "'quorum'", "'classic'", "classic"),
    ("x-message-ttl", "the value '5000' of type 'signedint'", "the value '6000' of type 'signedint'", 6000),
    ("x-delivery-limit", "the value '20' of type 'signedint'", "none", None),
    ("x-delivery-limit", "none", "the value '5' of type 'long'", 5),
    ("x-dead-letter-exchange", "the value '' of type 'longstr'", "the value 'dlx' of type 'longstr'", "dlx"),
    ("x-dead-letter-routing-key", "none", "the value '42' of type 'longstr'", "42"),
    ("durable", "'true'", "'false'", "false"),
    ("x-single-active-consumer", "none", "the value 'true' of type 'bool'", "true"),
]


@pytest.mark.parametrize(("argument", "wanted", "found", "value"), TEXTS)
@pytest.mark.parametrize("vhost", ["/", "a 'b'"])
def test_the_brokers_words_are_taken_apart(argument: str, wanted: str, found: str, value: object, vhost: str) -> None:
    """Argument, queue, and the value that is there, of its type."""
    match = re.search(INEQUIVALENT, SAYS.format(argument, "jobs.retry.5s", vhost, wanted, found))
    assert match
    assert match["argument"] == argument
    assert match["queue"] == "jobs.retry.5s"
    assert match["wanted"] == wanted
    assert parse_value(match["found"]) == value


@pytest.mark.parametrize("queue", ["a'b", "with space", "ünïcode", "in vhost"])
def test_queue_names_may_hold_anything(queue: str) -> None:
    """Quotes too."""
    text = SAYS.format("x-message-ttl", queue, "/", "none", "the value '1' of type 'signedint'")
    match = re.search(INEQUIVALENT, text)
    assert match
    assert match["queue"] == queue


@pytest.mark.parametrize(
    "text",
    [
        "NOT_FOUND - no queue 'jobs' in vhost '/'",
        SAYS.format("x-message-ttl", "of somebody else", "/", "none", "'1'"),
        "",
    ],
)
def test_other_words_are_handed_on_unchanged_and_nothing_is_asked(text: str) -> None:
    """So no connection is needed for them."""
    told: list[str] = []
    Difference(cast("SelectConnection", None), Topology("jobs").queues, text, told.append)
    assert told == [text]


def test_an_argument_that_cannot_be_tried_differently_is_handed_on(closed: Any) -> None:
    """`durable` is no argument of the table."""
    text = SAYS.format("durable", "jobs", "/", "'true'", "'false'")
    told: list[str] = []
    Difference(closed, Topology("jobs").queues, text, told.append)
    assert told == [text]


@pytest.fixture
def closed() -> Any:
    """A connection that is no longer open."""

    class Closed:
        is_open = False

    return Closed()
