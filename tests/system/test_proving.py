"""`consumer verify`, and `doctor`, where something goes wrong."""

import json
import signal
import socket
import subprocess
import sys
import time

from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers import Broker, outlive_a_kill, queues
from tests.processes import PATIENCE, ROOT, until
from tests.system.kit import QUICK, Start


def test_what_others_take_away_is_counted_as_lost(
    start: Start, channel: BlockingChannel, mq_ch: str, broker: Broker
) -> None:
    """It is confirmed, and no handler has seen it: exit 1 at the deadline."""
    process = start("consumer", "verify", "--json", "--count", "100", "--rate", "100", "--timeout", "3s")
    (name,) = until(lambda: queues(broker, mq_ch), "its queue is there")
    stolen = 0
    channel.basic_qos(prefetch_count=1)
    for method, _, _ in channel.consume(name, inactivity_timeout=0.5):
        if method is None:
            break
        channel.basic_ack(method.delivery_tag)
        stolen += 1
    channel.cancel()
    assert process.wait() == 1
    found = json.loads(process.stdout.read_text())
    assert stolen
    assert (found["confirmed"], found["lost"], found["handled"]) == (100, stolen, 100 - stolen)
    assert found["problem"].startswith("not all came in 3s")
    assert found["queue_deleted"]


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(start: Start, mq_ch: str, broker: Broker) -> None:
    """The very thing it is there to show."""
    process = start("consumer", "verify", "--count", "600", "--rate", "100", **QUICK)
    until(lambda: queues(broker, mq_ch), "its queue is there")
    outlive_a_kill(time.monotonic())
    broker.kill()
    doctor = start("common.doctor", "--wait", "1m", **QUICK)
    broker.start()
    assert process.wait(60) == 0, process.stdout.read_text() + process.stderr.read_text()
    assert doctor.wait() == 0, "it waits, if it is told so"
    text = process.stdout.read_text()
    assert "verified: nothing is lost" in text
    assert "handled            600" in text


def test_without_a_broker_it_ends_in_time_and_a_signal_ends_it_at_once(start: Start) -> None:
    """Saying what it waited for; never with a traceback."""
    away = start("consumer", "verify", "--timeout", "1s", MQ_URL="amqp://127.0.0.1:1/")
    stopped = start("consumer", "verify", MQ_URL="amqp://127.0.0.1:1/")
    assert away.wait() == 1
    assert "NOT verified: not all came in 1s: " in away.stdout.read_text()
    assert "nothing listens there" in away.stdout.read_text()
    until(stopped.log, "it tries")
    began = time.monotonic()
    stopped.signal(signal.SIGTERM)
    assert stopped.wait() == 1
    assert time.monotonic() - began < 2
    assert "NOT verified: stopped by a signal" in stopped.stdout.read_text()
    assert "Traceback" not in away.stderr.read_text() + stopped.stderr.read_text()


def test_a_doctor_who_waits_goes_when_he_is_told(start: Start) -> None:
    """And claims nothing: 130, as of any program that was interrupted."""
    doctor = start("common.doctor", "--wait", "1m", MQ_URL="amqp://127.0.0.1:1/", LOG_LEVEL="debug")
    until(doctor.log, "it tries")
    doctor.signal(signal.SIGINT)
    assert doctor.wait() == 130
    assert doctor.stdout.read_text() == ""


def test_a_doctor_between_two_brokers_goes_when_he_is_told(start: Start, broker: Broker) -> None:
    """The loop that looked at the first has ended, and with it how it took a signal."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        second = f"amqps://127.0.0.1:{silent.getsockname()[1]}/"
        doctor = start("common.doctor", MQ_URL=f"{broker.url},{second}")
        until(lambda: "amqps://" in doctor.stdout.read_text(), "he looks at the second")
        began = time.monotonic()
        doctor.signal(signal.SIGINT)
        assert doctor.wait() == -signal.SIGINT
        assert time.monotonic() - began < 2


def test_an_alarm_is_a_warning_and_a_person_reads_it_too(start: Start, broker: Broker) -> None:
    """What a terminal-less person sees has words for the marks; the services wait for such a broker, so it is 0."""
    try:
        broker.rabbitmqctl("set_vm_memory_high_watermark", "0")
        process = start("common.doctor")
        assert process.wait() == 0
    finally:
        broker.rabbitmqctl("set_vm_memory_high_watermark", "0.6")
    text = process.stdout.read_text()
    assert text.isascii()
    (line,) = (line for line in text.splitlines() if " alarms " in line)
    assert line.split()[0] == "warning"
    assert "takes no messages" in line
    assert "the broker can be used; 1 warning" in text


def test_a_plain_start_imports_none_of_it_and_an_unknown_command_is_refused(start: Start) -> None:
    """Services start with what they need."""
    code = "import sys, consumer.__main__; sys.exit(any(name.startswith('consumer.verify') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=PATIENCE, check=False).returncode == 0
    process = start("consumer", "verfy")
    assert process.wait() == 2
    assert "verfy" in process.stderr.read_text()
