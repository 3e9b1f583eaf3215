"""What `make secrets` makes: passwords, and queues after what is deployed."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.amqp.topology import Topology
from consumer.settings import ConsumerSettings
from deploy.credentials import contents, facts
from deploy.definitions import password_hash
from tests.deploy.kustomize import DEVELOPMENT, PRODUCTION, layer, render


def test_passwords_are_long_differ_and_stand_nowhere_but_in_their_own_secret() -> None:
    first, second = (contents("n", Topology("q"), tls=True) for _ in range(2))
    passwords = [
        urlsplit(first[f"{user}-mq"]["MQ_URL"]).password or "" for user in ("producer", "consumer", "operator")
    ]
    assert len({*passwords, urlsplit(second["producer-mq"]["MQ_URL"]).password}) == 4
    for password in passwords:
        assert len(password) >= 32
        assert password not in first["rabbitmq-definitions"]["definitions.json"]
    assert first["producer-mq"]["MQ_URL"].startswith("amqps://producer:")
    assert password_hash("x") != password_hash("x")


def test_the_facts_come_from_what_is_deployed() -> None:
    assert facts(render(PRODUCTION)) == (
        "mq-pair",
        [Topology("greetings", ConsumerSettings.model_fields["consumer_retry_delays"].default)],
        False,
    )


def test_changed_facts_are_seen(tmp_path: Path) -> None:
    changed = layer(
        tmp_path,
        DEVELOPMENT,
        ("tls",),
        configMapGenerator=[
            {"name": "mq-config", "behavior": "merge", "literals": ["MQ_CH=orders", "CONSUMER_RETRY_DELAYS=1s,2m"]}
        ],
    )
    assert facts(render(changed)) == ("mq-pair", [Topology("orders", (1.0, 120.0))], True)


def test_with_a_broker_elsewhere_it_says_who_makes_the_users(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"external-rabbitmq/README\.md"):
        facts(render(layer(tmp_path, PRODUCTION, ("external-rabbitmq",))))
