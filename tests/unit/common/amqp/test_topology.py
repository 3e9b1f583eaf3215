"""The queues of the pair and their arguments."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.amqp.topology import ABSENT_MAX, Topology, can_be_refused

TOPOLOGY = Topology("jobs", (5.0, 0.25, 300.0))
QUEUES = {queue.name: queue.all_arguments for queue in TOPOLOGY.queues}


def test_every_queue_is_named_after_the_main_queue() -> None:
    """With delays as people write them."""
    assert list(QUEUES) == ["jobs.dead", "jobs", "jobs.retry.5s", "jobs.retry.250ms", "jobs.retry.5m"]
    assert TOPOLOGY.dead == "jobs.dead"
    assert TOPOLOGY.retry(0.25) == "jobs.retry.250ms"


def test_all_queues_are_quorum_queues_and_those_with_consumers_have_a_delivery_limit() -> None:
    """20 on every version of the broker; practically no limit for parked messages."""
    assert {arguments["x-queue-type"] for arguments in QUEUES.values()} == {"quorum"}
    assert QUEUES["jobs"]["x-delivery-limit"] == 20
    assert QUEUES["jobs.dead"]["x-delivery-limit"] == 1_000_000


def test_dead_lettering_is_at_least_once() -> None:
    """Without one of the three arguments the broker falls back to at most once."""
    for name, arguments in QUEUES.items():
        if "x-dead-letter-exchange" in arguments:
            assert arguments["x-dead-letter-strategy"] == "at-least-once"
            assert arguments["x-overflow"] == "reject-publish"
            assert arguments["x-dead-letter-routing-key"] == ("jobs.dead" if name == "jobs" else "jobs")
    assert "x-dead-letter-exchange" not in QUEUES["jobs.dead"]


def test_a_retry_queue_keeps_a_message_for_its_delay() -> None:
    assert [QUEUES[f"jobs.retry.{delay}"]["x-message-ttl"] for delay in ("250ms", "5s", "5m")] == [250, 5000, 300_000]


@given(st.lists(st.integers(1, 2**31).map(lambda ms: ms / 1000), max_size=20))
def test_queues_of_one_name_have_the_same_arguments(delays: list[float]) -> None:
    """A delay given twice is declared twice, and the broker must accept the second declaration."""
    seen: dict[str, dict[str, object]] = {}
    for queue in Topology("q", delays).queues:
        assert seen.setdefault(queue.name, queue.all_arguments) == queue.all_arguments


class Declared:
    """In the place of a channel: notes the declarations."""

    def __init__(self) -> None:
        self.queues: dict[str, dict[str, object]] = {}

    def queue_declare(self, queue: str, **arguments: object) -> None:
        self.queues[queue] = arguments


@pytest.mark.parametrize("mode", ["create", "assert", "none"])
def test_queues_are_declared_durable_looked_at_or_left_alone_by_mq_topology(mode: str) -> None:
    """A passive declaration needs no arguments, and no permission to configure."""
    channel: Any = Declared()
    TOPOLOGY.declare(channel, mode)
    assert (
        channel.queues
        == {
            "create": {name: {"passive": False, "durable": True, "arguments": each} for name, each in QUEUES.items()},
            "assert": {name: {"passive": True, "durable": True, "arguments": None} for name in QUEUES},
            "none": {},
        }[mode]
    )


def test_a_name_that_is_too_long_for_the_brokers_refusal_is_known_before_it_is_asked_about() -> None:
    """More than 255 bytes with the words around it; it cuts what is ASCII, and ends the connection of other names."""
    assert [can_be_refused(name) for name in ("é" * 70, "é" * 71, "a" * 235)] == [True, False, True]
    assert [can_be_refused("é" * count, ABSENT_MAX) for count in (105, 106)] == [True, False]
