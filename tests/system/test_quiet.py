"""What a person would read is not written where nobody reads, and nothing else changes."""

import json
import os
import subprocess
import sys

import pytest

from tests.brokers import Broker
from tests.processes import PATIENCE, ROOT

COMMANDS = {"dead-letters": ["dead-letters", "list", "--json"], "verify": ["verify", "--count", "100", "--json"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_with_standard_error_closed(command: str, broker: Broker, mq_ch: str) -> None:
    """As under some supervisors; its answer is on standard output."""
    words = [sys.executable, "-m", "consumer", *COMMANDS[command]]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *words],
        cwd=ROOT,
        env=os.environ | {"MQ_URL": broker.url, "MQ_CH": mq_ch, "MQ_TOPOLOGY": "create"},
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    if command == "verify":
        assert done.returncode == 0
        assert json.loads(done.stdout)["exit_code"] == 0
    else:  # there is no such queue, which is said with a code of its own
        assert done.returncode not in (0, 1)
