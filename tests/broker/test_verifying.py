"""`consumer verify` on real brokers: what it proves, what it leaves, and which rights it needs."""

import json
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel

from common.amqp.topology import Topology
from consumer.verify.settings import TemporaryTopology, pattern
from deploy.definitions import users
from tests.brokers import Broker, queues
from tests.processes import Process, until
from tests.system.kit import Start
from tests.system.manage import add_user, permit


def said(process: Process) -> dict[str, Any]:
    """What it printed, as JSON."""
    return dict(json.loads(process.stdout.read_text()))


def test_each_message_comes_through_and_nothing_is_left(start: Start, mq_ch: str, broker: Broker) -> None:
    """By the consumer's settings; its own queue is not even made."""
    process = start("consumer", "verify", "--json", "--count", "700", "--size", "1000", CONSUMER_WORKERS=4)
    assert process.wait() == 0, process.stderr.read_text()
    found = said(process)
    assert (found["attempted"], found["confirmed"], found["handled"]) == (700, 700, 700)
    assert (found["lost"], found["duplicates"], found["problem"]) == (0, 0, "")
    assert (
        0 < found["latency_seconds"]["p50"] <= found["latency_seconds"]["p99"] <= found["latency_seconds"]["max"] < 30
    )
    assert sum(bucket["messages"] for bucket in found["histogram"]) == 700
    assert found["queue"].startswith(f"{mq_ch}.verify.")
    assert found["queue_deleted"]
    assert queues(broker, mq_ch) == []


def test_a_queue_that_a_killed_run_leaves_goes_by_itself(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """Its declaration says so: another one is accepted only if it is equal."""
    process = start("consumer", "verify", "--rate", "10", "--count", "100")
    (name,) = until(lambda: queues(broker, mq_ch), "its queue is there")
    process.kill()
    (queue,) = TemporaryTopology(name).queues
    assert queue.arguments["x-expires"] <= 600_000
    channel.queue_declare(name, durable=True, arguments=queue.all_arguments)


def test_the_rights_of_production_are_enough_and_those_that_are_missing_are_named(
    start: Start, mq_ch: str, broker: Broker
) -> None:
    """The consumer's; without them it ends at once, and says which."""
    (user,) = (user for user in users(Topology(mq_ch)) if user.name == "consumer")
    with add_user(broker, mq_ch) as address:
        settings = {"MQ_URL": f"amqp://{mq_ch}:pass@{address}", "MQ_TOPOLOGY": "assert"}
        permit(broker, mq_ch, configure=user.configure, write=user.write, read=user.read)
        assert start("consumer", "verify", "--count", "50", **settings).wait() == 0
        permit(broker, mq_ch, configure="^$", write=user.write, read=f"^{mq_ch}$")
        process = start("consumer", "verify", "--timeout", "5m", **settings)
        assert process.wait() == 1
    text = process.stdout.read_text()
    assert "NOT verified: 403 ACCESS_REFUSED - " in text
    assert f"configure and read on ^{pattern(mq_ch)}$, and write on amq.default" in text
    assert queues(broker, mq_ch) == []
