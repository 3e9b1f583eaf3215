"""How many of our files one message visits on its way: whoever follows it reads so many."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from pika import BasicProperties, frame, spec

from common.message import Message
from consumer.service import ConsumerService
from consumer.settings import ConsumerSettings
from producer.service import ProducerService
from producer.settings import ProducerSettings
from producer.source import Item
from tests.architecture.modules import MODULES
from tests.unit.conftest import PATIENCE, Loop
from tests.unit.peer import Peer, Visit

MOST_FILES_OF_A_DELIVERY = 12
MOST_FILES_OF_A_PUBLISHED_MESSAGE = 13
PREFETCH = 64  # deliveries

pytestmark = pytest.mark.usefixtures("own_metrics")


class Trace:
    """Counts calls into our files, in all threads that are started from here on, while `visits` is open."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}  # by module, in the order of the first visit
        self._modules = {str(path): module for module, path in MODULES.items()}
        self._open = False

    @contextmanager
    def visits(self) -> Iterator[None]:
        """Count, in this thread, too."""
        self._open = True
        sys.setprofile(self.note)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._open = False

    def note(self, called: FrameType, event: str, _: object) -> None:
        """What `sys.setprofile` calls."""
        module = self._modules.get(called.f_code.co_filename) if event == "call" and self._open else None
        if module:
            self.calls[module] = self.calls.get(module, 0) + 1

    def __str__(self) -> str:
        return f"{len(self.calls)} files:\n" + "\n".join(f"{calls:4} {name}" for name, calls in self.calls.items())


@pytest.fixture
def trace() -> Iterator[Trace]:
    trace = Trace()
    threading.setprofile(trace.note)
    yield trace
    threading.setprofile(None)


class Broker(Peer):
    """Also answers what a consumer asks: how much it lets come, and up to which tag it has acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.acknowledged = self.prefetch = 0
        self.consumer: Visit | None = None

    def on_method(self, visit: Visit, method: object) -> None:
        """Of a consumer's."""
        match method:
            case spec.Basic.Qos():
                self.prefetch += method.prefetch_count
                visit.say(spec.Basic.QosOk())
            case spec.Basic.Consume():
                self.consumer = visit
            case spec.Basic.Ack():
                self.acknowledged = max(self.acknowledged, method.delivery_tag)

    def deliver(self, *tags: int) -> None:
        """Messages, as they come from the producer."""
        assert self.consumer
        properties = BasicProperties(message_id="n-1", timestamp=1_700_000_000, headers={"mq-ms": 1}, delivery_mode=2)
        for tag in tags:
            method = spec.Basic.Deliver("000001", tag, False, "", "jobs")
            for value in (frame.Method(1, method), frame.Header(1, 5, properties), frame.Body(1, b"small")):
                self.consumer.send(value)


SETTINGS = {"mq_ch": "jobs", "mq_topology": "none"}


def test_a_delivery_visits_few_files_from_its_arrival_to_its_acknowledgement(process: Loop, trace: Trace) -> None:
    """With all sent ahead that ever is, so that nothing is decided any more but to handle it."""
    handled: list[Message] = []
    with Broker() as broker:
        settings = ConsumerSettings.model_validate({**SETTINGS, "mq_url": broker.url, "consumer_prefetch": PREFETCH})
        service = ConsumerService(process, settings, handled.append)
        service.start()
        process.turn(lambda: broker.consumer and service.reasons() == [], "both connections are open")
        tag = 0
        while broker.prefetch < PREFETCH:
            tag += 1
            broker.deliver(tag)
            process.turn(lambda: broker.acknowledged == tag, f"{tag} is acknowledged")  # noqa: B023
        with trace.visits():
            broker.deliver(tag + 1)
            process.turn(lambda: broker.acknowledged == tag + 1, "it is acknowledged")
        service.close()
        process.turn(service.closed, "it is closed")
    assert "common.wire.reader" in trace.calls
    assert "consumer.acks" in trace.calls
    assert len(handled) == tag + 1
    assert len(trace.calls) <= MOST_FILES_OF_A_DELIVERY, str(trace)


def test_a_message_visits_few_files_from_its_source_to_its_confirm(process: Loop, peer: Peer, trace: Trace) -> None:
    go_on = threading.Event()

    def source() -> Iterator[Item]:
        yield Item(b"first", 1)
        go_on.wait(PATIENCE)
        yield Item(b"second", 2)

    settings = ProducerSettings.model_validate({**SETTINGS, "mq_url": peer.url, "producer_source": "m:s"})
    service = ProducerService(process, settings, source, name="n")
    service.start()
    process.turn(lambda: service._confirmed == 1, "the first is confirmed")
    with trace.visits():
        go_on.set()
        process.turn(lambda: service._confirmed == 2, "the second is confirmed")
    service.close()
    process.turn(service.closed, "it is closed")
    assert "producer.reader" in trace.calls
    assert "common.wire.writer" in trace.calls
    assert len(trace.calls) <= MOST_FILES_OF_A_PUBLISHED_MESSAGE, str(trace)
