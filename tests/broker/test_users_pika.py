"""pika works for a user's own code as it does without us: beside our import, in a handler, in a source."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker, delete_queues
from tests.processes import ROOT, until
from tests.system.kit import Start

CASES = "tests.broker.users_pika.run"
ALONE = f"from {CASES} import run; run()"
BESIDE = f"import consumer.__main__, producer.__main__; {ALONE}"
SHOWN = 20  # differences in the message of a failure
LONGEST = 200  # characters of a value in it
Found = dict[str, Any]


def found(record: Path) -> Found:
    """What the cases wrote."""
    cases: Found = json.loads(record.read_text())
    return cases


def run(code: str, broker: Broker, queue: str, record: Path) -> Found:
    """What the cases found in a process that runs `code`."""
    env = os.environ | {"MQ_URL": broker.url, "MQ_CH": queue, "RECORD": str(record)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return found(record)


@pytest.fixture(scope="module")
def plain(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What the cases found in a process that has nothing of ours."""
    queue = f"test-{uuid.uuid4().hex[:12]}"
    try:
        cases = run(ALONE, broker, queue, tmp_path_factory.mktemp("plain") / "record")
    finally:
        delete_queues(broker, queue)
    assert {name: case for name, case in cases.items() if "raised" in case} == {}
    return cases


def assert_same(plain: Found, other: Found) -> None:
    """Show the first places where the two differ."""
    found = differences("", plain, other)
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:SHOWN])


def differences(path: str, one: Any, other: Any) -> list[str]:
    """Each place where the two are not the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return [each for key in keys for each in differences(f"{path}.{key}", one.get(key), other.get(key))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [each for number, pair in pairs for each in differences(f"{path}[{number}]", *pair)]
    return [] if one == other else [f"{path}: {str(one)[:LONGEST]} and with us {str(other)[:LONGEST]}"]


def test_the_users_pika_does_the_same_beside_our_import(
    plain: Found, broker: Broker, mq_ch: str, tmp_path: Path
) -> None:
    """Both services are imported first, and none runs."""
    assert_same(plain, run(BESIDE, broker, mq_ch, tmp_path / "record"))


def test_the_users_pika_does_the_same_in_a_handler(
    plain: Found, start: Start, channel: BlockingChannel, mq_ch: str, tmp_path: Path
) -> None:
    """While the consumer's own connections are open."""
    record = tmp_path / "record"
    consumer = start("consumer", CONSUMER_HANDLER=f"{CASES}:handle", RECORD=record).wait_ready()
    channel.basic_publish("", mq_ch, b"go", mandatory=True)
    until(record.exists, "the handler has run the cases")
    until(lambda: consumer.metric('consumer_settled_total{outcome="ack"}') == 1, "its message is handled")
    assert_same(plain, found(record))


def test_the_users_pika_does_the_same_in_a_source(plain: Found, start: Start, tmp_path: Path) -> None:
    """While the producer's own connection is open."""
    record = tmp_path / "record"
    assert start("producer", PRODUCER_SOURCE=f"{CASES}:read", RECORD=record).wait() == 0
    assert_same(plain, found(record))
