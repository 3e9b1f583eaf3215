"""The real brokers that a test may run on, and their queues."""

import json
import os
import time
import urllib.parse
import urllib.request
from functools import cache
from typing import Any, Protocol

from local.install import find_server
from local.ports import speaks_amqp
from tests.container import Container, docker_works
from tests.node import Node

KINDS = {"container": Container, "debian": Node}
PATIENCE = 30.0  # seconds
YOUNG = 3.0  # seconds in which a node that is killed may forget a new quorum queue with all in it (docs/chaos.md)


class Broker(Protocol):
    """What a private node and a container have in common."""

    name: str
    port: int
    url: str
    management_url: str

    def start(self) -> Any:
        """Start it on its old data and wait until it speaks AMQP."""

    def kill(self) -> None:
        """End it by SIGKILL."""

    def stop(self) -> None:
        """Stop it in order."""

    def restart(self) -> None:
        """Stop it if it runs and start it on its old data and port."""

    def rabbitmqctl(self, *args: str) -> str:
        """What `rabbitmqctl -s args` prints."""


def outlive_a_kill(since: float) -> None:
    """Wait until queues that were there at `since` (`time.monotonic()`) are still there after a SIGKILL."""
    time.sleep(max(0.0, since + YOUNG - time.monotonic()))


@cache
def kinds_here() -> list[str]:
    """The brokers that this machine must show: in CI all; otherwise those it has, and at least the one to install."""
    if os.environ.get("CI") == "true":
        return list(KINDS)
    here = ["container"] * docker_works() + ["debian"] * bool(find_server())
    return here or ["debian"]


def _ask(broker: Broker, method: str, path: str) -> Any:
    request = urllib.request.Request(f"{broker.management_url}api/{path}", method=method)
    request.add_header("Authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def queues(broker: Broker, prefix: str = "") -> list[str]:
    """The names of its queues that begin with `prefix`, at once; raises OSError."""
    return [row["name"] for row in _ask(broker, "GET", "queues/%2F?columns=name") if row["name"].startswith(prefix)]


def delete_queues(broker: Broker, prefix: str) -> None:
    """Delete the queues whose names begin with `prefix`; a broker that is down is started for that."""
    if not speaks_amqp(broker.port):
        broker.restart()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            for name in queues(broker, prefix):
                _ask(broker, "DELETE", f"queues/%2F/{urllib.parse.quote(name, safe='')}")
            return
        except OSError:  # just started: the page or the queue's leader is not there yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
