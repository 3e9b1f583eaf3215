"""`doctor` on real brokers: what it finds, its exit code, and that it leaves all as it was; and the preflight."""

import json
from typing import Any

import pytest
from pika import SelectConnection, URLParameters
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from common.amqp.errors import BrokerError, Kind
from common.amqp.topology import Topology
from common.doctor.broker import Requester, Requests, difference
from common.process.run import Process as Loop
from common.settings.types import RETRY_DELAYS
from deploy.definitions import users
from tests.brokers import Broker, queues
from tests.processes import PATIENCE, Process, until
from tests.system.kit import Start, take
from tests.system.manage import add_user, permit, policy, put

pytestmark = pytest.mark.one_wire("asks by pika's own channels, and reads no message")
CLOCK = "--mq-management-url"


Said = tuple[int, dict[str, Any], dict[str, Any]]


def doctor(start: Start, *arguments: str, **settings: object) -> Said:
    """The exit code, the checks by their names, and the whole."""
    return said(start("common.doctor", "--json", *arguments, **settings))


def said(process: Process) -> Said:
    """The same of one that was started before."""
    code = process.wait()
    assert process.stderr.read_text() == ""
    found = json.loads(process.stdout.read_text())
    assert found["exit_code"] == code
    return code, {check["name"]: check for check in found["brokers"][0]["checks"]}, found


