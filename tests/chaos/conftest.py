"""The promises as tests: a few of them with either wire, or with --full all with ours; and their tables at the end."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest

from local import Failure
from tests.brokers import kinds_here
from tests.chaos import table
from tests.chaos.cluster import Cluster
from tests.chaos.faults import promises
from tests.chaos.rabbit import BROKERS, Rabbit
from tests.chaos.trial import Row
from tests.processes import WIRES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "promise" in metafunc.fixturenames:
        short = not metafunc.config.getoption("--full")
        chosen, asked = promises(short=short), os.environ.get("MQ_WIRE")
        metafunc.parametrize("wire", [asked] if asked else WIRES if short else WIRES[:1], indirect=True)
        metafunc.parametrize("promise", chosen, ids=[each.name for each in chosen])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The tables, of what the tests recorded; they may have run in other processes."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    recorded = [each for report in reports for each in report.user_properties]
    for wire in WIRES:
        if rows := [Row.of(value) for name, value in recorded if name == recorded_as(wire)]:
            terminalreporter.section("what became of the messages")
            terminalreporter.write_line(table.head(wire))
            for row in rows:
                terminalreporter.write_line(table.line(row))
            terminalreporter.write_line(table.closing(rows))


def recorded_as(wire: str) -> str:
    """The property of a test's report that holds its row."""
    return f"row with {wire}"


@pytest.fixture
def record(record_property: Callable[[str, object], None], wire: str) -> Callable[[Row], None]:
    """For the table of this MQ_WIRE."""
    return lambda row: record_property(recorded_as(wire), asdict(row))


@pytest.fixture(scope="session")
def rabbit() -> Iterator[Rabbit]:
    """One broker for all promises that ask no more; in a container where there is Docker."""
    try:
        with BROKERS[kinds_here()[0]]() as running:
            yield running
    except Failure as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three nodes."""
    with Cluster() as running:
        yield running
