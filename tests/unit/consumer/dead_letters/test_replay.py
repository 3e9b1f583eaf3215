"""Replay and purge while there is no broker; with one they are tested in tests/broker and tests/system."""

from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from common.message import Message
from consumer.dead_letters import replay as module
from consumer.dead_letters.replay import MAX_BATCH, Purge, Replay
from consumer.dead_letters.scan import FIRST_BATCH
from tests.unit.consumer.dead_letters.conftest import ScanArguments, message

MIB = 1024 * 1024


@pytest.fixture
def replay(scan_arguments: ScanArguments, own_metrics: None) -> Replay:
    return Replay(*scan_arguments())


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """In place of the one that speaks to a broker; it has room for one message."""
    publisher = MagicMock(room=1)
    publisher.connection.properties_room = 131_052
    publisher.return_value = publisher
    monkeypatch.setattr(module, "Publisher", publisher)
    return publisher


def next_batch(replay: Replay, seen: int, size: int, left: int, held: int) -> int:
    """With `held` of `seen` not acknowledged."""
    replay.browser.acknowledged = seen - held
    return replay.next_batch(seen, size, left)


def test_a_purged_message_counts_when_the_broker_has_committed_it(scan_arguments: ScanArguments) -> None:
    purge = Purge(*scan_arguments())
    purge.visit(1, message(1))
    assert (purge.filter.accepted, purge.count) == (1, 0)
    assert purge.report().command == "purge"


def test_a_replay_requests_what_fits_into_its_memory_and_more_when_much_is_held(replay: Replay) -> None:
    assert next_batch(replay, 0, 0, 100_000, 0) == FIRST_BATCH
    assert next_batch(replay, 1000, 1000, 100_000, 0) == 512
    assert next_batch(replay, 8000, 8000, 100_000, 8000) == 4000
    assert next_batch(replay, 90_000, 90_000, 10_000, 90_000) == 10_000
    assert next_batch(replay, 90_000, 90_000, 100_000, 90_000) == MAX_BATCH
    assert next_batch(replay, 100, 100 * MIB, 100_000, 0) == 16


@given(st.integers(0, 10**6), st.integers(0, 10**12), st.integers(1, 10**6), st.integers(0, 10**6))
@profile(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_is_never_empty_and_never_more_than_is_left(
    replay: Replay, seen: int, size: int, left: int, held: int
) -> None:
    """Or a replay would stand still, or wait for what never comes."""
    assert 1 <= next_batch(replay, seen, size, left, held) <= min(left, MAX_BATCH)


def test_half_a_million_held_messages_need_few_batches(replay: Replay) -> None:
    """RabbitMQ 3.10 keeps the order of what up to 32 consumers held, and each batch is one."""
    seen = batches = 0
    while seen < 500_000:
        seen += next_batch(replay, seen, seen * 100, 500_000 - seen, seen)
        batches += 1
    assert batches <= 36


def test_a_replay_requests_nothing_while_messages_wait_to_be_published(replay: Replay) -> None:
    """Its memory is bounded: one batch, and what the publisher has in flight."""
    assert replay.next_batch(1, 1, 10**6)
    replay.visit(1, message(1))
    assert replay.next_batch(1, 1, 10**6) == 0
    assert not replay.idle()


def test_a_replay_requests_more_after_it_dropped_what_waited(replay: Replay) -> None:
    """A queue that was browsed before must still be read to its end."""
    replay.visit(1, message(1))
    replay.stop()
    assert replay.next_batch(1, 1, 10)


def test_messages_not_published_when_a_replay_is_stopped_stay_parked(replay: Replay) -> None:
    """They are neither done nor unconfirmed."""
    replay.visit(1, message(1))
    replay.stop()
    assert replay.idle()
    report = replay.report()
    assert (report.command, report.done, report.unconfirmed, report.interrupted) == ("replay", 0, 0, True)
    assert replay.summary()[0] == 0


def test_a_replay_publishes_while_there_is_room_and_acknowledges_what_is_confirmed(
    publisher: MagicMock, scan_arguments: ScanArguments
) -> None:
    replay = Replay(*scan_arguments())
    acknowledged: list[int] = []
    replay.browser.acknowledge = acknowledged.extend  # type: ignore[method-assign]
    replay.visit(1, message(1))
    publisher.room = 0
    replay.visit(2, message(2))
    [[first]] = [call.args[0] for call in publisher.publish.call_args_list]
    assert (first.routing_key, first.message.message_id, first.token) == ("jobs", "m1", 1)
    assert first.message.headers["mq-replays"] == 1
    assert acknowledged == []
    publisher.room = 1
    handlers: dict[str, Callable[[Any], None]] = publisher.call_args.kwargs
    handlers["on_progress"]([first])
    assert acknowledged == [1]
    [second] = publisher.publish.call_args.args[0]
    handlers["on_refused"](second)
    replay.browser.acknowledged = 1
    assert (replay.report().done, replay.report().unpublishable, replay.report().unconfirmed) == (1, 1, 0)


def test_a_replay_publishes_nothing_after_the_connection_it_reads_by_was_lost(
    publisher: MagicMock, scan_arguments: ScanArguments
) -> None:
    """What it holds is parked again, and may be replayed by the next command."""
    replay = Replay(*scan_arguments())
    replay.browser.error = MagicMock()
    replay.visit(1, Message(b"x"))
    publisher.publish.assert_not_called()


def test_a_replay_needs_a_connection_to_read_and_one_to_publish(replay: Replay) -> None:
    assert [connection.name for connection in replay.connections] == ["dead_letters", "dead_letters_replay"]
