"""Purge, while there is no broker; with one it is tested in tests/system."""

from consumer.dead_letters.purge import Purge
from tests.unit.consumer.dead_letters.conftest import Given, message


def test_nothing_counts_as_deleted_before_the_broker_has_said_so(given: Given) -> None:
    """Taken is not yet done."""
    purge = Purge(*given())
    purge.visit(1, message(1))
    assert (purge.selection.taken, purge.count) == (1, 0)
    assert purge.report().command == "purge"
