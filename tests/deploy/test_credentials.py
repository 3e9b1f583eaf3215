"""The users that `make secrets` makes have the rights that the services need, and no others; on real brokers."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from common.amqp.topology import Topology
from deploy.credentials import contents
from deploy.definitions import VHOST
from tests.brokers import Broker
from tests.conftest import Start
from tests.processes import until

DELAYS = (0.5, 30.0)


def _ask(broker: Broker, method: str, path: str, body: Any = None, user: str = "guest:guest") -> Any:
    """What the management page answers, None when that is empty."""
    request = urllib.request.Request(f"{broker.management_url}api/{path}", method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
    request.add_header("Content-Type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data, timeout=30) as answer:
        return json.loads(answer.read() or "null")


@pytest.fixture
def urls(broker: Broker, mq_ch: str) -> Iterator[Callable[[str], str]]:
    """`urls("producer")` after the definitions were imported: its MQ_URL."""
    data = contents("mq-pair", Topology(mq_ch, DELAYS), Topology(f"{mq_ch}-invoices", DELAYS), tls=False)
    _ask(broker, "POST", "definitions", json.loads(data["rabbitmq-definitions"]["definitions.json"]))

    def url(user: str) -> str:
        if user == "autoscaler":
            return data["autoscaler-mq"]["host"]
        return data[f"{user}-mq"]["MQ_URL"].replace("rabbitmq-service:5672", f"127.0.0.1:{broker.port}")

    yield url
    _ask(broker, "DELETE", f"vhosts/{VHOST}")
    _ask(broker, "POST", "users/bulk-delete", {"users": ["producer", "consumer", "autoscaler", "operator"]})


@pytest.fixture
def channel(urls: Callable[[str], str]) -> Iterator[Callable[[str], BlockingChannel]]:
    """`channel("producer")`: a new one, logged in as that user."""
    connections = []

    def open_channel(user: str) -> BlockingChannel:
        connections.append(pika.BlockingConnection(pika.URLParameters(urls(user))))
        return connections[-1].channel()

    yield open_channel
    for connection in connections:
        connection.close()


def test_messages_flow_and_are_parked_with_the_least_rights(
    urls: Callable[[str], str], start: Start, channel: Callable[[str], BlockingChannel], mq_ch: str
) -> None:
    producer = start("producer", MQ_URL=urls("producer"), MQ_TOPOLOGY="assert", PRODUCER_COUNT=50, PRODUCER_RATE=1000)
    assert producer.wait() == 0, producer.stderr.read_text()
    # Half of them are parked at once, the other half come again by way of a retry queue.
    consumer = start(
        "consumer",
        MQ_URL=urls("consumer"),
        MQ_TOPOLOGY="assert",
        CONSUMER_HANDLER="tests.deploy.plugins:reject_odd_and_fail_even_once",
        CONSUMER_RETRY_DELAYS="500ms,30s",
        CONSUMER_IDLE_EXIT="3s",
    )
    assert consumer.wait() == 0, consumer.stderr.read_text()
    dead = channel("operator").queue_declare(f"{mq_ch}.dead", passive=True)
    assert dead.method.message_count == 25
    replay = start("consumer", "dead-letters", "replay", MQ_URL=urls("consumer"))
    assert replay.wait() == 0, replay.stderr.read_text()
    assert "replayed 25 of 25" in replay.stderr.read_text()


def test_another_consumer_handles_and_parks_as_the_user_of_the_first(
    urls: Callable[[str], str], start: Start, channel: Callable[[str], BlockingChannel], mq_ch: str
) -> None:
    name = f"{mq_ch}-invoices"
    operator = channel("operator")
    operator.confirm_delivery()
    for number in range(10):
        operator.basic_publish("", name, str(number).encode())
    consumer = start(
        "consumer",
        MQ_URL=urls("consumer"),
        MQ_CH=name,
        MQ_TOPOLOGY="assert",
        CONSUMER_HANDLER="tests.deploy.plugins:reject_odd_and_fail_even_once",
        CONSUMER_RETRY_DELAYS="500ms,30s",
        CONSUMER_IDLE_EXIT="3s",
    )
    assert consumer.wait() == 0, consumer.stderr.read_text()
    queues = [operator.queue_declare(each, passive=True) for each in (name, f"{name}.dead")]
    assert [each.method.message_count for each in queues] == [0, 5]


REFUSED: dict[str, tuple[str, Callable[[BlockingChannel, str], Any]]] = {
    "the producer reads": ("producer", lambda channel, name: channel.basic_get(name)),
    "the producer declares": ("producer", lambda channel, name: channel.queue_declare(f"{name}.new", durable=True)),
    "the producer deletes": ("producer", lambda channel, name: channel.queue_delete(name)),
    "the producer purges": ("producer", lambda channel, name: channel.queue_purge(name)),
    "the producer binds": ("producer", lambda channel, name: channel.queue_bind(name, "amq.fanout")),
    "the consumer reads what waits": ("consumer", lambda channel, name: channel.basic_get(f"{name}.retry.30s")),
    "the consumer declares": ("consumer", lambda channel, name: channel.queue_declare(f"{name}.new", durable=True)),
    "the consumer deletes": ("consumer", lambda channel, name: channel.queue_delete(f"{name}.dead")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_more_is_refused(what: str, channel: Callable[[str], BlockingChannel], mq_ch: str) -> None:
    user, act = REFUSED[what]
    with pytest.raises(ChannelClosedByBroker) as refused:
        act(channel(user), mq_ch)
    assert refused.value.reply_code == 403


def test_the_autoscaler_sees_the_length_of_the_queue_and_nothing_else(
    broker: Broker, urls: Callable[[str], str], channel: Callable[[str], BlockingChannel], mq_ch: str
) -> None:
    host = urlsplit(urls("autoscaler"))
    user = f"{host.username}:{host.password}"
    operator = channel("operator")
    operator.confirm_delivery()
    operator.basic_publish("", mq_ch, b"in work")
    operator.basic_publish("", mq_ch, b"waiting")
    operator.basic_get(mq_ch)
    # As KEDA asks (getQueueInfoViaHTTP in its rabbitmq_scaler.go): the path of `host` is the virtual host. The page's
    # numbers are some seconds old.
    page = f"queues{host.path}/{mq_ch}"
    until(lambda: _ask(broker, "GET", page, user=user).get("messages") == 2, "both messages to be counted")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        _ask(broker, "GET", "users", user=user)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        _ask(broker, "PUT", f"queues/{VHOST}/another", {"durable": True}, user=user)


def test_the_queues_are_those_that_the_services_would_declare(urls: Callable[[str], str], start: Start) -> None:
    """A difference in one argument would be refused."""
    operator = {"MQ_URL": urls("operator"), "MQ_TOPOLOGY": "create"}
    start("consumer", CONSUMER_RETRY_DELAYS="500ms,30s", **operator).wait_ready()
    start("producer", **operator).wait_ready()


def test_no_one_of_another_virtual_host_or_with_an_older_password_comes_in(
    broker: Broker, urls: Callable[[str], str]
) -> None:
    with pytest.raises((ProbableAccessDeniedError, pika.exceptions.ConnectionClosedByBroker)):
        pika.BlockingConnection(pika.URLParameters(urls("producer").replace(f"/{VHOST}", "/%2F")))
    old = urls("producer")
    fresh = contents("mq-pair", Topology("another", DELAYS), tls=False)["rabbitmq-definitions"]["definitions.json"]
    _ask(broker, "POST", "definitions", json.loads(fresh))
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(old))
