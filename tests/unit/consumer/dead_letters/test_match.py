"""Which parked messages are meant."""

import time

import pytest
from pika import BasicProperties

from common.message import Message
from consumer.dead_letters.match import parse_match
from consumer.dead_letters.parked import Parked

HOUR = 3600
PARKED = Parked(
    1,
    Message(
        b"",
        properties=BasicProperties(
            message_id="order-1",
            timestamp=int(time.time()) - 2 * HOUR,
            headers={
                "mq-last-error": "TimeoutError: no answer",
                "tenant": "acme",
                "number": 7,
                "vip": True,
                "a.b": "c=d",
            },
        ),
    ),
)
FITTING = [
    *("id=order-1", "id~^order", "error~Timeout", "error=TimeoutError: no answer", "older=1h", "newer=3h"),
    *("header.tenant=acme", "header.tenant~^ac", "header.number=7", "header.vip=true", "header.a.b=c=d"),
]
OTHERS = [
    *("id=order", "id~^rder", "error=Timeout", "error~timeout", "older=3h", "newer=1h"),
    *("header.tenant=Acme", "header.nothing=", "header.nothing~.*", "header.number=8"),
]
WRONG = [
    "",
    "foo",
    "id",
    "id!x",
    "header.=x",
    "age>2h",
    "older~2h",
    "older=2",
    "older=",
    "error~(",
    "error~*",
    "error~a{99999999999}",
    f"error~{'(' * 3000}{')' * 3000}",
    "Error~x",
]


@pytest.mark.parametrize("text", FITTING)
def test_what_fits(text: str) -> None:
    """= is equal, ~ is found in."""
    assert parse_match(text)(PARKED)


@pytest.mark.parametrize("text", OTHERS)
def test_what_does_not(text: str) -> None:
    """A header that is not there is equal to nothing."""
    assert not parse_match(text)(PARKED)


def test_what_has_no_age_is_neither_old_nor_new() -> None:
    """Nobody knows."""
    ageless = Parked(1, Message(b""))
    assert not parse_match("older=0s")(ageless)
    assert not parse_match("newer=8760h")(ageless)


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_understood_is_said(text: str) -> None:
    """With what could be written."""
    with pytest.raises(ValueError, match=r"id=ID|regular expression|duration"):
        parse_match(text)
