"""The temporary queue."""

import re
import secrets

import pytest

from common.amqp.topology import Topology
from common.settings.types import check_queue_name
from consumer.verify.topology import EXPIRES_MS, pattern, temporary


def test_it_is_one_queue_with_the_arguments_of_the_real_one_that_does_not_stay() -> None:
    """It stands for that."""
    made = temporary("jobs", "0a1b")
    (queue,) = made.queues
    real = next(each for each in Topology("jobs.verify.0a1b").queues if each.name == made.name)
    assert queue.name == made.name == "jobs.verify.0a1b"
    assert queue.all_arguments == real.all_arguments | {"x-expires": EXPIRES_MS}


@pytest.mark.parametrize("name", ["jobs", "a.b", "a+b(c)", "x" * 235])
def test_rights_by_the_pattern_are_for_its_temporary_queues_alone(name: str) -> None:
    """Not for the queue itself, and not for another's."""
    allowed = re.compile(f"^{pattern(name)}$")
    made = temporary(name, secrets.token_hex(4)).name
    assert allowed.search(made)
    assert len(made) <= 255
    for other in (name, f"{name}.dead", f"{name}.verify.", f"{made}.dead", f"x{made}", made.replace(".", "-")):
        assert not allowed.search(other)


def test_the_longest_name_leaves_room_for_it() -> None:
    """As for the retry queues."""
    check_queue_name("x" * 235)
    with pytest.raises(ValueError, match="longer"):
        check_queue_name("x" * 236)
