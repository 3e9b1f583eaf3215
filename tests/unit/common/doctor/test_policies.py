"""What policies do to our queues, in words."""

from typing import Any

import pytest

from common.amqp.topology import Topology
from common.doctor.policies import check_policies, effects
from common.doctor.report import Status
from common.settings.broker_url import parse_urls
from common.settings.shared import Settings

JOBS = Topology("jobs", [5.0])
(URL,) = parse_urls("amqp://user:secret@127.0.0.1:1/")
(TLS,) = parse_urls("amqps://user:secret@127.0.0.1:1/")
SETTINGS = Settings.model_validate({"mq_url": "amqp://127.0.0.1:1", "mq_ch": "jobs", "mq_connect_timeout": "1s"})


def found(queue: str, policy: dict[str, Any], **arguments: Any) -> list[str]:
    names = {f"x-{name}": value for name, value in arguments.items()}
    return list(effects(JOBS, queue, {"policy": "p", "effective_policy_definition": policy, "arguments": names}))


@pytest.mark.parametrize(
    ("queue", "policy", "says"),
    [
        ("jobs.dead", {"max-length": 5}, "max-length 5 drops the oldest"),
        ("jobs", {"max-length-bytes": 5, "overflow": "drop-head"}, "max-length-bytes 5 drops the oldest"),
        ("jobs.retry.5s", {"max-length": 5, "overflow": "reject-publish"}, "waits in the consumer"),
        ("jobs.dead", {"message-ttl": 5}, "deletes parked messages"),
        ("jobs", {"message-ttl": 5}, "parks what waits longer"),
        ("jobs.retry.5s", {"message-ttl": 5}, "shortens the delay"),
        ("jobs.dead", {"expires": 5}, "deletes the queue"),
        ("jobs", {"delivery-limit": 2}, "delivery-limit 2 parks what 3 killed consumers held"),
    ],
)
def test_a_policy_is_named_with_what_it_would_do(queue: str, policy: dict[str, Any], says: str) -> None:
    [sentence] = found(queue, policy)
    assert sentence.startswith(f"policy p on {queue}: ")
    assert says in sentence


def test_what_does_no_harm_is_not_named() -> None:
    """An argument wins over a policy; a full main queue slows the producer down."""
    assert found("jobs", {"max-length": 5}, overflow="reject-publish") == []
    assert found("jobs", {"delivery-limit": 20}) == []
    assert found("jobs.dead", {"delivery-limit": 2, "dead-letter-exchange": "x"}) == []
    assert list(effects(JOBS, "jobs", {"effective_policy_definition": []})) == list(effects(JOBS, "jobs", {})) == []


@pytest.mark.parametrize(("page", "url"), [(None, URL), ("http://127.0.0.1:1", URL), ("http://127.0.0.1:1", TLS)])
def test_where_nobody_tells_it_is_said_that_nobody_looked(page: str | None, url: Any) -> None:
    """And a password that is encrypted on its way to the broker is sent to no page in the clear."""
    check = check_policies(page, url, JOBS, SETTINGS)
    assert check.status is Status.NOTE
    assert check.text.startswith("not looked at: ")
    assert "secret" not in str(check)
    assert ("in the clear" in check.text) is (url is TLS)
