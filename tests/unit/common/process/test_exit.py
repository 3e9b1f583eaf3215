"""The exit codes, signals while a program loads, and the last resort: each in its own process."""

import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from common.amqp.errors import Kind
from common.process.exit import ExitCode
from tests.processes import ROOT
from tests.readme.settings_table import exit_codes

PROGRAMS = {
    "producer": "producer.__main__",
    "consumer": "consumer.__main__",
    "consumer dead-letters": "consumer.__main__",
    "consumer verify": "consumer.__main__",
    "common.doctor": "common.doctor.__main__",
    "common.doctor.preflight": "common.doctor.preflight",
}
# Of packages that can be left out.
for program, package in {
    "consumer dead-letters": "consumer.dead_letters",
    "consumer verify": "consumer.verify",
    "common.doctor": "common.doctor",
    "common.doctor.preflight": "common.doctor",
}.items():
    if not find_spec(package):
        del PROGRAMS[program]
each_module = pytest.mark.parametrize("module", sorted(set(PROGRAMS.values())))


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment or None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_exit_codes_do_not_change_and_the_readme_explains_each() -> None:
    """Scripts and manifests depend on them."""
    assert [int(code) for code in ExitCode] == [0, 1, 2, *range(10, 20), 130, 143]
    assert re.findall(r"^\| `(\d+)` \|", exit_codes(), re.MULTILINE) == [str(int(code)) for code in ExitCode]


def test_the_kinds_of_errors_are_the_codes_of_the_preflight() -> None:
    """By name and number: scripts depend on them."""
    assert {kind.name: int(kind) for kind in Kind} == {code.name: int(code) for code in ExitCode if 10 <= code <= 19}


@each_module
@pytest.mark.parametrize("place", ["main thread", "another thread"])
def test_importing_a_program_changes_nothing_of_the_process(module: str, place: str) -> None:
    """Neither signal handlers nor the garbage collector nor loaded modules; and any thread may import."""
    code = f"""
import asyncio, gc, importlib, signal, sys, threading
import pydantic.plugin._loader
def state():
    return [signal.getsignal(number) for number in signal.valid_signals()], gc.isenabled(), gc.get_freeze_count()
modules, before = dict(sys.modules), state()
errors = []
def load():
    try:
        importlib.import_module({module!r})
    except BaseException as error:
        errors.append(error)
if {place == "main thread"}:
    load()
else:
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
assert not errors, errors
assert state() == before
assert all(sys.modules[name] is module for name, module in modules.items())
"""
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_a_program_loads_no_library() -> None:
    """So a signal that comes while libraries load finds a handler."""
    programs = ", ".join(sorted(set(PROGRAMS.values()) - {"common.doctor.preflight"}))
    code = f"""
import sys, {programs}
assert not {{"pika", "pydantic", "structlog", "prometheus_client", "asyncio"}} & sys.modules.keys()
"""
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")


BEGIN = """
import gc, runpy, signal, sys

class Finder:
    def find_spec(self, name, path, target=None):
        {look}

sys.meta_path.insert(0, Finder())
program, *sys.argv[1:] = {words!r}
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("module", ["pika", "pydantic_settings", "structlog"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_program_loads_ends_it_without_a_word(
    program: str, module: str, number: signal.Signals
) -> None:
    """By a handler: without one the kernel drops a signal to the first process of a container."""
    look = f"name == {module!r} and signal.raise_signal({int(number)})"
    done = run(BEGIN.format(words=program.split(), look=look))
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


@pytest.mark.parametrize("words", ["producer --source users:go", "consumer --handler users:go"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_users_module_loads_ends_it_without_a_word(words: str, number: signal.Signals) -> None:
    """Nothing needs to be finished yet."""
    look = f"name == 'users' and signal.raise_signal({int(number)})"
    done = run(BEGIN.format(words=words.split(), look=look), MQ_URL="amqp://localhost", MQ_CH="jobs")
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


@pytest.mark.parametrize("words", ["producer --source users:go", "consumer --handler users:go"])
def test_the_garbage_collector_is_off_until_everything_is_loaded(words: str) -> None:
    """What a module creates while it loads stays, and is never scanned."""
    look = """
        if name in ("pika", "prometheus_client", "pydantic_settings", "structlog", "users"):
            print(name, gc.isenabled(), gc.get_freeze_count() > 10_000)
"""
    done = run(BEGIN.format(words=words.split(), look=look), MQ_URL="amqp://localhost", MQ_CH="jobs")
    *loading, users = dict.fromkeys(done.stdout.splitlines())  # a plugin is looked for before it is loaded
    assert sorted(loading) == [
        f"{name} False False" for name in ("pika", "prometheus_client", "pydantic_settings", "structlog")
    ]
    assert users == "users True True"


def test_a_failed_import_leaves_the_garbage_collector_on() -> None:
    done = run("""
import gc
from common.process.exit import loading
try:
    with loading():
        import nothing_of_this_name
except ImportError:
    print(gc.isenabled())
""")
    assert (done.stdout, done.stderr) == ("True\n", "")


HANGS = {
    "a thread that Python waits for": "threading.Thread(target=time.sleep, args=(60,)).start()",
    "a lock that nobody releases": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "a pipe that nobody reads": "[os.write(pipe, bytes(65536)) for pipe in [os.pipe()[1]] for _ in range(9)]",
}


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_exit_within_ends_whatever_hangs_and_says_why(hang: str) -> None:
    """Also when standard error is a full pipe, where nothing can be written."""
    code = (
        f"import os, threading, time; from common.process.exit import exit_within; exit_within(0.5, 'a test'); {hang}"
    )
    began = time.monotonic()
    done = run(code)
    assert done.returncode == 1
    assert done.stderr == "a test: leaving at once; what is not confirmed or settled stays where it was\n"
    fill = "import os; os.set_blocking(2, False); [os.write(2, b'x') for _ in range(65536)]; os.set_blocking(2, True)"
    command = [sys.executable, "-c", f"{fill}; {code}"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        assert process.wait(30) == 1
    assert time.monotonic() - began < 20


def test_a_cancelled_deadline_does_not_end_the_process() -> None:
    """Nor does the deadline of a process that has ended before."""
    begin = "import time; from common.process.exit import exit_within; exit_within(0.2, 'x')"
    for code in (f"{begin}; exit_within(0, ''); time.sleep(0.5)", begin):
        done = run(code)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_call_that_python_waits_for(number: signal.Signals) -> None:
    """A name look-up that nobody answers takes half a minute, and a Python handler would run only after it."""
    code = f"""
import signal
from common.process.exit import end_on_signals, loading
with loading():
    pass
end_on_signals()
signal.raise_signal({int(number)})
"""
    assert run(code).returncode == -number
