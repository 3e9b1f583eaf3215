"""The shape of the services' code, kept by a machine."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("common", "producer", "consumer")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
LINES = 250

# These speak AMQP, or hold what pika hands over; the others must be testable without it.
SPEAK_AMQP = {
    "common.amqp.connection",
    "common.wire.content",
    "common.wire.deliver",
    "common.doctor.command",
    "common.doctor.broker",
    "common.doctor.network",
    "common.wire.properties",
    "common.wire.headers",
    "common.amqp.session",
    "common.message",
    "common.doctor.preflight",
    "common.process.run",
    "common.amqp.publisher",
    "common.wire.connection",
    "common.amqp.errors",
    "common.wire.resolver",
    "common.amqp.topology",
    "common.wire.stream",
    "consumer.acks",
    "consumer.intake",
    "consumer.dead_letters.browser",
    "consumer.subscription",
}
# Entry points, and modules that only declare: there is nothing in them to run.
NO_TWIN = {
    "consumer.verify.command",
}
# Packages that can be deleted: nothing else imports them, `consumer.__main__` knows only the name of their command.
DELETABLE = ("consumer.dead_letters",)
# Programs of their own, which neither service needs.
PROGRAMS = ("common.doctor.",)
# A message without a date gets one; the broker's clock is compared with ours, and its certificate's end with today.
WALL_CLOCK = {"common.message", "consumer.retry", "common.doctor.network"}
# What need not be installed is loaded by these, which nothing else loads without being asked to.
OPTIONAL = {
    "opentelemetry": {"common.observe.tracing", "producer.tracing", "consumer.tracing"},
    "waitress": {"producer.http.server"},
}
FORBIDDEN = ("Manager", "Helper", "Util", "Base")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in it, and each name of a `from` that may be one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(start: str) -> set[str]:
    """The modules of ours that `start` imports, and they in turn."""
    found, new = set[str](), {start}
    while new:
        found |= new
        new = {name for module in new for name in imports(TREES[module]) if name in TREES} - found
    return found


def calls(tree: ast.AST) -> Iterator[str]:
    """`time.time` of each `time.time(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


each_module = pytest.mark.parametrize("module", MODULES)


@each_module
def test_a_module_is_at_most_250_lines(module: str) -> None:
    """One file one noun."""
    lines = len(MODULES[module].read_text().splitlines())
    assert lines <= LINES, f"{module} has {lines}"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("common.") and "__" not in name])
def test_what_is_common_is_used_by_both_services(module: str) -> None:
    """What only one uses belongs to it."""
    if not module.startswith(PROGRAMS):
        assert module in reached("producer.__main__")
        assert module in reached("consumer.__main__")


@pytest.mark.parametrize("module", [name for name in MODULES if "__" not in name])
def test_a_module_has_its_twin(module: str) -> None:
    """tests/unit/PACKAGE/test_MODULE.py, with at least one test."""
    *packages, name = module.split(".")
    twin = ROOT.joinpath("tests", "unit", *packages, f"test_{name}.py")
    if module in NO_TWIN:
        assert not twin.exists(), f"{module} has a twin now: take it from the list"
    else:
        assert twin.exists()
        assert "def test_" in twin.read_text()


def test_every_twin_has_its_module() -> None:
    """None is left of a module that is gone."""
    folder = ROOT / "tests" / "unit"
    for twin in (path for package in PACKAGES for path in (folder / package).rglob("test_*.py")):
        packages = twin.parent.relative_to(folder).parts
        assert ".".join([*packages, twin.stem.removeprefix("test_")]) in MODULES


def test_exactly_these_modules_import_pika() -> None:
    """Workers, outcomes, acknowledgements, sources and handlers know nothing of AMQP."""
    found = {name for name, tree in TREES.items() if any(each.partition(".")[0] == "pika" for each in imports(tree))}
    deleted = {name for name in SPEAK_AMQP if name.startswith(DELETABLE) and name not in TREES}
    assert found == SPEAK_AMQP - deleted


@pytest.mark.parametrize("package", OPTIONAL)
def test_exactly_these_modules_import_what_is_optional(package: str) -> None:
    """And no other imports them at its top, or it would be loaded by everybody."""
    found = {name for name, tree in TREES.items() if any(each.partition(".")[0] == package for each in imports(tree))}
    assert found == OPTIONAL[package]
    for name, tree in TREES.items():
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert name in found or not {each for node in top for each in imports(node)} & found


@pytest.mark.parametrize("package", DELETABLE)
def test_nothing_outside_of_a_package_that_can_be_deleted_imports_it(package: str) -> None:
    """Its own tests may; what `consumer.__main__` does with the name of a command is no import at the start."""
    importers = {name for name, tree in TREES.items() if any(each.startswith(package) for each in imports(tree))}
    assert all(name.startswith(package) for name in importers)


@each_module
def test_the_environment_is_read_by_the_settings_alone(module: str) -> None:
    """pydantic-settings does it, once, at the start; and a look at the names alone."""
    if not module.endswith((".settings", ".flags")):
        text = ast.unparse(TREES[module])
        assert "os.environ" not in text
        assert "getenv" not in text
        assert not {"os.environ", "os.getenv"} & set(imports(TREES[module]))


@each_module
def test_the_services_do_not_know_each_other_and_what_is_common_knows_neither(module: str) -> None:
    """Each could be deployed without the other's code."""
    package = module.partition(".")[0]
    known = {each.partition(".")[0] for each in imports(TREES[module])} & set(PACKAGES)
    assert known <= {package, "common"}


@each_module
def test_time_is_monotonic_and_nothing_is_printed(module: str) -> None:
    """The wall clock jumps; only the age of a message needs it."""
    called = set(calls(TREES[module]))
    assert "print" not in called
    assert not {"datetime.now", "datetime.utcnow"} & called
    assert "time.sleep" not in called, "the I/O thread never sleeps, and a thread waits for an event"
    if module not in WALL_CLOCK:
        assert "time.time" not in called
        assert "time.time" not in set(imports(TREES[module]))


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
