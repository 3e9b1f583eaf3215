"""The HTTP source with a test in the broker's place; with a broker it is tested in tests/system."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from prometheus_client import REGISTRY

from common.message import Message
from common.plugins import ConfigError
from local.ports import free_port
from producer.http.server import HttpSource
from producer.settings import ProducerSettings
from producer.source import Item


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
        self.source = HttpSource(self.settings, lambda: self.reasons)
        Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        for item in self.source.items():
            self.came.put(item)

    def take(self) -> tuple[Message, int]:
        """The next message and its position."""
        item = self.came.get(timeout=10)
        assert isinstance(item.value, Message)
        assert item.position
        return item.value, item.position

    def post(self, body: bytes = b"x", path: str = "/messages", **headers: str) -> "Client":
        """Send a request and do not wait."""
        return Client(self.settings.producer_http_port, body, path, headers)


class Client:
    """One request on a connection of its own."""

    def __init__(self, port: int, body: bytes, path: str, headers: dict[str, str]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("POST", path, body, named)

    def answer(self) -> tuple[int, dict[str, Any], HTTPResponse]:
        """Status, the JSON of the body, and the rest."""
        response = self._connection.getresponse()
        says = json.loads(response.read())
        self._connection.close()
        return response.status, says, response


@pytest.fixture
def opened() -> Iterator[Opened]:
    opening = Opened(producer_http_requests=2, producer_http_timeout="300ms")
    yield opening
    opening.source.pending.close()


def counted(status: int) -> float:
    return REGISTRY.get_sample_value("producer_http_requests_total", {"status": str(status)}) or 0.0


def test_an_answer_comes_with_the_confirm_and_not_before(opened: Opened) -> None:
    """Its ids are those of the messages."""
    before = counted(202)
    client = opened.post(b"1\n2\n", Content_Type="application/x-ndjson", Idempotency_Key="k")
    (first, one), (second, two) = opened.take(), opened.take()
    opened.source.pending.confirmed(one)
    assert counted(202) == before
    assert REGISTRY.get_sample_value("producer_http_pending") == 1
    opened.source.pending.confirmed(two)
    status, says, response = client.answer()
    assert (status, says) == (202, {"message_ids": ["k-1", "k-2"]})
    assert [first.message_id, second.message_id] == ["k-1", "k-2"]
    assert response.getheader("Server") is None
    assert counted(202) == before + 1


def test_without_a_confirm_in_time_it_says_that_the_message_may_still_arrive(opened: Opened) -> None:
    """It still holds its place."""
    status, says, _ = opened.post(Idempotency_Key="k").answer()
    assert (status, says["message_ids"]) == (504, ["k"])
    assert "300ms" in says["error"]
    assert "Idempotency-Key" in says["error"]
    assert len(opened.source.pending) == 1


def test_one_request_too_many_is_sent_away_and_nothing_of_it_is_taken(opened: Opened) -> None:
    """With the time after which to come again; there is room when another is through."""
    clients = [opened.post(), opened.post()]
    taken = [opened.take()[1] for _ in clients]
    status, says, response = opened.post(b"too many").answer()
    assert status == 429
    assert 1 <= int(response.getheader("Retry-After") or 0) <= 2
    assert "nothing was taken" in says["error"]
    for position in taken:
        opened.source.pending.confirmed(position)
    assert [client.answer()[0] for client in clients] == [202, 202]
    client = opened.post(b"again")
    message, position = opened.take()
    opened.source.pending.confirmed(position)
    assert (message.body, client.answer()[0]) == (b"again", 202)


def test_while_the_broker_is_away_nothing_is_taken(opened: Opened) -> None:
    """And the reason is said."""
    opened.reasons = ["producer: blocked"]
    status, says, response = opened.post().answer()
    assert (status, says["reasons"]) == (503, ["producer: blocked"])
    assert 1 <= int(response.getheader("Retry-After") or 0) <= 10
    assert len(opened.source.pending) == 0
    opened.reasons = []
    client = opened.post()
    opened.source.pending.confirmed(opened.take()[1])
    assert client.answer()[0] == 202


def test_messages_that_no_broker_takes_are_answered_422_with_their_ids(opened: Opened) -> None:
    """It is the client's to mend."""
    client = opened.post(b"1\n2", Content_Type="application/x-ndjson", Idempotency_Key="k")
    (_, one), (_, two) = opened.take(), opened.take()
    opened.source.pending.refused(one)
    opened.source.pending.confirmed(two)
    status, says, _ = client.answer()
    assert (status, says["refused"], says["message_ids"]) == (422, ["k-1"], ["k-1", "k-2"])


def test_who_waits_at_the_end_is_told() -> None:
    """Rather than cut off."""
    opened = Opened(producer_http_timeout="1m")
    client = opened.post()
    opened.take()
    opened.source.pending.close()
    status, says, response = client.answer()
    assert status == 503
    assert "may still arrive" in says["error"]
    assert response.getheader("Retry-After")


def test_a_wrong_request_is_answered_with_an_error_in_json(opened: Opened) -> None:
    """With what the status asks for."""
    status, says, _ = opened.post(path="/").answer()
    assert (status, says) == (404, {"error": "there is only POST /messages"})
    connection = HTTPConnection("127.0.0.1", opened.settings.producer_http_port, timeout=10)
    connection.request("GET", "/messages")
    response = connection.getresponse()
    assert (response.status, response.getheader("Allow")) == (405, "POST")
    connection.close()


def test_the_longest_body_is_taken_and_a_longer_one_is_not() -> None:
    """By its announced length, and in chunks without one."""
    opened = Opened(producer_http_max_body=1000)
    client = opened.post(b"x" * 1000)
    opened.source.pending.confirmed(opened.take()[1])
    assert client.answer()[0] == 202
    for headers, body in (({}, b"x" * 1001), ({"Transfer-Encoding": "chunked"}, iter([b"x" * 600, b"y" * 600]))):
        connection = HTTPConnection("127.0.0.1", opened.settings.producer_http_port, timeout=10)
        connection.request("POST", "/messages", body, headers, encode_chunked=bool(headers))  # type: ignore[arg-type]
        assert connection.getresponse().status == 413
        connection.close()
    assert opened.came.empty()
    opened.source.pending.close()


def test_all_addresses_are_those_of_ipv4_too() -> None:
    """As of the health page, or a pod would be ready and not be reached."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = HttpSource(make(http_host="::", producer_http_port=port), list)
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    source._server.close()


def test_a_port_that_is_taken_is_refused_with_the_variable_to_change() -> None:
    """It names the variable."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f"127.0.0.1:{port}: Address already in use .*; change PRODUCER_HTTP_PORT"
        ):
            HttpSource(make(producer_http_port=port), list)
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:.*; change HTTP_HOST"):
        HttpSource(make(http_host="192.0.2.1"), list)
