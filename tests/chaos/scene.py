"""A scene: one broker, one pair on a queue and a user of its own, and a proxy between them."""

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self

from tests.brokers import outlive_a_kill
from tests.chaos.cluster import Cluster
from tests.chaos.memory import PeakMemory
from tests.chaos.pair import Pair
from tests.chaos.proxy import Proxy
from tests.chaos.queues import RETRIES, Queues
from tests.chaos.rabbit import Rabbit, url
from tests.processes import until

START = 60.0  # seconds; a broker or service on a busy machine
FLOW = 150  # messages handled, after which a pair counts as running
QUIET = 15.0  # seconds without a message, after which no more will come
ATTEMPTS = len(RETRIES) + 1
NOTICE = 2 * (2.0 + 5.0) + 2.0  # seconds; a dead connection is noticed after twice the heartbeat and its margin
RECOVERY = NOTICE  # the longest: the same, and the cap of the backoff, which happens to be 2 seconds


class Broker(Protocol):
    """What a single node and a cluster have in common."""

    def ports(self) -> list[int]:
        """Where its nodes listen."""

    def add_user(self, name: str, password: str) -> None:
        """A user who may do everything."""


class Scene:
    """What a fault gets: it breaks something, holds, mends it, and returns."""

    def __init__(
        self, broker: Broker, folder: Path, settings: Mapping[str, str], *, short: bool, proxied: bool, wire: str
    ) -> None:
        self.folder, self.short = folder, short
        self.queue = f"chaos-{secrets.token_hex(4)}"
        self.queues = Queues(broker.ports()[0], self.queue)
        self.user, self.password = f"{self.queue}-user", f"p{secrets.token_urlsafe(9)}/@:"
        self._broker, self._proxied = broker, proxied
        self.proxy = Proxy(broker.ports()[0])
        self.url_file = folder / "url"
        given = {"MQ_CH": self.queue, "MQ_URL_FILE": str(self.url_file), "MQ_WIRE": wire}
        self.pair = Pair(folder, given | dict(settings))
        self.memory = PeakMemory(self.pair)
        self._stack = ExitStack()
        self.mixed = False  # other faults came before
        self.notes: list[str] = []  # what a fault found wrong beside the account

    @property
    def rabbit(self) -> Rabbit:
        """The broker, a single node."""
        assert isinstance(self._broker, Rabbit)
        return self._broker

    @property
    def cluster(self) -> Cluster:
        """The broker, three nodes."""
        assert isinstance(self._broker, Cluster)
        return self._broker

    def afterwards(self, action: Callable[[], object]) -> None:
        """Do this when the services have ended."""
        self._stack.callback(action)

    def write_url(self, text: str | None = None) -> None:
        """Set what MQ_URL_FILE holds; the true address unless given."""
        ports = [self.proxy.port] if self._proxied else self._broker.ports()
        new = self.url_file.with_name("url.new")
        new.write_text(text or url(self.user, self.password, ports))
        new.replace(self.url_file)

    def start(self) -> None:
        """Start both services."""
        self.pair.consume()
        self.pair.produce()

    def flow(self) -> None:
        """Wait until messages flow."""
        start, began = len(self.pair.handled.read().names), time.monotonic()
        until(lambda: len(self.pair.handled.read().names) >= start + FLOW, "messages flow", START)
        outlive_a_kill(began)

    def hold(self, seconds: float, short: float | None = None) -> None:
        """Leave things as they are; `short` in the short form."""
        time.sleep(short if self.short and short is not None else seconds)

    def expect(self, truth: object, complaint: str) -> None:
        """Note what is wrong; the test goes on and fails at its end."""
        if not truth:
            self.notes.append(complaint)

    def wait(self, condition: Callable[[], object], complaint: str, timeout: float = 30.0) -> None:
        """Wait for what the fault must lead to."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                self.notes.append(f"not within {timeout:.0f} s: {complaint}")
                return
            time.sleep(0.05)

    def recovery(self, limit: float) -> float:
        """Seconds until a message taken from the source from now on is handled; `limit` at most."""
        began, pair = time.monotonic(), self.pair
        before = set(pair.handled.read().names) if pair.lines else set(pair.attempted())
        while time.monotonic() - began < limit:
            if not before.issuperset(pair.handled.read().names):
                break
            time.sleep(0.05)
        return time.monotonic() - began

    def restore(self) -> None:
        """Mend what a fault that failed midway may have left broken."""
        self.proxy.heal()
        if isinstance(self._broker, Rabbit):
            self._broker.thaw()
            self._broker.restart()

    def drain(self, parked: Callable[[str], bool]) -> None:
        """End the source and wait until all is accounted for, or nothing moves any more; then end the consumer."""
        pair = self.pair
        pair.end_source()
        self.wait(lambda: pair.producer.code() is not None, "the producer ends with its source", 60)
        wanted = {name for name in pair.attempted() if not parked(name)} - set(pair.refused.read().names)
        seen, moved = -1, time.monotonic()
        while time.monotonic() - moved < QUIET and pair.consumer.code() is None:
            names = pair.handled.read().ids.keys()
            if names >= wanted and not self.queues.waiting() and pair.consumer.metric("consumer_unsettled") == 0:
                break
            if len(names) != seen:
                seen, moved = len(names), time.monotonic()
            time.sleep(0.2)
        pair.consumer.terminate()
        self.wait(lambda: pair.consumer.code() is not None, "the consumer ends after SIGTERM", 30)

    def __enter__(self) -> Self:
        self._stack.enter_context(self.proxy)
        self._broker.add_user(self.user, self.password)
        self.write_url()
        self._stack.callback(self.memory.stop)
        self.memory.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self.pair.close()
