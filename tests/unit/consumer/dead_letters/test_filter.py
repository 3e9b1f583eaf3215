"""Which dead letters a command acts on."""

import time

import pytest
from pika import BasicProperties

from common.message import Message
from consumer.dead_letters.dead_letter import DeadLetter
from consumer.dead_letters.filter import Filter, parse_expression

HOUR = 3600
LETTER = DeadLetter(
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
MATCHING = [
    *("id=order-1", "id~^order", "error~Timeout", "error=TimeoutError: no answer", "older=1h", "newer=3h"),
    *("header.tenant=acme", "header.tenant~^ac", "header.number=7", "header.vip=true", "header.a.b=c=d"),
]
NOT_MATCHING = [
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


def letter(number: int, replays: int = 0) -> DeadLetter:
    return DeadLetter(number, Message(b"", message_id=f"m{number}", headers={"mq-replays": replays}))


def accepted(wanted: Filter, *letters: DeadLetter) -> list[int]:
    return [each.position for each in letters if wanted.accepts(each)]


@pytest.mark.parametrize("text", MATCHING)
def test_expressions_that_match(text: str) -> None:
    assert parse_expression(text)(LETTER)


@pytest.mark.parametrize("text", NOT_MATCHING)
def test_expressions_that_do_not_match(text: str) -> None:
    """A header that is missing matches nothing, not even the empty text."""
    assert not parse_expression(text)(LETTER)


def test_a_message_without_a_date_is_neither_older_nor_newer() -> None:
    ageless = DeadLetter(1, Message(b""))
    assert not parse_expression("older=0s")(ageless)
    assert not parse_expression("newer=8760h")(ageless)


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_expression_is_refused_with_the_syntax_or_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"id=ID|regular expression|duration"):
        parse_expression(text)


def test_a_filter_accepts_what_all_of_its_expressions_match() -> None:
    """Without an expression it accepts everything."""
    letters = [letter(number) for number in range(20)]
    assert accepted(Filter([]), *letters) == list(range(20))
    both = Filter([parse_expression("id~1"), parse_expression("id~2$")])
    assert accepted(both, *letters) == [12]
    assert (both.examined, both.accepted, both.full, both.more) == (20, 1, False, False)


def test_a_full_filter_notices_only_matching_messages_as_more() -> None:
    wanted = Filter([parse_expression("id~^m[0-3]$")], 3)
    assert accepted(wanted, *map(letter, range(3))) == [0, 1, 2]
    assert (wanted.full, wanted.more) == (True, False)
    assert accepted(wanted, letter(9)) == []
    assert not wanted.more
    assert accepted(wanted, letter(3)) == []
    assert wanted.more


def test_messages_replayed_twice_are_counted_and_skipped_when_asked() -> None:
    """They do not count towards the most that are accepted."""
    letters = [letter(1, replays=1), letter(2, replays=2), letter(3, replays=3), letter(4)]
    wanted = Filter([], 2, skip_replayed=True)
    assert accepted(wanted, *letters) == [1, 4]
    assert wanted.replayed_too_often == 2
    assert accepted(Filter([]), *letters) == [1, 2, 3, 4]
