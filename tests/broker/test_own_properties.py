"""The properties that a handler gets are its own: its edits are carried by it, and never by us."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from tests.broker.enriching import EDITS, HEADERS, QUESTIONS, SENT, sent
from tests.broker.test_wire import Raw, entry, raw_tables
from tests.processes import until
from tests.system.kit import Start, take

HANDLERS = "tests.broker.enriching"
ENRICHED = {"number": 7, "table": {"inside": 9}, "tenant": "a", "step": 2}
FORWARDED: dict[str, dict[str, Any]] = {
    "properties.headers": {**SENT, "headers": ENRICHED},
    "headers": {**SENT, "headers": ENRICHED},
    "cleared": {**SENT, "headers": {}},
    "fields": {**SENT, "headers": {"step": 2}, "message_id": "mine", "priority": None},
    "rejected": {**SENT, "headers": ENRICHED},
}
PI = entry(b"pi", b"d" + struct.pack(">d", 3.14159))


def fields(properties: BasicProperties) -> dict[str, Any]:
    """Those of SENT, and the headers that are neither ours nor the broker's."""
    headers: dict[str, Any] = properties.headers or {}
    theirs = {name: value for name, value in headers.items() if not name.startswith(("mq-", "x-"))}
    return {name: getattr(properties, name) for name in SENT} | {"headers": theirs}


def test_properties_compare_and_encode_as_pikas_own_before_a_field_is_read(
    start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """Each question is the first that is asked of a message's properties."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{HANDLERS}:ask", RECORD=record).wait_ready()
    for question in QUESTIONS:
        channel.basic_publish("", mq_ch, question, sent(), mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="ack"}') == len(QUESTIONS), "all are answered")
    answers = [json.loads(line) for line in record.read_text().splitlines()]
    assert [[question, answer] for question, answer in answers if answer is not True] == []


@pytest.mark.parametrize("edit", FORWARDED)
def test_an_edit_is_carried_by_the_handler_and_not_by_what_is_retried_or_parked(
    edit: str, start: Start, channel: BlockingChannel, mq_ch: str
) -> None:
    """Each attempt begins with the properties as they came, and ours beside them."""
    forward = f"{mq_ch}.forward"
    channel.queue_declare(forward, durable=True)
    settings = {"CONSUMER_HANDLER": f"{HANDLERS}:enrich", "CONSUMER_RETRY_DELAYS": "50ms", "FORWARD": forward}
    consumer = start("consumer", **settings).wait_ready()
    channel.basic_publish("", mq_ch, edit, sent(), mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 1, "it is parked")
    attempts = 1 if edit == "rejected" else 2
    forwarded = [properties for properties, _ in take(channel, forward, attempts)]
    [(parked, _)] = take(channel, f"{mq_ch}.dead", 1)
    assert fields(parked) == {**SENT, "headers": HEADERS}
    assert parked.headers["mq-attempt"] == attempts
    assert [fields(properties) for properties in forwarded] == [FORWARDED[edit]] * attempts


@pytest.mark.fence("pika 1.4 reads a float as an integer, https://github.com/pika/pika/issues/1698")
def test_a_float_header_is_whole_in_what_a_handler_publishes_again(
    start: Start, channel: BlockingChannel, mq_ch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside its edit; and in what is parked, which has no edit."""
    forward = f"{mq_ch}.forward"
    channel.queue_declare(forward, durable=True)
    settings = {"CONSUMER_HANDLER": f"{HANDLERS}:enrich", "CONSUMER_RETRY_DELAYS": "off", "FORWARD": forward}
    consumer = start("consumer", **settings).wait_ready()
    channel.basic_publish("", mq_ch, "float", Raw(PI), mandatory=True)
    until(lambda: consumer.metric('consumer_settled_total{outcome="parked"}') == 1, "it is parked")
    with raw_tables(monkeypatch):
        [(forwarded, _)] = take(channel, forward, 1)
        [(parked, _)] = take(channel, f"{mq_ch}.dead", 1)
        kept, carried = parked.headers["raw"], forwarded.headers["raw"]
    assert (PI in kept, b"step" in kept) == (True, False)
    assert (PI in carried, b"step" in carried) == (True, True)


def test_every_edit_has_its_expectation() -> None:
    """Of the handler's module and of this one."""
    assert EDITS.keys() == FORWARDED.keys() | {"float"}
