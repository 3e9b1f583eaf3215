"""The shape of the services' code, kept by a machine. Layers, lines, names and deletions: see tests/architecture."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.modules import IMPORTS, MODULES, PACKAGES, ROOT, TREES, WHOLE, within

# These speak AMQP, or hold what pika hands over; the others must be testable without it.
SPEAK_AMQP = {
    "common.amqp.connection",
    "common.amqp.errors",
    "common.amqp.plain",
    "common.amqp.publisher",
    "common.amqp.session",
    "common.amqp.topology",
    "common.doctor.broker",
    "common.doctor.network",
    "common.doctor.preflight",
    "common.message",
    "common.process.run",
    "common.properties",
    "common.wire.connection",
    "common.wire.headers",
    "common.wire.properties",
    "common.wire.reader",
    "common.wire.writer",
    "consumer.acks",
    "consumer.dead_letters.browser",
    "consumer.intake",
    "consumer.subscription",
}
# Tests of a whole package, beside the twins of its modules.
NO_MODULE = {
    "common.wire.foreign": "what a foreign publisher may send, through all that the fence decodes and encodes",
}
# Programs of their own, which neither service needs.
PROGRAMS = ("common.doctor",)
# A message without a date gets one, and ages; the broker's clock is compared with ours, its certificate's end with now.
WALL_CLOCK = {"common.message", "consumer.service", "consumer.testing", "common.doctor.network"}
# What need not be installed is loaded by these, which nothing else loads without being asked to.
NOT_INSTALLED = {
    "opentelemetry": {"common.observe.tracing", "producer.tracing", "consumer.tracing"},
    "waitress": {"producer.http.connections"},
}
FORBIDDEN = ("Manager", "Helper", "Util", "Base")


def present(declared: set[str]) -> set[str]:
    """Those whose package is there: one that can be deleted may be."""
    return {name for name in declared if name in MODULES or name.rpartition(".")[0] in MODULES}


def reached(start: str) -> set[str]:
    """The modules of ours that `start` imports, and they in turn."""
    found, new = set[str](), {start}
    while new:
        found |= new
        new = {name for module in new for name, _ in IMPORTS[module] if name in TREES} - found
    return found


def importers(package: str) -> set[str]:
    """The modules of ours that import `package`, or something in it, anywhere."""
    return {module for module in MODULES if any(within(name, (package,)) for name, _ in IMPORTS[module])}


def calls(tree: ast.AST) -> Iterator[str]:
    """`time.time` of each `time.time(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def imported_names(tree: ast.AST) -> Iterator[str]:
    """`time.time` of each `from time import time`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


each_module = pytest.mark.parametrize("module", MODULES)


@pytest.mark.parametrize("module", [name for name in WHOLE if name.startswith("common.") and "__" not in name])
def test_what_is_common_is_used_by_both_services(module: str) -> None:
    """What only one uses belongs to it."""
    if not within(module, PROGRAMS):
        assert module in reached("producer.__main__")
        assert module in reached("consumer.__main__")


@pytest.mark.parametrize("module", [name for name in WHOLE if "__" not in name])
def test_a_module_has_its_twin(module: str) -> None:
    """tests/unit/PACKAGE/test_MODULE.py, with at least one test."""
    *packages, name = module.split(".")
    twin = ROOT.joinpath("tests", "unit", *packages, f"test_{name}.py")
    assert twin.exists()
    assert "def test_" in twin.read_text()


def test_every_twin_has_its_module() -> None:
    """None is left of a module that is gone, and each that has none is declared."""
    folder = ROOT / "tests" / "unit"
    twins = {
        ".".join([*twin.parent.relative_to(folder).parts, twin.stem.removeprefix("test_")])
        for package in PACKAGES
        for twin in (folder / package).rglob("test_*.py")
    }
    assert twins - set(WHOLE) == present(NO_MODULE.keys() - set(WHOLE))


def test_exactly_these_modules_import_pika() -> None:
    """Workers, outcomes, sources and handlers know nothing of AMQP."""
    found = importers("pika")
    assert found - SPEAK_AMQP == set()
    assert present(SPEAK_AMQP) - found == set()


@pytest.mark.parametrize("package", NOT_INSTALLED)
def test_exactly_these_modules_import_what_need_not_be_installed(package: str) -> None:
    """And no other imports them at its top, or it would be loaded by everybody."""
    found = importers(package)
    assert found == NOT_INSTALLED[package] & set(MODULES)
    for module in set(MODULES) - found - {"producer.http.server"}:  # that one is imported on demand itself
        assert not {name for name, when in IMPORTS[module] if when == "start"} & found


@each_module
def test_the_environment_is_read_by_the_settings_alone(module: str) -> None:
    """pydantic-settings does it, once, at the start; and a look at the names alone. A terminal is asked what it is."""
    if not module.endswith((".settings", ".flags", ".terminal")):
        text = ast.unparse(TREES[module])
        assert "os.environ" not in text
        assert "getenv" not in text
        assert not {"os.environ", "os.getenv"} & set(imported_names(TREES[module]))


@each_module
def test_the_services_do_not_know_each_other_and_what_is_common_knows_neither(module: str) -> None:
    """Each could be deployed without the other's code."""
    known = {name.partition(".")[0] for name, _ in IMPORTS[module]} & set(PACKAGES)
    assert known <= {module.partition(".")[0], "common"}


@each_module
def test_time_is_monotonic_and_nothing_is_printed(module: str) -> None:
    """The wall clock jumps; only the age of a message needs it."""
    called = set(calls(TREES[module]))
    assert "print" not in called
    assert not {"datetime.now", "datetime.utcnow"} & called
    assert "time.sleep" not in called, "the I/O thread never sleeps, and a thread waits for an event"
    assert ("time.time" in called) == (module in WALL_CLOCK)
    assert not {"time.time", "time.sleep"} & set(imported_names(TREES[module]))


@each_module
def test_names_are_nouns_that_say_something(module: str) -> None:
    """No Manager, Helper, Utils or Base."""
    names = [node.name for node in ast.walk(TREES[module]) if isinstance(node, ast.ClassDef)]
    for name in [*names, *(part.title() for part in module.replace("_", ".").split("."))]:
        assert not any(word in name for word in FORBIDDEN), name


@each_module
def test_every_module_says_what_it_is(module: str) -> None:
    """In its first line."""
    assert ast.get_docstring(TREES[module])
