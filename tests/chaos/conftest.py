"""The promises as tests: a few of them, or with --full all; and their table at the end."""

from collections.abc import Iterator

import pytest

from local import Failure
from tests.brokers import kinds_here
from tests.chaos import table
from tests.chaos.cluster import Cluster
from tests.chaos.faults import promises
from tests.chaos.rabbit import BROKERS, Rabbit
from tests.chaos.trial import Row

ROWS = pytest.StashKey[list[Row]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "promise" in metafunc.fixturenames:
        chosen = promises(short=not metafunc.config.getoption("--full"))
        metafunc.parametrize("promise", chosen, ids=[each.name for each in chosen])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("what became of the messages")
        terminalreporter.write_line(table.head())
        for row in rows:
            terminalreporter.write_line(table.line(row))
        terminalreporter.write_line(table.closing(rows))


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest) -> list[Row]:
    """The rows of the table so far."""
    return request.config.stash.setdefault(ROWS, [])


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
