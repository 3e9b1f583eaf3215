"""A client of the producer's HTTP source."""

import json
from functools import partial
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from typing import Any, NamedTuple

from local.ports import free_port
from tests.processes import Process
from tests.system.kit import Start


class Answer(NamedTuple):
    """Status, the JSON of the body, and the header that says when to come again."""

    status: int
    says: dict[str, Any]
    retry_after: int


class HttpProducer:
    """A producer with `PRODUCER_SOURCE=http`."""

    def __init__(self, start: Start, **settings: Any) -> None:
        self.port = free_port()
        self._start = partial(start, "producer", "--source", "http", PRODUCER_HTTP_PORT=self.port, **settings)
        self.open()

    def open(self) -> None:
        """Start it, at first or again, on the same port."""
        self.process: Process = self._start()

    def post(self, body: bytes, timeout: float = 30.0, **headers: str) -> Answer:
        """Send a request and wait for the answer. Raises OSError or HTTPException."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("POST", "/messages", body, {key.replace("_", "-"): headers[key] for key in headers})
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()), int(response.getheader("Retry-After") or 0))
        finally:
            connection.close()


class Post(Thread):
    """A request that runs beside the test."""

    def __init__(self, producer: HttpProducer, body: bytes, **headers: str) -> None:
        super().__init__(daemon=True)
        self._producer, self._body, self._headers = producer, body, headers
        self._answer: Answer | Exception | None = None
        self.start()

    def run(self) -> None:
        """The thread."""
        try:
            self._answer = self._producer.post(self._body, **self._headers)
        except (OSError, HTTPException) as error:
            self._answer = error

    def answer(self) -> Answer:
        """Wait for it; raises what went wrong."""
        self.join(30)
        if not isinstance(self._answer, Answer):
            raise self._answer or TimeoutError
        return self._answer


class Client(Thread):
    """Posts one number after the other, each until it is confirmed, with one key for all its tries."""

    def __init__(self, producer: HttpProducer, name: str) -> None:
        super().__init__(daemon=True)
        self.confirmed: list[str] = []
        self.again = 0  # tries that were answered otherwise, or not at all
        self._producer, self._name, self._enough = producer, name, Event()
        self.start()

    def run(self) -> None:
        """The thread."""
        while not self._enough.is_set():
            key = f"{self._name}-{len(self.confirmed)}"
            while not self._confirmed(key):
                self.again += 1
                self._enough.wait(0.05)
                if self._enough.is_set():
                    return
            self.confirmed.append(key)

    def _confirmed(self, key: str) -> bool:
        try:
            return self._producer.post(key.encode(), Idempotency_Key=key).status == 202
        except (OSError, HTTPException):
            return False

    def stop(self) -> None:
        """Finish what it is at."""
        self._enough.set()
        self.join(30)
        assert not self.is_alive()

    @property
    def unclear(self) -> bytes:
        """What it tries now, or tried last: it may have come."""
        return f"{self._name}-{len(self.confirmed)}".encode()
