"""How long to draw: FUZZ_SECONDS for each test."""

import os
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings

SECONDS = float(os.environ.get("FUZZ_SECONDS", "15"))
Fuzz = Callable[[Callable[[], None]], None]


@pytest.fixture
def fuzz() -> Fuzz:
    """`fuzz(test)`: run a test of `given` again and again, each time with other examples; the failing one is shown."""

    def run(test: Callable[[], None]) -> None:
        # Not made smaller: with a broker that takes minutes, and the first failure leaves its messages behind.
        quick = settings(deadline=None, max_examples=20, database=None, phases=[Phase.generate])
        drawn = settings(quick, suppress_health_check=list(HealthCheck))(test)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            drawn()

    return run
