"""Nothing is lost, whatever breaks: each test's name is its promise."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.promise import Promise
from tests.chaos.trial import Row, put_to_test


@pytest.mark.docker
@pytest.mark.slow
def test_promise(
    promise: Promise, wire: str, record: Callable[[Row], None], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    broker = request.getfixturevalue("cluster" if promise.broker == "cluster" else "rabbit")
    row = put_to_test(promise, broker, tmp_path, short=not request.config.getoption("--full"), wire=wire)
    record(row)
    if row.complaints:
        pytest.fail("\n".join([*row.complaints, f"logs: {tmp_path}"]), pytrace=False)
