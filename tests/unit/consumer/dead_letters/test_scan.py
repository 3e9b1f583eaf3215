"""What a scan promises while there is no broker; with one it is tested in tests/broker and tests/system."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from common.amqp.connection import Connection, State
from common.amqp.errors import BrokerError, Kind
from consumer.dead_letters.browser import Browser
from consumer.dead_letters.commands import DeadLettersSettings
from consumer.dead_letters.replay import Purge, Replay
from consumer.dead_letters.scan import FIRST_BATCH, Deadline, Listing, Report, Scan
from tests.unit.conftest import Loop
from tests.unit.consumer.dead_letters.conftest import ScanArguments, message

LIMIT = BrokerError(Kind.LIMIT, "limit ( ... )")
MIB = 1024 * 1024
REPORT = Report("replay", "jobs.dead", 2000, 2000, 1500)


def connection_to(process: Loop, settings: DeadLettersSettings) -> Connection:
    visitor: Any = None
    return Browser(process, settings, visitor).connection


def test_a_scan_gives_up_when_no_broker_listens(process: Loop, scan_arguments: ScanArguments) -> None:
    scan = Scan(*scan_arguments())
    scan.start()
    process.turn(lambda: scan.tick(time.monotonic()) or scan.done(), "it gives up")
    assert scan.error
    assert scan.error.kind is Kind.TCP
    scan.close()
    assert scan.closed()


def test_a_scan_stopped_before_it_was_connected_is_done_at_once(scan_arguments: ScanArguments) -> None:
    """There is nothing to give back."""
    scan = Scan(*scan_arguments())
    assert not scan.done()
    scan.stop()
    assert scan.done()
    assert scan.report().interrupted


def test_a_scan_wants_no_more_when_its_filter_is_full_and_reports_its_numbers(scan_arguments: ScanArguments) -> None:
    scan = Scan(*scan_arguments(2))
    scan.browser.total = 3
    for number in range(3):
        scan.browser.seen += 1
        assert scan.wants_more() is (number < 2)
        scan.visit(number, message(number))
    report = scan.report()
    assert (report.queue, report.parked, report.looked_at, report.done, report.more) == ("jobs.dead", 3, 3, 2, True)
    assert scan.summary() == (0, {"looked_at": 3, "taken": 2})


@pytest.mark.parametrize(("total", "more"), [(2, False), (3, True)])
def test_a_full_filter_leaves_more_if_messages_are_unseen(
    total: int, more: bool, scan_arguments: ScanArguments
) -> None:
    scan = Scan(*scan_arguments(2))
    scan.browser.total, scan.browser.seen = total, 2
    scan.visit(1, message(1))
    scan.visit(2, message(2))
    assert scan.report().more is more


@pytest.mark.parametrize(("finished", "elsewhere"), [(True, 2), (False, 0)])
def test_messages_that_did_not_come_to_a_finished_scan_are_elsewhere(
    finished: bool, elsewhere: int, scan_arguments: ScanArguments
) -> None:
    """A scan that lost its broker knows nothing of them."""
    scan = Scan(*scan_arguments())
    scan.browser.total, scan.browser.seen, scan.browser.finished = 3, 1, finished
    assert scan.report().elsewhere == elsewhere


@pytest.mark.parametrize("kind", [Listing, Purge, Replay])
@pytest.mark.usefixtures("own_metrics")
def test_messages_after_an_interrupt_are_left_alone(scan_arguments: ScanArguments, kind: Callable[..., Scan]) -> None:
    """They come only for the order: a queue that was browsed before must be read to its end."""
    scan = kind(*scan_arguments(), view=None) if kind is Listing else kind(*scan_arguments())
    scan.stop()
    scan.visit(1, message(1))
    assert scan.filter.accepted == 0
    assert scan.idle()


def test_a_listing_keeps_the_views_of_accepted_messages_alone(scan_arguments: ScanArguments) -> None:
    listing = Listing(*scan_arguments(2), view=lambda letter: letter.message.message_id)
    for number in range(4):
        listing.visit(number, message(number))
    assert listing.views == ["m0", "m1"]
    assert listing.count == 2


def test_a_scan_requests_all_messages_at_once_if_the_broker_can_hold_them(scan_arguments: ScanArguments) -> None:
    """After a few that tell how large messages are."""
    scan = Scan(*scan_arguments())
    assert scan.next_batch(0, 0, 100_000) == FIRST_BATCH
    assert scan.next_batch(FIRST_BATCH, FIRST_BATCH * 1000, 100_000) == 100_000
    assert scan.next_batch(FIRST_BATCH, FIRST_BATCH * MIB, 100_000) == 128
    assert scan.next_batch(0, 0, 3) == 3


@given(st.integers(0, 10**6), st.integers(0, 10**12), st.integers(1, 10**6))
@profile(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_is_never_empty_and_never_more_than_is_left(
    scan_arguments: ScanArguments, seen: int, size: int, left: int
) -> None:
    """Or a scan would stand still, or wait for what never comes."""
    assert 1 <= Scan(*scan_arguments()).next_batch(seen, size, left) <= left


def test_a_report_is_complete_if_nothing_is_left_over() -> None:
    """What `--max` leaves was not asked for."""
    assert REPORT.complete
    assert REPORT._replace(more=True).complete
    for field in ("replayed_too_often", "unpublishable", "unconfirmed", "elsewhere", "interrupted"):
        assert not REPORT._replace(**{field: 3}).complete


def test_a_broker_that_is_not_there_is_tried_once(process: Loop, settings: DeadLettersSettings) -> None:
    """A person sees at once what is wrong."""
    deadline, connection = Deadline(settings), connection_to(process, settings)
    assert deadline.error([connection], 0.0, time.monotonic()) is None
    connection.open()
    process.turn(lambda: connection.broker_error, "a broker_error")
    error = deadline.error([connection], 0.0, time.monotonic())
    assert error
    assert error.kind is Kind.TCP
    connection.close()


def test_each_of_several_brokers_is_tried(process: Loop, settings: DeadLettersSettings) -> None:
    """MQ_CONNECT_TIMEOUT for each of the others."""
    several = settings.model_copy(update={"mq_url": type(settings.mq_url)("amqp://127.0.0.1:1,amqp://127.0.0.1:2")})
    deadline, connection = Deadline(several), connection_to(process, several)
    connection.broker_error = LIMIT
    now = time.monotonic()
    assert deadline.error([connection], 0.0, now) is None
    assert deadline.error([connection], 0.0, now + several.mq_connect_timeout + 1) == LIMIT


@pytest.mark.parametrize(
    ("broker_error", "waits"),
    [
        (None, True),
        (LIMIT, True),
        (BrokerError(Kind.TOPOLOGY, "312 NO_ROUTE"), True),
        (BrokerError(Kind.TOPOLOGY, "404 NOT_FOUND"), False),
        (BrokerError(Kind.PERMISSION, "403 ACCESS_REFUSED"), False),
    ],
)
def test_after_it_was_open_a_connection_is_waited_for_unless_waiting_cannot_help(
    broker_error: BrokerError | None, waits: bool, process: Loop, settings: DeadLettersSettings
) -> None:
    """As long as something happens within MQ_BLOCKED_TIMEOUT."""
    deadline, connection = Deadline(settings), connection_to(process, settings)
    connection.state = State.OPEN
    assert deadline.error([connection], 0.0, 0.0) is None
    assert deadline.was_open
    connection.state, connection.broker_error = State.BACKING_OFF, broker_error
    assert (deadline.error([connection], 100.0, 101.0) is None) is waits
    stalled = deadline.error([connection], 100.0, 100.0 + settings.mq_blocked_timeout)
    assert stalled
    assert "MQ_BLOCKED_TIMEOUT" in stalled.text or stalled == broker_error
