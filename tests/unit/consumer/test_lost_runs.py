"""Handlers that outlive their channel; what the service makes of them is tested with it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from common.amqp.errors import BrokerError, Kind
from common.message import Message
from consumer import lost_runs
from consumer.delivery import Delivery
from consumer.forward import Forward
from consumer.lost_runs import MAX_FORWARDED_BYTES, LostRuns, identify
from consumer.outcome import ACK, Ack, Forwarded
from tests.unit.origins import received

GONE = BrokerError(Kind.TCP, "gone")
COUNTS = {"x-delivery-count": 3, "x-acquired-count": 4}


def message(body: bytes = b"x", **fields: Any) -> Message:
    return Message.with_origin(body, received(BasicProperties(**fields)))


def redelivery(tag: int, sent: Message, channel: str = "new") -> Delivery:
    return Delivery(channel, tag, sent, redelivered=True)


@given(st.none() | st.dictionaries(st.text(min_size=1, max_size=5), st.integers(-9, 9) | st.text() | st.booleans()))
def test_a_message_is_the_same_whatever_the_broker_counts(headers: dict[str, Any] | None) -> None:
    """And whatever a handler does to its own properties."""
    first = message(message_id="m", headers=headers)
    again = message(message_id="m", headers={**COUNTS, **(headers or {})})
    first.properties.headers = {"of": "the handler"}
    assert identify(first) == identify(again)


FIELDS = {
    "content_type": "text/plain",
    "headers": {"tenant": "a"},
    "priority": 1,
    "correlation_id": "c",
    "reply_to": "r",
    "message_id": "m",
    "timestamp": 1,
    "type": "t",
    "app_id": "a",
}


@pytest.mark.parametrize("name", FIELDS)
def test_messages_that_differ_in_any_property_are_different(name: str) -> None:
    others = {key: value for key, value in FIELDS.items() if key != name}
    assert identify(message(**FIELDS)) != identify(message(**others))


def test_what_is_in_the_body_is_not_taken_for_properties() -> None:
    assert len({identify(message(body)) for body in (b"", b"\0", b"x", b"x\0", b"\0x")}) == 5


def test_deliveries_are_looked_at_behind_a_loss_alone() -> None:
    """It would cost with every message, and nothing runs on."""
    runs = LostRuns(300.0)
    assert not runs.active
    runs.lost([], GONE, 0.0)
    assert runs.active
    came = [redelivery(1, message(message_id="m"))]
    assert runs.claim(came, [], 0.0) == (came, [])
    assert not runs.active


def test_a_run_that_its_worker_noted_behind_the_loss_is_found() -> None:
    """Between taking a delivery and noting it a worker can be interrupted."""
    runs, sent = LostRuns(300.0), message(message_id="m")
    runs.lost([], GONE, 0.0)
    old = Delivery("old", 7, sent)
    new = redelivery(1, sent)
    assert runs.claim([new], [(0.0, old), (0.0, Delivery("new", 9, message(b"other")))], 0.0) == ([], [])
    assert runs.runs(redelivery(2, sent))
    assert not runs.runs(Delivery("new", 2, sent))
    assert runs.active
    assert runs.ended([(old, ACK, 1.0)]) == [(new, ACK, 1.0)]
    assert runs.claim([redelivery(3, sent)], [], 0.0)[1] == []
    assert not runs.active


def test_a_redelivery_that_was_lost_too_is_acknowledged_by_nothing() -> None:
    """Its tag would name another message."""
    runs, sent = LostRuns(300.0), message(message_id="m")
    old = Delivery("old", 7, sent)
    runs.lost([(0.0, old)], GONE, 0.0)
    runs.claim([redelivery(1, sent)], [], 0.0)
    runs.lost([(0.0, old)], GONE, 0.0)
    assert runs.ended([(old, ACK, 1.0)]) == []
    newest = redelivery(5, sent, "newest")
    assert runs.claim([newest], [], 0.0) == ([], [(newest, Ack(), 1.0)])


@pytest.mark.parametrize(("size", "kept"), [(MAX_FORWARDED_BYTES, True), (MAX_FORWARDED_BYTES + 1, False)])
def test_what_a_lost_run_forwards_is_kept_if_it_is_small(size: int, kept: bool) -> None:
    """A thousand large ones would fill the memory; those are handled again."""
    runs, sent = LostRuns(300.0), message(message_id="m")
    outcome = Forwarded((Forward(b"", to="out"),), (Message(bytes(size)),))
    runs.ended([(Delivery("old", 1, sent), outcome, 0.1)])
    others, done = runs.claim([redelivery(1, sent)], [], 0.0)
    assert (len(others), len(done)) == (not kept, kept)


def test_so_many_outcomes_are_kept_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_runs, "MAX_KEPT", 2)
    runs = LostRuns(300.0)
    sent = [message(message_id=str(number)) for number in range(3)]
    runs.ended((Delivery("old", tag, each), ACK, 0.0) for tag, each in enumerate(sent))
    came = [redelivery(tag, each) for tag, each in enumerate(sent)]
    assert runs.claim(came, [], 0.0) == (came[:1], [(each, ACK, 0.0) for each in came[1:]])
