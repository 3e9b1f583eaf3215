"""Memory is bounded in bytes, not only in messages."""

from tests.processes import until
from tests.system.kit import SEAMS, Start, peak

MOST = 150  # MiB; a window of these messages is 400 MiB


def test_a_source_of_large_messages_does_not_fill_the_producer(start: Start) -> None:
    """It is read no faster than the broker confirms, by bytes."""
    producer = start("producer", "--source", f"{SEAMS}:heavy").wait_ready()
    until(lambda: producer.metric("producer_confirmed_total") >= 300, "three hundred are confirmed", 60)
    assert 0 < peak(producer) < MOST
