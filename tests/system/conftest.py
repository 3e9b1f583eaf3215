"""On which broker a system test runs."""

from pathlib import Path

import pytest

from tests.broker.conftest import channel  # noqa: F401 - the same fixture here
from tests.brokers import kinds_here

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_broker: a system test whose outcome may depend on the broker's version")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the services do by themselves is shown on one broker; `tests/broker` shows both all that may differ."""
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        other = callspec is not None and callspec.params.get("broker", kinds_here()[0]) != kinds_here()[0]
        ours = HERE in item.path.parents and not item.get_closest_marker("every_broker")
        (left_out if other and ours else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept
