"""What a browser promises while there is no broker; with one it is tested in tests/broker and tests/system."""

import time
from unittest.mock import Mock

import pytest

from common.amqp.connection import State
from common.amqp.errors import Kind, Refusal
from consumer.dead_letters.browser import QUIET, Browser, Visitor
from consumer.dead_letters.request import DeadLettersSettings
from tests.unit.conftest import Loop


def test_without_a_broker_nothing_is_known_and_nothing_has_ended(process: Loop, settings: DeadLettersSettings) -> None:
    """It waits for a connection."""
    browser = Browser(process, settings, Mock(Visitor))
    browser.connection.open()
    process.turn(lambda: browser.connection.state is State.BACKING_OFF, "a refusal")
    browser.tick()
    assert (browser.total, browser.seen, browser.ended) == (None, 0, False)
    browser.leave()
    assert not browser.settlement.complete
    browser.connection.close()


def test_a_loss_is_the_end(process: Loop, settings: DeadLettersSettings) -> None:
    """Another connection would show the same messages again."""
    visitor = Mock(Visitor)
    browser = Browser(process, settings, visitor)
    gone = Refusal(Kind.TCP, "gone")
    browser.lost(gone)
    browser.settlement.add([1])
    browser._closed_tag = 1
    browser.connection.state, browser.connection._channel = State.OPEN, (channel := Mock())  # it came again
    browser.opened(channel)
    browser.tick()
    assert not channel.mock_calls, "a tag names a delivery of its own channel"
    assert browser.lost_by == gone
    visitor.next_chunk.assert_not_called()


def test_a_commit_may_take_long_and_an_unanswered_one_is_no_movement(
    process: Loop, settings: DeadLettersSettings
) -> None:
    """Nobody else took what was asked for meanwhile; and a wait for ever would have no end."""
    now = time.monotonic()
    browser, channel = Browser(process, settings, Mock(Visitor)), Mock()
    browser.settlement.add([1])
    browser.settlement.send(channel, upto=1)
    browser._coming = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now + 2 * QUIET)
        browser.tick()
        assert browser.moved_at < now + QUIET
        assert not browser.ended
        channel.tx_commit.call_args.args[0](None)
        assert browser.moved_at == now + 2 * QUIET
        assert not browser.ended
        patch.setattr(time, "monotonic", lambda: now + 4 * QUIET)
        assert browser.ended
