"""What is looked for, by the service that needs it."""

from typing import Any

from common.doctor.needs import Needs
from common.duration import parse_delays
from consumer.settings import ConsumerSettings


def needs(**given: Any) -> Needs:
    return Needs.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", **given})


def test_a_consumer_needs_its_retry_queues_and_both_rights() -> None:
    """By default those that a consumer has by default; and whoever may do as a consumer may do as a producer."""
    found = needs()
    assert [queue.name for queue in found.topology.queues[2:]] == ["jobs.retry.5s", "jobs.retry.30s", "jobs.retry.5m"]
    assert found.rights == ("consume", "publish")
    assert found.consumer_retry_delays == ConsumerSettings.model_fields["consumer_retry_delays"].default
    assert needs(consumer_retry_delays="1s").topology.delays == parse_delays("1s")


def test_a_producer_needs_neither_retry_queues_nor_the_right_to_consume() -> None:
    """It must not wait for what only the consumer uses."""
    found = needs(preflight_for="producer")
    assert [queue.name for queue in found.topology.queues] == ["jobs.dead", "jobs"]
    assert found.rights == ("publish",)
