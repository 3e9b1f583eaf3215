"""What a walk promises while there is no broker; with one it is tested in tests/broker and tests/system."""

import time
from collections.abc import Callable

import pytest

from common.amqp.errors import Kind
from consumer.dead_letters.looking import Looking
from consumer.dead_letters.purge import Purge
from consumer.dead_letters.replay import Replay
from consumer.dead_letters.walk import Walk
from tests.unit.conftest import Loop
from tests.unit.consumer.dead_letters.conftest import Given, message


def test_a_broker_that_is_not_there_ends_it(process: Loop, given: Given) -> None:
    """With what to say."""
    walk = Walk(*given())
    walk.start()
    process.turn(lambda: walk.tick(time.monotonic()) or walk.done(), "it gives up")
    assert walk.refusal
    assert walk.refusal.kind is Kind.TCP
    walk.close()
    assert walk.closed()


def test_stopped_before_it_was_connected_it_is_done_at_once(given: Given) -> None:
    """There is nothing to give back."""
    walk = Walk(*given())
    assert not walk.done()
    walk.stop()
    assert walk.done()
    assert walk.report().interrupted


def test_it_counts_and_stops_asking_when_it_has_enough(given: Given) -> None:
    """The numbers are in its report, and all of its time-outs in `tick`."""
    walk = Walk(*given(2))
    walk.browser.total = 3
    for number in range(3):
        walk.browser.seen += 1
        assert walk.wants_more() is (number < 2)
        walk.visit(number, message(number))
    report = walk.report()
    assert (report.queue, report.parked, report.looked_at, report.done, report.more) == ("jobs.dead", 3, 3, 2, True)
    assert walk.summary() == (0, {"looked_at": 3, "taken": 2})


@pytest.mark.parametrize("kind", [Looking, Purge, Replay])
@pytest.mark.usefixtures("own_metrics")
def test_what_comes_for_the_order_alone_after_an_interrupt_is_left(given: Given, kind: Callable[..., Walk]) -> None:
    """A queue that was looked at before has to be walked to its end."""
    walk = kind(*given(), view=None) if kind is Looking else kind(*given())
    walk.stop()
    walk.visit(1, message(1))
    assert walk.selection.taken == 0
    assert walk.idle()
