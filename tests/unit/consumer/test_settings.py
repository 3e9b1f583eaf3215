"""The consumer's settings; mistakes in them are in tests/unit/common/test_cli.py."""

from consumer.settings import ConsumerSettings, parse_idle


def test_an_idle_exit_is_a_duration_or_off() -> None:
    """Off by default."""
    assert (parse_idle("off"), parse_idle(None), parse_idle("250ms")) == (None, None, 0.25)
    assert ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"}).consumer_idle_exit is None


def test_by_default_order_holds_and_failures_come_again_three_times() -> None:
    """One worker."""
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"})
    assert (settings.consumer_workers, settings.consumer_retry_delays) == (1, (5.0, 30.0, 300.0))
    assert settings.problems() == {}
