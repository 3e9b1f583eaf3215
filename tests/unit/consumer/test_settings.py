"""The consumer's settings; mistakes in them are in tests/unit/common/test_cli.py."""

import pytest

from consumer.settings import ConsumerSettings, parse_idle


def test_an_idle_exit_is_a_duration_or_off() -> None:
    """Off by default."""
    assert (parse_idle("off"), parse_idle(None), parse_idle("250ms")) == (None, None, 0.25)
    assert ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"}).consumer_idle_exit is None


def test_by_default_order_holds_and_failures_come_again_for_over_an_hour() -> None:
    """One worker."""
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"})
    assert settings.consumer_workers == 1
    assert sum(settings.consumer_retry_delays) > 3600
    assert list(settings.consumer_retry_delays) == sorted(settings.consumer_retry_delays)
    assert settings.problems() == {}


@pytest.mark.parametrize(("text", "number"), [("off", None), ("5", 5), (None, 10)])
def test_a_breaker_is_off_or_a_number_of_failures(text: str | None, number: int | None) -> None:
    given = {} if text is None else {"consumer_breaker": text}
    assert ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"} | given).consumer_breaker == number
