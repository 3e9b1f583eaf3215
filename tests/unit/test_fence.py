"""What a program finds as it was after it has imported ours: pika, the loaded modules, the collector, the signals.

Each look is a process of its own, since this one has imported ours long ago.
"""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.processes import ROOT

ENTRY_POINTS = ["producer.__main__", "consumer.__main__"]
if find_spec("common.doctor"):  # it can be left out
    ENTRY_POINTS += ["common.doctor.preflight", "common.doctor.__main__"]

PIKA = """
import contextlib, importlib, json, pkgutil, sys
import pika

for found in pkgutil.walk_packages(pika.__path__, "pika."):
    with contextlib.suppress(ImportError):  # adapters of loops that are not installed
        importlib.import_module(found.name)

CONTAINERS = dict | list | set
UNSEEN = object()

def look():
    # Every attribute of every module and class of pika, by its full name; for a table such as spec.methods each entry.
    seen, waiting = {}, [(name, module) for name, module in sys.modules.items() if name.partition(".")[0] == "pika"]
    known = set()
    while waiting:
        owner, holder = waiting.pop()
        if id(holder) in known:
            continue
        known.add(id(holder))
        for name, value in list(vars(holder).items()):
            seen[f"{owner}.{name}"] = value
            if isinstance(value, type) and value.__module__.partition(".")[0] == "pika":
                waiting.append((f"{value.__module__}.{value.__qualname__}", value))
            elif isinstance(value, CONTAINERS) and name not in ("__builtins__", "__warningregistry__"):
                entries = value.items() if isinstance(value, dict) else enumerate(sorted(value, key=id))
                seen |= {f"{owner}.{name}[{key!r}]": entry for key, entry in entries}
    return seen

before = look()
import ENTRY
after = look()
names = sorted(before.keys() | after.keys())
changed = [name for name in names if before.get(name, UNSEEN) is not after.get(name, UNSEEN)]
print(json.dumps({"seen": len(before), "changed": changed}))
"""

MODULES = """
import json, sys
from importlib.machinery import PathFinder
from types import ModuleType

def stands_in(module):
    # Nobody loaded it, though there is a module of its name: not so modules that C makes, or `typing.io`.
    if not isinstance(module, ModuleType) or getattr(module, "__spec__", None) or module.__name__ == "__main__":
        return False
    package = module.__name__.rpartition(".")[0]
    path = getattr(sys.modules.get(package), "__path__", None)
    return type(module) is not ModuleType or PathFinder.find_spec(module.__name__, path) is not None

before = dict(sys.modules)
import ENTRY
after = dict(sys.modules)
print(json.dumps({
    "replaced": [name for name, module in before.items() if after.get(name) is not module],
    "stand-ins": [name for name, module in after.items() if stands_in(module)],
    "held by others": [
        f"{name}.{attribute}"
        for name, module in after.items()
        for attribute, value in list(vars(module).items())
        if stands_in(value)
    ],
}))
"""

ASYNCIO = """
import json, sys
import ENTRY
import asyncio, pydantic, importlib
loader = importlib.import_module("pydantic.plugin._loader")
print(json.dumps([vars(module)["__spec__"].name for module in (asyncio, loader)]))
"""

PROCESS = """
import gc, json, signal

def look():
    return {"collects": gc.isenabled(), "thresholds": gc.get_threshold()} | {
        signal.Signals(number).name: repr(signal.getsignal(number))
        for number in signal.valid_signals() if number in signal.Signals._value2member_map_
    }

def own(number, frame): pass

gc.COLLECTOR()
signal.signal(signal.SIGUSR1, own)
if OWN:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, own)
before = look()
import ENTRY
after = look()
print(json.dumps({name: [before[name], after[name]] for name in before if before[name] != after[name]}))
"""

THREAD = """
import importlib, json, traceback
from threading import Thread

errors = []

def load():
    try:
        importlib.import_module("ENTRY")
    except BaseException:
        errors.append(traceback.format_exc())

thread = Thread(target=load)
thread.start()
thread.join()
print(json.dumps(errors))
"""

each_entry_point = pytest.mark.parametrize("entry_point", ENTRY_POINTS)


def told(code: str, entry_point: str, **words: str) -> object:
    """What `code` prints as JSON, with ENTRY and each of `words` put in, and nothing else on either stream."""
    for word, value in {"ENTRY": entry_point, **words}.items():
        code = code.replace(word, value)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@each_entry_point
def test_importing_an_entry_point_changes_nothing_of_pika(entry_point: str) -> None:
    """No attribute of a module or class of pika, and no entry of its tables of methods and properties."""
    found = told(PIKA, entry_point)
    assert isinstance(found, dict)
    assert found["seen"] > 2000
    assert found["changed"] == []


@each_entry_point
def test_importing_an_entry_point_leaves_no_stand_in_for_a_module(entry_point: str) -> None:
    """Neither in `sys.modules` nor in a module that has imported it meanwhile."""
    assert told(MODULES, entry_point) == {"replaced": [], "stand-ins": [], "held by others": []}


@each_entry_point
def test_asyncio_and_the_plugin_loader_of_pydantic_are_the_real_ones_after_the_import(entry_point: str) -> None:
    """Whoever imports them then gets what the standard library and pydantic have under these names."""
    assert told(ASYNCIO, entry_point) == ["asyncio", "pydantic.plugin._loader"]


@each_entry_point
@pytest.mark.parametrize(
    ("own", "collector"), [("False", "enable"), ("True", "disable")], ids=["as-python-starts", "all-set-otherwise"]
)
def test_importing_an_entry_point_leaves_signal_handlers_and_the_collector_as_they_were(
    entry_point: str, own: str, collector: str
) -> None:
    """Of all signals; and a program that has switched the collector off finds it off."""
    assert told(PROCESS, entry_point, OWN=own, COLLECTOR=collector) == {}


@each_entry_point
def test_an_entry_point_can_be_imported_in_any_thread(entry_point: str) -> None:
    """As a program does that loads its parts in a pool of threads."""
    assert told(THREAD, entry_point) == []
