"""The consumer's settings; mistakes in them are in tests/unit/common/test_cli.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.duration import format_duration
from consumer.settings import ConsumerSettings, parse_delays, parse_idle


@given(st.lists(st.integers(1, 49 * 24 * 3600 * 1000), min_size=1, max_size=20))
def test_delays_are_durations_with_commas_between(milliseconds: list[int]) -> None:
    """In their order, with or without white space."""
    texts = [format_duration(each / 1000) for each in milliseconds]
    for text in (",".join(texts), " , ".join(texts)):
        assert parse_delays(text) == pytest.approx(tuple(each / 1000 for each in milliseconds))


@pytest.mark.parametrize("text", ["", "off", " off "])
def test_there_may_be_no_retries(text: str) -> None:
    """A failed message is parked at once then."""
    assert parse_delays(text) == ()


@pytest.mark.parametrize(
    "text", ["5", "5s,", ",5s", "0s", "5s,0ms", "0.0001s", "5s;30s", ",".join(["1s"] * 21), "1440h"]
)
def test_delays_that_no_queue_can_have_are_refused(text: str) -> None:
    """The broker takes a time to live of up to 49 days."""
    with pytest.raises(ValueError, match=r".*"):
        parse_delays(text)


def test_an_idle_exit_is_a_duration_or_off() -> None:
    """Off by default."""
    assert (parse_idle("off"), parse_idle(None), parse_idle("250ms")) == (None, None, 0.25)
    assert ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"}).consumer_idle_exit is None


def test_by_default_order_holds_and_failures_come_again_three_times() -> None:
    """One worker."""
    settings = ConsumerSettings.model_validate({"mq_url": "amqp://h", "mq_ch": "jobs"})
    assert (settings.consumer_workers, settings.consumer_retry_delays) == (1, (5.0, 30.0, 300.0))
    assert settings.problems() == {}
