"""The collector stands still while a service's modules load, and works from then on; signals end it quietly."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SEEN = """
import gc, sys

class Seen:
    def find_spec(self, name, path, target=None):
        if name in ("pika", "pydantic_settings", "structlog"):
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
    assert sorted(loading) == ["pika False", "pydantic_settings False", "structlog False"]
    assert then == "then True True"


INTERRUPTED = """
import signal, sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            signal.raise_signal({number})

sys.meta_path.insert(0, Interrupt())
import {program}
"""


@pytest.mark.parametrize(
    "program", ["producer.__main__", "consumer.__main__", "common.doctor.preflight", "common.doctor.__main__"]
)
@pytest.mark.parametrize("module", ["pika", "pydantic_settings", "structlog"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_loads_ends_it_without_a_word(program: str, module: str, number: signal.Signals) -> None:
    """By a handler: the kernel keeps a signal without one from the first process of a container."""
    code = INTERRUPTED.format(module=module, program=program, number=int(number))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


@pytest.mark.parametrize("program", ["producer.__main__", "consumer.__main__"])
def test_asyncio_waits_until_somebody_needs_it(program: str) -> None:
    """Then it is there for all, also for those that imported it before."""
    code = f"""
import sys, {program}
assert not any(name.partition(".")[0] == "asyncio" for name in sys.modules)
import asyncio, structlog
assert asyncio.iscoroutinefunction(structlog.get_logger().ainfo)
asyncio.run(structlog.get_logger().ainfo("said"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr, "said" in done.stdout) == (0, "", True)


PLUGIN = """
import sys, {program}
sys.path.insert(0, {folder!r})
from pydantic import BaseModel
class Order(BaseModel):
    number: int
assert Order(number="1").number == 1
import a_plugin
assert "Order" in a_plugin.seen
"""


def test_what_the_producer_can_do_without_until_its_first_confirm_is_not_loaded() -> None:
    """Each of them is a tenth or a twentieth of the time until then."""
    code = """
import sys, producer.__main__
from producer.settings import ProducerSettings
assert ProducerSettings(mq_url="amqp://localhost", mq_ch="jobs").mq_ch == "jobs"
assert not {"asyncio", "importlib.metadata", "prometheus_client", "http.server"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


@pytest.mark.parametrize("program", ["producer.__main__", "consumer.__main__"])
def test_the_users_own_models_have_the_plugins_of_pydantic_that_are_installed(program: str, tmp_path: Path) -> None:
    """Such as one that traces them; to look for it takes a twentieth of the start, and ours need none."""
    metadata = tmp_path / "a_plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pydantic]\na = a_plugin:plugin\n")
    (tmp_path / "a_plugin.py").write_text(
        "seen = []\n"
        "class Plugin:\n"
        "    def new_schema_validator(self, schema, kind, path, *rest, **more):\n"
        "        seen.append(path.name)\n"
        "        return None, None, None\n"
        "plugin = Plugin()\n"
    )
    code = PLUGIN.format(program=program, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_loads_a_service_has_its_own_interrupt_back() -> None:
    """Such as this one."""
    code = "import signal, producer.__main__; assert signal.getsignal(2) is signal.default_int_handler"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
