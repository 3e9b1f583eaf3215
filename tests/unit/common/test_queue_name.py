"""Names of queues."""

import pytest

from common.queue_name import check_queue_name
from common.topology import Topology


@pytest.mark.parametrize("name", ["jobs", "a", "ü" * 100, "with space", "no\u00a0break", "x" * 235])
def test_a_queue_may_have_any_name_that_the_broker_takes(name: str) -> None:
    """Also not in English."""
    assert check_queue_name(name) == name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "empty"),
        ("x" * 236, "longer than 235 bytes"),
        ("ü" * 128, "longer"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("amq.x", "belong to the broker"),
    ],
)
def test_a_name_that_the_broker_refuses_is_refused_here(name: str, sentence: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=sentence):
        check_queue_name(name)


@pytest.mark.parametrize("delay", [0.001, 1.5, 3.999, 90_061.001, 8759.999 * 3600, 365 * 24 * 3600])
def test_with_any_delay_the_longest_name_still_fits(delay: float) -> None:
    """255 bytes is what AMQP can hold."""
    longest = max((size for size in range(256) if accepted("x" * size)), default=0)
    assert len(Topology("x" * longest).retry(delay)) <= 255


def accepted(name: str) -> bool:
    try:
        return bool(check_queue_name(name))
    except ValueError:
        return False
