"""Whether spans are made; each case in a process of its own, because OpenTelemetry is set up once in each."""

import subprocess
import sys

import pytest

from tests.processes import ROOT

LOOK = """
import sys
from common.observe import logs
from common.observe import tracing
from common.settings.shared import Settings
logs.configure("info", "json")
def wanted(endpoint=None):
    values = {"mq_url": "amqp://h", "mq_ch": "jobs", "otel_exporter_otlp_endpoint": endpoint}
    return tracing.wanted(Settings.model_validate(values), "producer")
def loaded():
    return sorted(name for name in ("opentelemetry.trace", "opentelemetry.sdk", "waitress") if name in sys.modules)
"""
ABSENT = "for name in ({names}): sys.modules[name] = None\n"


def run(code: str) -> tuple[list[str], str]:
    """What the code prints, and standard error."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK + code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def test_nothing_is_loaded_where_nobody_wants_it() -> None:
    """Neither for spans nor for the HTTP source, by the whole of both programs."""
    said = run("import producer.__main__, consumer.__main__; print(wanted(), loaded())")
    assert said == (["False []"], "")


@pytest.mark.parametrize("absent", ["'opentelemetry'", "'opentelemetry.sdk', 'opentelemetry.sdk.resources'"])
def test_an_endpoint_without_the_packages_is_a_warning(absent: str) -> None:
    """Messages are more than traces."""
    said, log = run(ABSENT.format(names=f"{absent},") + "print(wanted('http://127.0.0.1:1'))")
    assert said == ["False"]
    assert "the extra `otel` is not installed" in log


def test_an_endpoint_is_enough() -> None:
    """The service's name is the default; the SDK's own variables win."""
    code = """
import os
os.environ["OTEL_RESOURCE_ATTRIBUTES"] = "service.version=7"
print(wanted("http://127.0.0.1:1/"))
from opentelemetry import trace
provider = trace.get_tracer_provider()
print(provider.resource.attributes["service.name"], provider.resource.attributes["service.version"])
"""
    assert run(code)[0] == ["True", "producer 7"]


def test_what_was_set_up_before_is_left_as_it_is() -> None:
    """As `opentelemetry-instrument` does it, or a module of the user's."""
    code = """
from opentelemetry import trace
print(wanted())
from opentelemetry.sdk.trace import TracerProvider
mine = TracerProvider()
trace.set_tracer_provider(mine)
print(wanted("http://127.0.0.1:1"), trace.get_tracer_provider() is mine)
"""
    assert run(code)[0] == ["False", "True True"]
