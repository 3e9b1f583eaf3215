"""Which messages a person was asked about."""

from common.message import Message
from consumer.dead_letters.fingerprint import fingerprint
from consumer.dead_letters.parked import Parked


def parked(number: int, position: int = 1, body: bytes = b"x", **headers: object) -> Parked:
    return Parked(position, Message(body, message_id=f"m{number}", headers=headers))


def test_a_look_and_another_place_change_no_message() -> None:
    """The broker counts looks, and whatever is before it may leave."""
    later = parked(1, 3, tenant="a", **{"x-delivery-count": 2})
    assert fingerprint(parked(1, 7, tenant="a")) == fingerprint(later)


def test_another_message_is_another_one_whatever_it_is_called() -> None:
    """A name may be missing, or given twice; one that failed again meanwhile says so in its headers."""
    shown = fingerprint(parked(1, tenant="a"))
    assert shown != fingerprint(parked(1, tenant="b"))
    assert shown != fingerprint(parked(1, body=b"y", tenant="a"))
    assert shown != fingerprint(parked(1, tenant="a", **{"mq-replays": 1}))
