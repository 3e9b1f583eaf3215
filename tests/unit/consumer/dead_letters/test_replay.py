"""Replay, while there is no broker; with one it is tested in tests/broker and tests/system."""

import pytest

from common.message import Message
from consumer.dead_letters.chunks import FIRST, WORK
from consumer.dead_letters.replay import WINDOW, Replay
from tests.unit.consumer.dead_letters.conftest import Given, message


@pytest.fixture
def replay(given: Given, own_metrics: None) -> Replay:
    return Replay(*given())


@pytest.mark.parametrize(("count", "size"), [(WINDOW, 1), (2, WORK // 2)])
def test_nothing_more_is_asked_for_while_so_many_or_so_much_wait(count: int, size: int, replay: Replay) -> None:
    """Its memory is bounded, in messages and in bytes."""
    assert replay.next_chunk(0, 0, 10**6) == FIRST
    for number in range(count):
        assert replay.next_chunk(1, 1, 10**6)
        replay.visit(number, Message(bytes(size)))
    assert replay.next_chunk(1, 1, 10**6) == 0
    assert not replay.idle()


def test_what_was_not_sent_when_it_is_stopped_stays_parked(replay: Replay) -> None:
    """It is neither done nor in doubt."""
    replay.visit(1, message(1))
    replay.stop()
    assert replay.idle()
    report = replay.report()
    assert (report.command, report.done, report.unconfirmed, report.interrupted) == ("replay", 0, 0, True)
    assert replay.summary()[0] == 0


def test_what_was_let_go_takes_no_room(replay: Replay) -> None:
    """The rest must still be seen when somebody has looked at it before."""
    replay.visit(1, Message(bytes(WORK)))
    assert replay.next_chunk(1, 1, 10) == 0
    replay.stop()
    assert replay.next_chunk(1, 1, 10)


def test_it_needs_both_of_its_connections(replay: Replay) -> None:
    """To look, and to publish."""
    assert [connection.name for connection in replay.connections()] == ["dead_letters", "dead_letters_replay"]
