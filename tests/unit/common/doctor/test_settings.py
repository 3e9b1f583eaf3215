"""What is looked for, by the service that needs it; and what a person may ask the doctor for."""

from typing import Any

import pytest

from common.doctor.settings import CheckSettings, DoctorSettings, PreflightSettings
from common.settings import flags as cli
from common.settings.types import parse_delays
from consumer.settings import ConsumerSettings


def load(*arguments: str) -> DoctorSettings:
    return cli.load(DoctorSettings, "doctor", ["--mq-url", "amqp://h", "--mq-ch", "jobs", *arguments])


def test_it_looks_at_once_and_asks_no_page_unless_told() -> None:
    """And each has its flag."""
    assert (load().doctor_wait, load().mq_management_url, load().doctor_json) == (0, None, False)
    given = load("--wait", "5s", "--json", "--mq-management-url", "https://h:15671/x")
    assert (given.doctor_wait, given.mq_management_url, given.doctor_json) == (5, "https://h:15671/x", True)


@pytest.mark.parametrize("page", ["h:15672", "amqp://h", "http://", "https://operator:Zq7Xj9Kv@h", "http://Zq7Xj9Kv@h"])
def test_a_page_is_an_address_without_a_user(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its clock is all that is looked at, and a password would be seen by everybody."""
    with pytest.raises(SystemExit) as caught:
        load("--mq-management-url", page)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("MQ_MANAGEMENT_URL: ")
    assert "Zq7Xj9Kv" not in said


def needs(**given: Any) -> CheckSettings:
    return CheckSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs", **given})


def test_a_consumer_needs_its_retry_queues_and_both_rights() -> None:
    """By default those that a consumer has by default; and whoever may do as a consumer may do as a producer."""
    found = needs()
    retries = ("5s", "30s", "5m", "20m", "40m")
    assert [queue.name for queue in found.topology.queues[2:]] == [f"jobs.retry.{each}" for each in retries]
    assert found.permissions == ("consume", "publish")
    assert found.consumer_retry_delays == ConsumerSettings.model_fields["consumer_retry_delays"].default
    assert needs(consumer_retry_delays="1s").topology.delays == parse_delays("1s")


def test_a_producer_needs_neither_retry_queues_nor_the_right_to_consume() -> None:
    """It must not wait for what only the consumer uses."""
    found = needs(preflight_for="producer")
    assert [queue.name for queue in found.topology.queues] == ["jobs.dead", "jobs"]
    assert found.permissions == ("publish",)


def test_the_preflight_waits_for_what_may_still_come() -> None:
    """A broker that starts together with it."""
    assert PreflightSettings.model_fields["preflight_timeout"].default >= 60
