"""The benchmark's own broker, in its container."""

import subprocess

import pytest

from benchmarks.broker import Broker, container

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker")]


def logs(broker: Broker) -> set[str]:
    """Its write-ahead logs that quorum queues share."""
    find = ["find", "/var/lib/rabbitmq", "-path", "*/quorum/*", "-name", "*.wal"]
    command = ["docker", "exec", str(broker._container), *find]
    return set(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split())


def test_a_log_begins_when_it_is_told_to() -> None:
    """And the one before it is gone: nothing is left to be moved into files during a measure."""
    with container() as broker:
        before = logs(broker)
        broker.begin_log()
        after = logs(broker)
    assert len(before) == len(after) == 1
    assert not before & after
