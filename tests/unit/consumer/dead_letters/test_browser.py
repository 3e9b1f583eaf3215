"""What a browser promises while there is no broker; with one it is tested in tests/broker and tests/system."""

from unittest.mock import Mock

from common.refusal import Kind, Refusal
from common.state import State
from consumer.dead_letters.browser import Browser
from consumer.dead_letters.request import DeadLettersSettings
from consumer.dead_letters.visitor import Visitor
from tests.unit.conftest import Loop


def test_without_a_broker_nothing_is_known_and_nothing_has_ended(process: Loop, settings: DeadLettersSettings) -> None:
    """It waits for a connection."""
    browser = Browser(process, settings, Mock(Visitor))
    browser.connection.open()
    process.turn(lambda: browser.connection.state is State.BACKING_OFF, "a refusal")
    browser.tick(0.0)
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
    browser.opened(Mock())
    assert browser.lost_by == gone
    visitor.next_chunk.assert_not_called()