def test_of_a_pair_at_work_all_is_well_and_nothing_is_touched(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """Queues, rights, alarms and clock; the messages that wait stay, in their order and as never delivered."""
    assert start("consumer", "--idle-exit", "1ms").wait() == 0
    assert start("producer", "--count", "3", "--rate", "100").wait() == 0
    until(lambda: channel.queue_declare(mq_ch, passive=True).method.message_count == 3, "the broker counts them")
    code, checks, found = doctor(start, CLOCK, str(broker.management_url))
    assert code == 0
    assert [name for name, check in checks.items() if check["verdict"] != "ok"] == [f"queue {mq_ch}"]
    assert "RabbitMQ " in checks["amqp"]["text"]
    assert checks["permissions"]["text"] == "may declare, consume, publish"
    waiting = checks[f"queue {mq_ch}"]
    assert waiting["verdict"] == "warning"
    assert waiting["text"].startswith("3 messages, 0 consumers")
    assert "x-overflow 'reject-publish'" in waiting["text"]
    assert found["clock"]["verdict"] == "ok"
    assert "guest:guest" not in json.dumps(found)
    table = start("common.doctor")
    assert table.wait() == 0
    rows = table.stdout.read_text().splitlines()
    assert len({row.index(" ms  ") for row in rows if " ms  " in row}) == 1, "the times are below one another"
    came = take(channel, mq_ch, 3)
    assert [body for _, body in came] == [b"Hello World 1!", b"Hello World 2!", b"Hello World 3!"]
    assert not any((properties.headers or {}).get("x-delivery-count") for properties, _ in came)


def test_queues_that_are_not_there_are_not_made(start: Start, mq_ch: str, broker: Broker) -> None:
    """With `create` that is well, since the services make them; with `assert` it is what is in the way."""
    expected = {"create": (0, "note"), "assert": (17, "failed"), "none": (0, "warning")}
    started = {mode: start("common.doctor", "--json", "--mq-topology", mode) for mode in expected}
    for mode, (code, verdict) in expected.items():
        found, checks, _ = said(started[mode])
        assert found == code
        assert checks[f"queue {mq_ch}"]["verdict"] == checks[f"queue {mq_ch}.dead"]["verdict"] == verdict
    assert queues(broker, mq_ch) == []


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_queue_that_differs_is_told_argument_by_argument(
    kind: str, start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """All of them, in one run; by the preflight too."""
    (real,) = (queue for queue in Topology(mq_ch).queues if queue.name == mq_ch)
    wanted, other = real.all_arguments, {"x-delivery-limit": 7, "x-dead-letter-routing-key": "elsewhere"}
    # Of a classic queue a broker compares no arguments that only a quorum queue can have.
    there = wanted | other if kind == "quorum" else {"x-queue-type": kind}
    channel.queue_declare(mq_ch, durable=True, arguments=there)
    preflight = start("common.doctor.preflight", **QUICK)
    code, checks, _ = doctor(start)
    assert (code, preflight.wait()) == (17, 17)
    check, line = checks[f"queue {mq_ch}"], preflight.event("the broker cannot be used")
    assert check["verdict"] == "failed"
    for text, advice in ((check["text"], check["advice"]), (line["reason"], line["advice"])):
        for name in other if kind == "quorum" else there:
            assert f"{name} is {there[name]!r} and not {wanted[name]!r}" in text
        assert "MQ_TOPOLOGY=assert" in advice
        assert "doctor" not in advice, "which it is"


def test_asking_for_the_difference_makes_no_queue(broker: Broker, channel: BlockingChannel, mq_ch: str) -> None:
    """The queue may be deleted while it is asked: then another wrong one in its place would be refused for ever."""
    words = f"inequivalent arg 'x-overflow' for queue '{mq_ch}' in vhost '/': received none but current is none"
    told: list[BrokerError] = []

    def requests() -> Requests[None]:
        told.append((yield from difference(Topology(mq_ch).queues, BrokerError(Kind.TOPOLOGY, words))))

    process = Loop(1.0)
    connection = SelectConnection(
        URLParameters(broker.url),
        on_open_callback=lambda opened: Requester(opened, process, requests(), connection.close),
        on_open_error_callback=lambda *_: process.loop.stop(),
        on_close_callback=lambda *_: process.loop.stop(),
        custom_ioloop=process.loop,
    )
    process.loop.call_later(PATIENCE, process.loop.stop)
    process.loop.start()
    process.loop.close()
    assert [broker_error.text for broker_error in told] == [
        f"406 PRECONDITION_FAILED - queue {mq_ch}: x-overflow is None and not 'reject-publish'"
    ]
    with pytest.raises(ChannelClosedByBroker, match="NOT_FOUND"):
        channel.queue_declare(mq_ch, passive=True)


def test_who_cannot_use_it_learns_why_and_the_preflight_ends_with_the_same_code(
    start: Start, broker: Broker, mq_ch: str
) -> None:
    """All at once, since each is a program of its own. Of several brokers, one that can be used is enough."""
    where, absent = broker.url.rpartition("@")[2].rstrip("/"), f"{mq_ch}-absent"
    cases = {
        11: ("tcp", "amqp://127.0.0.1:1/", {}),
        14: ("login", f"amqp://guest:Zq7Xj9Kv@{where}/", {}),
        15: ("virtual host", f"amqp://guest:guest@{where}/nowhere", {}),
        17: (f"queue {absent}.dead", broker.url, {"MQ_TOPOLOGY": "assert", "MQ_CH": absent}),
        0: ("", f"amqp://127.0.0.1:1/,{broker.url}", {}),
    }
    quick = {"PREFLIGHT_TIMEOUT": "3s", "MQ_BACKOFF_MAX": "100ms"}
    started = {
        code: (
            start("common.doctor", "--json", MQ_URL=url, **more),
            start("common.doctor.preflight", MQ_URL=url, **quick, **more),
        )
        for code, (_, url, more) in cases.items()
    }
    for code, (name, _, _) in cases.items():
        doctor, preflight = started[code]
        assert (doctor.wait(), preflight.wait()) == (code, code)
        text = doctor.stdout.read_text()
        *_, last = json.loads(text)["brokers"]
        failed = [check for check in last["checks"] if check["verdict"] == "failed"]
        assert [check["name"] for check in failed][:1] == [name][: bool(code)]
        assert all(check["advice"] for check in failed)
        assert bool(preflight.event("the broker cannot be used").get("advice")) is bool(code)
        assert "Zq7Xj9Kv" not in text


def test_the_rights_of_production_are_enough_to_look_and_are_told(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """With MQ_TOPOLOGY=assert they are all that is needed; to create queues they are not."""
    topology = Topology(mq_ch, RETRY_DELAYS)
    for queue in topology.queues:
        channel.queue_declare(queue.name, durable=True, arguments=queue.all_arguments)
    rights = {user.name: user for user in users(topology)}
    with add_user(broker, mq_ch) as address:
        url = f"amqp://{mq_ch}:pass@{address}"
        for name, text in (
            ("producer", "may publish; may not declare, consume"),
            ("consumer", "may consume, publish; may not declare"),
        ):
            user = rights[name]
            permit(broker, mq_ch, configure=user.configure, write=user.write, read=user.read)
            settings = {"MQ_URL": url, "MQ_TOPOLOGY": "assert", "PREFLIGHT_FOR": name}
            code, checks, _ = doctor(start, **settings)
            assert (code, checks["permissions"]["text"]) == (0, text)
            assert checks[f"queue {mq_ch}"]["verdict"] == "ok"
            assert start("common.doctor.preflight", **settings).wait() == 0
        code, checks, _ = doctor(start, MQ_URL=url)
        assert (code, checks[f"queue {mq_ch}"]["verdict"]) == (16, "failed")


QUICK = {"PREFLIGHT_TIMEOUT": "1s", "MQ_BACKOFF_MAX": "100ms"}


def test_a_right_that_the_service_needs_and_has_not_is_in_the_way(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """Of preflight and doctor: the pod would never become ready. A producer does not read."""
    for queue in Topology(mq_ch, RETRY_DELAYS).queues:
        channel.queue_declare(queue.name, durable=True, arguments=queue.all_arguments)
    channel.basic_publish("", mq_ch, b"stays", mandatory=True)
    with add_user(broker, mq_ch) as address:
        settings = {"MQ_URL": f"amqp://{mq_ch}:pass@{address}", "MQ_TOPOLOGY": "assert", **QUICK}
        for missing, who, expected in (
            ({"read": "^$"}, "consumer", 16),
            ({"read": "^$"}, "producer", 0),
            ({"write": "^$"}, "consumer", 16),
            ({"write": "^$"}, "producer", 16),
        ):
            permit(broker, mq_ch, **missing)
            preflight = start("common.doctor.preflight", PREFLIGHT_FOR=who, **settings)
            code, checks, _ = doctor(start, PREFLIGHT_FOR=who, **settings)
            assert (preflight.wait(), code) == (expected, expected)
            assert checks["permissions"]["verdict"] == ("failed" if expected else "ok")
            if expected:
                assert "ACCESS_REFUSED" in preflight.event("the broker cannot be used")["reason"]
    [(properties, _)] = take(channel, mq_ch, 1)
    assert not (properties.headers or {}).get("x-delivery-count")


def test_a_retry_queue_that_is_not_there_is_in_the_consumers_way_only(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """Of the delays that it is given. Where it may declare, the preflight makes what the consumer would."""
    for queue in Topology(mq_ch, [5.0]).queues:
        channel.queue_declare(queue.name, durable=True, arguments=queue.all_arguments)
    cases = {("consumer", "5s"): 0, ("consumer", "5s,7s"): 17, ("producer", "5s,7s"): 0}
    for (who, delays), expected in cases.items():
        settings = {"PREFLIGHT_FOR": who, "CONSUMER_RETRY_DELAYS": delays, "MQ_TOPOLOGY": "assert", **QUICK}
        preflight = start("common.doctor.preflight", **settings)
        code, checks, _ = doctor(start, **settings)
        assert (preflight.wait(), code) == (expected, expected)
        assert (f"queue {mq_ch}.retry.7s" in checks) is (expected == 17)
    assert start("common.doctor.preflight", CONSUMER_RETRY_DELAYS="5s,7s").wait() == 0
    channel.queue_declare(f"{mq_ch}.retry.7s", passive=True)


def test_the_preflight_does_not_wait_for_the_end_of_an_alarm(start: Start, mq_ch: str, broker: Broker) -> None:
    """The services wait for it themselves."""
    try:
        broker.rabbitmqctl("set_vm_memory_high_watermark", "0")
        assert start("common.doctor.preflight", PREFLIGHT_TIMEOUT="20s").wait() == 0
    finally:
        broker.rabbitmqctl("set_vm_memory_high_watermark", "0.6")


def test_policies_that_reach_our_queues_are_named_with_what_they_do(start: Start, mq_ch: str, broker: Broker) -> None:
    """By the management page, to a user who may look; else it is said that nobody looked."""
    assert start("consumer", "--idle-exit", "1ms").wait() == 0
    page = str(broker.management_url)
    with policy(broker, f"{mq_ch}.*", {"max-length": 1000, "message-ttl": 60_000, "delivery-limit": 2}):
        until(lambda: doctor(start, CLOCK, page)[1]["policies"]["verdict"] == "warning", "it is in force")
        _, checks, _ = doctor(start, CLOCK, page)
        preflight = start("common.doctor.preflight", MQ_MANAGEMENT_URL=page)
        assert preflight.wait() == 0
    told = preflight.event("policies")
    assert told["level"] == "warning"
    for says in (f"on {mq_ch}.dead: message-ttl 60000 ms deletes parked", f"on {mq_ch}: delivery-limit 2 parks what 3"):
        assert says in checks["policies"]["text"]
        assert says in told["found"]
    assert "drops" not in checks["policies"]["text"], "our queues refuse what they cannot keep"
    with add_user(broker, mq_ch) as address:
        settings = {"MQ_URL": f"amqp://{mq_ch}:pass@{address}", "MQ_MANAGEMENT_URL": page}
        _, checks, _ = doctor(start, **settings)
        preflight = start("common.doctor.preflight", **settings)
        assert preflight.wait() == 0
    for text in (checks["policies"]["text"], preflight.event("policies")["found"]):
        assert text.startswith(f"not looked at: {page} answers 401")
    preflight = start("common.doctor.preflight")
    assert preflight.wait() == 0
    assert preflight.event("policies")["found"].startswith("not looked at: with MQ_MANAGEMENT_URL")


def test_a_stream_is_told_by_the_management_page_to_who_may_not_consume(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """A producer of least rights publishes to one as to any queue, and AMQP does not tell it."""
    channel.queue_declare(f"{mq_ch}.dead", durable=True, arguments=Topology(mq_ch).queues[0].all_arguments)
    channel.queue_declare(mq_ch, durable=True, arguments={"x-queue-type": "stream"})
    with add_user(broker, mq_ch) as address:
        put(broker, f"users/{mq_ch}", {"password": "pass", "tags": "management"})
        permit(broker, mq_ch, configure="^$", write=users(Topology(mq_ch))[0].write, read="^$")
        settings = {"MQ_URL": f"amqp://{mq_ch}:pass@{address}", "MQ_TOPOLOGY": "assert", "PREFLIGHT_FOR": "producer"}
        assert doctor(start, **settings)[0] == 0
        assert start("common.doctor.preflight", **settings).wait() == 0
        page = str(broker.management_url)
        assert doctor(start, CLOCK, page, **settings)[0] == 17
        preflight = start("common.doctor.preflight", MQ_MANAGEMENT_URL=page, **settings)
        assert preflight.wait() == 17
        assert "is a stream" in preflight.event("policies")["found"]


def test_a_dead_letter_queue_of_an_earlier_version_is_told_with_the_way_to_change_it(
    start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """It can be used, so it is a warning."""
    earlier = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
    channel.queue_declare(f"{mq_ch}.dead", durable=True, arguments=earlier)
    code, checks, _ = doctor(start)
    check = checks[f"queue {mq_ch}.dead"]
    assert (code, check["verdict"]) == (0, "warning")
    assert "drop parked messages" in check["text"]
    assert "rabbitmqctl set_policy" in check["advice"]


def test_the_time_for_handlers_is_compared_with_what_the_broker_allows(start: Start, broker: Broker) -> None:
    """RabbitMQ goes by what the consumer asks for from 4.3 on; older ones have a time of their own."""
    newer = broker.name.startswith("container")
    assert doctor(start)[1]["handlers"]["verdict"] == "ok"
    _, checks, _ = doctor(start, CONSUMER_HANDLER_TIMEOUT="1h")
    check = checks["handlers"]
    assert check["verdict"] == ("ok" if newer else "warning")
    assert ("the consumer asks for 125m" if newer else "handlers need up to 125m") in check["text"]
    assert "handlers" not in doctor(start, PREFLIGHT_FOR="producer")[1]


def test_a_long_name_that_is_not_ascii_passes_as_it_does_for_the_services(start: Start, mq_ch: str) -> None:
    """The broker cannot refuse it by name: its sentence would have over 255 bytes, and it ends the connection."""
    for letter, count in (("é", 90), ("世", 70), ("é", 105)):
        settings = {"MQ_CH": f"{mq_ch}{letter * count}", **QUICK}
        assert start("common.doctor.preflight", **settings).wait() == 0
        code, checks, _ = doctor(start, **settings)
        assert (code, checks["permissions"]["verdict"]) == (0, "ok")
        assert "not known now: declare, consume" in checks["permissions"]["text"]


def test_a_limit_of_a_user_or_a_virtual_host_is_18(start: Start, mq_ch: str, broker: Broker) -> None:
    """And the advice is to raise it, in place of a virtual host to be made or a queue to be changed."""
    with add_user(broker, mq_ch) as address:
        broker.rabbitmqctl("add_vhost", mq_ch)
        broker.rabbitmqctl("set_permissions", "-p", mq_ch, mq_ch, ".*", ".*", ".*")
        try:
            settings = {"MQ_URL": f"amqp://{mq_ch}:pass@{address.rstrip('/')}/{mq_ch}", **QUICK}
            for limits in (
                ("set_user_limits", mq_ch, '{"max-channels": 0}'),
                ("set_user_limits", mq_ch, '{"max-connections": 0}'),
                ("set_vhost_limits", "-p", mq_ch, '{"max-queues": 0}'),
                ("set_vhost_limits", "-p", mq_ch, '{"max-connections": 0}'),
            ):
                broker.rabbitmqctl(*limits)
                preflight = start("common.doctor.preflight", **settings)
                assert preflight.wait() == 18, limits
                assert "raise the limit" in preflight.event("the broker cannot be used")["advice"]
                if "max-queues" not in limits[-1]:  # only who makes one is told
                    assert doctor(start, **settings)[0] == 18
                broker.rabbitmqctl("clear_user_limits", mq_ch, "all")
        finally:
            broker.rabbitmqctl("delete_vhost", mq_ch)
