"""The handler, without a broker."""

from consumer.outcome import Ack, Park, Retry
from consumer.testing import handled

from acme.handler import handle


def test_an_order_is_shipped() -> None:
    assert handled(handle, {"order": 1, "total": 9.5}) == Ack()


def test_a_negative_total_is_parked() -> None:
    assert isinstance(handled(handle, {"order": 1, "total": -1}), Park)


def test_what_is_no_json_is_parked() -> None:
    assert isinstance(handled(handle, b"{"), Park)


def test_what_lacks_its_total_is_tried_again() -> None:
    assert isinstance(handled(handle, {"order": 1}), Retry)
