"""What all tests share: real brokers, a queue of one's own, services as processes."""

import os
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pytest

from local import Failure
from tests.brokers import KINDS, Broker, delete_queues, kinds_here
from tests.groups import group_of, rank
from tests.processes import Process

Start = Callable[..., Process]
ONE_BROKER = [Path(__file__).parent / folder for folder in ("readme", "system")]
MARKERS = {
    "cluster": "needs a Kubernetes cluster that is given by name",
    "docker": "needs Docker and the base images",
    "fence(reason)": "holds only with our own way of reading and writing frames, not with MQ_WIRE=pika",
    "every_broker": "a system test whose outcome may depend on the broker's version",
    "one_wire(reason)": "is not repeated with MQ_WIRE=pika",
    "slow": "takes more than ten seconds",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the long form of tests that have one (tests/chaos)")
    parser.addoption("--quick", action="store_true", help="one broker and our own wire only")


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "broker" in metafunc.fixturenames:
        kinds = kinds_here()[:1] if metafunc.config.getoption("--quick") else kinds_here()
        metafunc.parametrize("broker", kinds, indirect=True, scope="session")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """By group. `--dist loadgroup` has no effect: pytest 9.2 ignores the names that pytest-xdist 3.8 gives."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid) or nodeid

    return ByGroup(config, log)


@pytest.hookimpl(trylast=True)  # behind pytest's own order, which keeps the tests of a broker together
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the services do by themselves is shown on one broker; `tests/broker` shows both all that may differ.

    Plain pika is the same on each broker, so it is shown on the first.
    """
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        parameters = callspec.params if callspec else {}
        other = parameters.get("broker", kinds_here()[0]) != kinds_here()[0]
        one = not item.get_closest_marker("every_broker") and any(each in item.path.parents for each in ONE_BROKER)
        plain = parameters.get("wire") == "pika"
        direct = item.get_closest_marker("fence") or item.get_closest_marker("one_wire")
        (left_out if (other and (one or plain)) or (plain and direct) else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    place = {each: rank(each.nodeid, slow=bool(each.get_closest_marker("slow"))) for each in kept}
    items[:] = sorted(kept, key=lambda each: (place[each], group_of(each.nodeid)))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that counts what ran, and what did not and why."""
    if terminalreporter.config.option.collectonly:
        return
    stats = terminalreporter.stats
    ran = sum(len(stats.get(outcome, [])) for outcome in ("passed", "failed", "error"))
    reasons = Counter(each.longrepr[2].removeprefix("Skipped: ") for each in stats.get("skipped", []))
    not_run = "; ".join(f"{count:,} ({reason})" for reason, count in reasons.most_common()) or "none"
    terminalreporter.write_line(f"ran {ran:,} tests; not run here: {not_run}")


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A real RabbitMQ: in a container, and Debian's own; a test may kill and restart it."""
    try:
        with KINDS[request.param]() as running:
            yield running
    except Failure as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def mq_ch(broker: Broker) -> Iterator[str]:
    """The name of a queue that is this test's alone; deleted afterwards with `.dead` and `.retry.*`."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    delete_queues(broker, name)


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> str:
    """MQ_WIRE of the services under test: the parameter of this test, or that of the environment."""
    asked: str = getattr(request, "param", None) or os.environ.get("MQ_WIRE", "direct")
    return asked


@pytest.fixture
def start(broker: Broker, mq_ch: str, wire: str, tmp_path: Path) -> Iterator[Start]:
    """`start("producer", "--count", "5", PRODUCER_RATE="10")`: the service on this test's broker and queue."""
    started = []

    def start_one(
        service: str, *arguments: str, stdin: int | IO[bytes] = subprocess.DEVNULL, **settings: Any
    ) -> Process:
        common = {"MQ_URL": broker.url, "MQ_CH": mq_ch, "MQ_WIRE": wire}
        env: Mapping[str, str] = common | {k: str(v) for k, v in settings.items()}
        process = Process(service, env, tmp_path, arguments, stdin)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.close()
        said = [line for line in process.stderr.read_text(errors="replace").splitlines() if '"message",' not in line]
        print(process.stderr.name, *said[-20:], sep="\n")  # which pytest shows if the test failed
