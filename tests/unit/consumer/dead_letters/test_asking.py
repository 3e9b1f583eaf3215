"""What a person is asked about before it is deleted; with a broker it is tested in tests/system."""

from consumer.dead_letters.asking import Asking
from consumer.dead_letters.parked import Parked
from tests.unit.consumer.dead_letters.conftest import Given, message


def test_only_what_was_counted_is_remembered(given: Given) -> None:
    """Not what was behind `--max`."""
    asking = Asking(*given(2))
    for number in range(3):
        asking.visit(number, message(number))
    assert asking.count == 2
    assert [asking.shown.has(Parked(1, message(number))) for number in range(4)] == [True, True, False, False]
