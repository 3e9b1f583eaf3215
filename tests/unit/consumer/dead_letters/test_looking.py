"""For `list`, `show` and `--dry-run`."""

from consumer.dead_letters.looking import Looking
from tests.unit.consumer.dead_letters.conftest import Given, message


def test_it_keeps_a_view_of_what_is_taken(given: Given) -> None:
    """And no more."""
    looking = Looking(*given(2), view=lambda parked: parked.message.message_id)
    for number in range(4):
        looking.visit(number, message(number))
    assert looking.views == ["m0", "m1"]
    assert looking.count == 2
