"""The collector stands still while a service's modules load, and works from then on."""

import subprocess
import sys

import pytest

SEEN = """
import gc, sys

class Seen:
    def find_spec(self, name, path, target=None):
        if name in ("pika", "pydantic_settings", "structlog", "prometheus_client"):
            print(name, gc.isenabled())

sys.meta_path.insert(0, Seen())
import {service}.__main__
print("then", gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


@pytest.mark.parametrize("service", ["producer", "consumer"])
def test_nothing_is_collected_until_all_is_loaded(service: str) -> None:
    """That is: whatever is large is loaded behind `common.startup`."""
    code = SEEN.format(service=service)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    *loading, then = done.stdout.splitlines()
    assert sorted(loading) == ["pika False", "prometheus_client False", "pydantic_settings False", "structlog False"]
    assert then == "then True True"
