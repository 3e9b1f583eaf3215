"""Replay, while there is no broker; with one it is tested in tests/broker and tests/system."""

import pytest

from consumer.dead_letters.chunks import FIRST
from consumer.dead_letters.replay import WINDOW, Replay
from tests.unit.consumer.dead_letters.conftest import Given, message


@pytest.fixture
def replay(given: Given, own_metrics: None) -> Replay:
    return Replay(*given())


def test_nothing_more_is_asked_for_while_a_window_waits(replay: Replay) -> None:
    """Its memory is bounded."""
    assert replay.next_chunk(0, 0, 10**6) == FIRST
    for number in range(WINDOW):
        replay.visit(number, message(number))
    assert replay.next_chunk(WINDOW, WINDOW, 10**6) == 0
    assert not replay.idle()


def test_what_was_not_sent_when_it_is_stopped_stays_parked(replay: Replay) -> None:
    """It is neither done nor in doubt."""
    replay.visit(1, message(1))
    replay.stop()
    assert replay.idle()
    report = replay.report()
    assert (report.command, report.done, report.unconfirmed, report.interrupted) == ("replay", 0, 0, True)
    assert replay.summary()[0] == 0


def test_it_needs_both_of_its_connections(replay: Replay) -> None:
    """To look, and to publish."""
    assert [connection.name for connection in replay.connections()] == ["dead_letters", "dead_letters_replay"]
