"""An HTTP source with a test in the broker's place, and a client of it."""

import json
import socket
from http.client import HTTPConnection, HTTPResponse
from queue import Queue
from threading import Thread
from typing import Any

from prometheus_client import REGISTRY

from common.message import Message
from local.ports import free_port
from producer.http.server import HttpSource
from producer.settings import ProducerSettings
from producer.source import Item

PATIENCE = 10.0  # seconds


def make(**values: object) -> ProducerSettings:
    return ProducerSettings.model_validate(
        {"mq_url": "amqp://h", "mq_ch": "jobs", "producer_source": "http", "producer_http_port": free_port(), **values}
    )


class Opened:
    """An HTTP source whose messages come to the test, which confirms them."""

    def __init__(self, **values: object) -> None:
        self.settings = make(**values)
        self.reasons: list[str] = []
        self.came: Queue[Item] = Queue()
        self.bodies: list[bytes] = []
        self.source = HttpSource(self.settings, lambda: self.reasons)
        Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        for item in self.source.items():
            self.came.put(item)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.settings.producer_http_port

    def confirming(self) -> None:
        """Confirm whatever comes from now on, as a broker would; `bodies` has it."""

        def confirm() -> None:
            while True:
                message, position = self.take(None)
                self.bodies.append(message.body)
                self.source.pending.confirmed(position)

        Thread(target=confirm, daemon=True).start()

    @staticmethod
    def statuses() -> dict[str, float]:
        """How many answers of each status were given."""
        return {
            each.labels["status"]: each.value
            for family in REGISTRY.collect()
            if family.name == "producer_http_requests"
            for each in family.samples
        }

    def connect(self, sent: bytes = b"") -> socket.socket:
        """A connection to it, on which so much was sent."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        client.sendall(sent)
        return client

    def take(self, timeout: float | None = PATIENCE) -> tuple[Message, int]:
        """The next message and its position."""
        item = self.came.get(timeout=timeout)
        assert isinstance(item.value, Message)
        assert item.position
        return item.value, item.position

    def post(self, body: bytes = b"x", path: str = "/messages", **headers: str) -> "Client":
        """Send a request and do not wait."""
        return Client(self.port, body, path, headers)


class Client:
    """One request on a connection of its own."""

    def __init__(self, port: int, body: bytes, path: str, headers: dict[str, str]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("POST", path, body, named)

    def answer(self) -> tuple[int, dict[str, Any], HTTPResponse]:
        """Status, the JSON of the body, and the rest."""
        response = self._connection.getresponse()
        says = json.loads(response.read())
        self._connection.close()
        return response.status, says, response
