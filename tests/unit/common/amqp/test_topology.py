"""Every queue of the pair."""

from hypothesis import given
from hypothesis import strategies as st

from common.amqp.topology import Topology

TOPOLOGY = Topology("jobs", (5.0, 0.25, 300.0))
QUEUES = {queue.name: queue.all_arguments for queue in TOPOLOGY.queues}


def test_all_queues_are_named_from_one() -> None:
    """The delay in the name is as people write it."""
    assert list(QUEUES) == ["jobs.dead", "jobs", "jobs.retry.5s", "jobs.retry.250ms", "jobs.retry.5m"]
    assert TOPOLOGY.dead == "jobs.dead"
    assert TOPOLOGY.retry(0.25) == "jobs.retry.250ms"


def test_all_queues_are_quorum_queues_with_a_delivery_limit_where_consumers_read() -> None:
    """A limit alike on all versions of the broker; the parked ones practically none."""
    assert {arguments["x-queue-type"] for arguments in QUEUES.values()} == {"quorum"}
    assert QUEUES["jobs"]["x-delivery-limit"] == 20
    assert QUEUES["jobs.dead"]["x-delivery-limit"] == 1_000_000


def test_dead_lettering_is_at_least_once_with_all_that_needs() -> None:
    """Without one of the three arguments the broker falls back to at most once."""
    for name, arguments in QUEUES.items():
        if "x-dead-letter-exchange" in arguments:
            assert arguments["x-dead-letter-strategy"] == "at-least-once"
            assert arguments["x-overflow"] == "reject-publish"
            assert arguments["x-dead-letter-routing-key"] == ("jobs.dead" if name == "jobs" else "jobs")
    assert "x-dead-letter-exchange" not in QUEUES["jobs.dead"]


def test_a_retry_queue_keeps_a_message_for_its_delay() -> None:
    """In milliseconds, on the queue."""
    assert [QUEUES[f"jobs.retry.{delay}"]["x-message-ttl"] for delay in ("250ms", "5s", "5m")] == [250, 5000, 300_000]


@given(st.lists(st.integers(1, 2**31).map(lambda ms: ms / 1000), max_size=20))
def test_queues_of_one_name_have_the_same_arguments(delays: list[float]) -> None:
    """A delay that is given twice is declared twice, and the second declaration must be accepted."""
    seen: dict[str, dict[str, object]] = {}
    for queue in Topology("q", delays).queues:
        assert seen.setdefault(queue.name, queue.all_arguments) == queue.all_arguments
