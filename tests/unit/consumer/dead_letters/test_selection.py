"""Of the messages that are looked at, those that are asked for."""

from common.message import Message
from consumer.dead_letters.match import parse_match
from consumer.dead_letters.parked import Parked
from consumer.dead_letters.selection import Selection


def parked(number: int, replays: int = 0) -> Parked:
    return Parked(number, Message(b"", message_id=f"m{number}", headers={"mq-replays": replays}))


def taken(selection: Selection, *messages: Parked) -> list[int]:
    return [each.position for each in messages if selection.takes(each)]


def test_all_matches_must_hold() -> None:
    """None is no condition."""
    messages = [parked(number) for number in range(20)]
    assert taken(Selection([]), *messages) == list(range(20))
    both = Selection([parse_match("id~1"), parse_match("id~2$")])
    assert taken(both, *messages) == [12]
    assert (both.looked, both.taken, both.enough, both.more) == (20, 1, False, False)


def test_at_most_so_many_and_whether_there_were_more() -> None:
    """What does not match is no more."""
    selection = Selection([parse_match("id~^m[0-3]$")], 3)
    assert taken(selection, *map(parked, range(3))) == [0, 1, 2]
    assert (selection.enough, selection.more) == (True, False)
    assert taken(selection, parked(9)) == []
    assert not selection.more
    assert taken(selection, parked(3)) == []
    assert selection.more


def test_what_came_back_twice_is_counted_and_left() -> None:
    """If that was asked for; it takes no place of those that are taken."""
    messages = [parked(1, replays=1), parked(2, replays=2), parked(3, replays=3), parked(4)]
    selection = Selection([], 2, fresh=True)
    assert taken(selection, *messages) == [1, 4]
    assert selection.worn == 2
    assert taken(Selection([]), *messages) == [1, 2, 3, 4]
