"""The consumer's settings; mistakes in them are in tests/unit/common/test_cli.py."""

import pytest

from consumer.settings import ConsumerSettings


@pytest.mark.parametrize(("text", "seconds"), [("off", None), ("250ms", 0.25), (None, None)])
def test_an_idle_exit_is_a_duration_or_off(text: str | None, seconds: float | None) -> None:
    """Off by default."""
    given = {} if text is None else {"consumer_idle_exit": text}
    assert (
        ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"} | given).consumer_idle_exit == seconds
    )


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


@pytest.mark.parametrize(("text", "rate"), [("off", None), ("2.5", 2.5), (None, None)])
def test_a_rate_is_off_or_a_number_of_messages_a_second(text: str | None, rate: float | None) -> None:
    given = {} if text is None else {"consumer_rate": text}
    assert ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"} | given).consumer_rate == rate


@pytest.mark.parametrize(("rate", "workers", "refused"), [("0.002", 1, False), ("0.001", 1, True), ("0.1", 61, True)])
def test_a_rate_at_which_the_broker_would_take_messages_back_is_refused(rate: str, workers: int, refused: bool) -> None:
    given = {"mq_url": "amqp://h", "mq_ch": "jobs", "consumer_rate": rate, "consumer_workers": workers}
    assert ("CONSUMER_RATE" in ConsumerSettings.model_validate(given).problems()) == refused
