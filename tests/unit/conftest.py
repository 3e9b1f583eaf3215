"""What the unit tests share: an I/O loop without a broker, and how long hypothesis may take."""

import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, Gauge
from prometheus_client.registry import Collector

from common.process.run import Process
from tests.unit.peer import Peer

settings.register_profile("unit", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")

PATIENCE = 30.0  # seconds


class Loop(Process):
    """A process whose loop turns as long as a test asks for."""

    def turn(self, until: Callable[[], object], what: str) -> None:
        """Turn until the condition holds; fails with `what` after PATIENCE."""
        deadline = time.monotonic() + PATIENCE
        held = False  # noted when seen: what else is due in the last turn may change it again

        def look() -> None:
            nonlocal held
            held = bool(until())
            if held or time.monotonic() > deadline:
                self.loop.stop()
            else:
                self.call_later(0.005, look)

        self.call_soon(look)
        self.loop.start()
        assert self._defect is None, repr(self._defect)
        assert held, f"not within {PATIENCE:.0f} s: {what}"


@pytest.fixture
def process() -> Iterator[Loop]:
    """The real loop, in the test's own thread, without signals."""
    loop = Loop(grace=1.0)
    yield loop
    began = time.monotonic()
    loop._defect = None
    loop.turn(lambda: time.monotonic() - began > 0.05, "the end")  # pika closes the sockets of tries under way
    loop.loop.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """One that confirms whatever it gets."""
    with Peer() as listening:
        yield listening


@pytest.fixture
def own_metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The metrics that a test makes are gone after it: a name can be taken once."""
    made: list[Collector] = []
    register = REGISTRY.register

    def registered(collector: Collector) -> None:
        register(collector)
        made.append(collector)

    monkeypatch.setattr(REGISTRY, "register", registered)
    yield
    for collector in made:
        REGISTRY.unregister(collector)


@pytest.fixture(autouse=True)
def gauges_forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gauges ask nothing of a test that is over: each look at the registry asks all of them."""
    asking: list[Gauge] = []
    set_function = Gauge.set_function

    def noted(gauge: Gauge, function: Callable[[], float]) -> None:
        set_function(gauge, function)
        asking.append(gauge)

    monkeypatch.setattr(Gauge, "set_function", noted)
    yield
    for gauge in asking:
        set_function(gauge, float)


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """Where the spans of this process go; OpenTelemetry is set up once in each."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def ended(exporter: InMemorySpanExporter) -> Iterator[Callable[[], tuple[ReadableSpan, ...]]]:
    """`ended()`: the spans of this test that have ended."""
    yield exporter.get_finished_spans
    exporter.clear()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine's own reaches a test."""
    for name in ("MQ_URL", "MQ_URL_FILE", "MQ_CH", "MQ_TOPOLOGY", "HTTP_PORT", "LOG_LEVEL", "LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
