"""docs/from-the-example.md: its commands, in their order, on a queue as the example makes it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker
from tests.conftest import Start
from tests.processes import ROOT, until
from tests.readme.documents import example
from tests.system.kit import PLUGINS, QUICK, take

TEXT = ROOT / "docs" / "from-the-example.md"
BODIES = [b"Hello World %d!" % number for number in range(1, 4)]


@pytest.fixture
def old_queue(channel: BlockingChannel, mq_ch: str) -> str:
    """Neither durable nor of quorum type, with three messages that are not persistent and have no id."""
    channel.queue_declare(mq_ch)
    for body in BODIES:
        channel.basic_publish("", mq_ch, body)
    return mq_ch


def typed(name: str, queue: str) -> list[list[str]]:
    """The words of the commands behind `<!-- commands: name -->`, for this test's queue; ten seconds are one."""
    text = example(TEXT, name, "console", kind="commands").replace("greetings", queue).replace("10s", "1s")
    return [shlex.split(each, comments=True) for each in re.findall(r"^\$ (.*)", text, re.MULTILINE)]


def run(words: list[str], broker: Broker, queue: str) -> tuple[int, str]:
    """Exit code and output of a command."""
    if words[0] == "rabbitmqctl":
        return 0, broker.rabbitmqctl(*words[1:])
    program = [sys.executable, *words[1:]] if words[0] == "python" else [Path(sys.executable).with_name(words[0])]
    arguments = [] if words[0] == "python" else words[1:]
    env = {**os.environ, "MQ_URL": broker.url, "MQ_CH": queue, "HTTP_PORT": "0"}
    done = subprocess.run([*program, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_old_queue_is_found_emptied_and_replaced(old_queue: str, broker: Broker) -> None:
    """Each message of it reaches the handler, and doctor is content in the end."""
    [doctor] = typed("change", old_queue)
    code, found = run(doctor, broker, old_queue)
    assert code == 17
    for shown in ("3 messages", "PRECONDITION_FAILED", "inequivalent arg 'durable'"):
        assert shown in found
        assert shown in example(TEXT, "change", "console", kind="commands")
    consumer, counted = typed("drain", old_queue)
    code, log = run(consumer, broker, old_queue)
    assert code == 0
    for body in BODIES:
        assert body.decode() in log
    assert re.search(rf"{old_queue}\s+0", run(counted, broker, old_queue)[1])
    for words in typed("replace", old_queue):
        code, said = run(words, broker, old_queue)
        assert code == 0, said


def test_what_the_handler_fails_on_stays_in_the_old_queue(
    old_queue: str, start: Start, tmp_path: Path, channel: BlockingChannel
) -> None:
    """There is no dead-letter queue yet, so nothing is acknowledged, and the log has the reason."""
    [consumer, _] = typed("drain", old_queue)
    settings = {"CONSUMER_HANDLER": f"{PLUGINS}:fail", "RECORD": tmp_path / "record", "SHUTDOWN_GRACE": "1s", **QUICK}
    process = start(*consumer, **settings)
    until(lambda: f"{old_queue}.dead" in process.stderr.read_text(), "it says which queue is missing")
    process.terminate()
    process.wait()
    assert sorted(body for _, body in take(channel, old_queue, 3)) == BODIES
