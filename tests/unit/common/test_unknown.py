"""Variables that look like settings and are none."""

import pytest

from common.unknown import unknown

PRODUCERS = ["mq_url", "mq_ch", "producer_source", "http_port", "log_level"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("PRODUCER_SORCE", "PRODUCER_SOURCE"), ("producer_surce", "PRODUCER_SOURCE"), ("MQ_URI", "MQ_URL"), ("MQ_X", "")],
)
def test_a_misspelled_setting_is_named_with_the_one_that_is_meant(name: str, meant: str) -> None:
    """If there is one like it."""
    assert unknown(PRODUCERS, [name, "PATH"]) == {name: meant}


@pytest.mark.parametrize(
    "name", ["MQ_URL", "mq_url", "CONSUMER_WORKRS", "HTTP_PROXY", "LOG_DIR", "MQ_SERVICE_HOST", "MQ_PORT_5672_TCP"]
)
def test_what_is_a_setting_or_somebody_elses_is_not(name: str) -> None:
    """Of the other service, of other programs, or made by Kubernetes for a Service."""
    assert unknown(PRODUCERS, [name]) == {}
