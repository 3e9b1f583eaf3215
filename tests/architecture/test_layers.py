"""Who may import whom: layers in a declared order, no circles, and nothing that needs what can be deleted."""

from graphlib import TopologicalSorter
from importlib import import_module

import pytest

from tests.architecture.modules import IMPORTS, MODULES, OPTIONAL, WHOLE, within

# A module may import its own package and the layers above this one; not what stands beside it. A longer name wins.
LAYERS = (
    ("common.properties", "common.process.exit", "common.plugins", "common.terminal"),
    ("common.message", "common.process.fork"),
    ("common.settings", "common.observe"),
    ("common.process",),
    ("common.amqp",),
    ("common.wire", "common.doctor"),
    ("consumer", "producer"),
    ("consumer.dead_letters", "consumer.verify", "producer.http"),
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Imported inside of a function, by whoever works without it: once it is known to be there, or wanted.
ON_DEMAND = {
    ("common.amqp.session", "common.wire.connection"),
    ("consumer.__main__", "common.observe.tracing"),
    ("consumer.__main__", "consumer.tracing"),
    ("producer.__main__", "common.observe.tracing"),
    ("producer.__main__", "producer.tracing"),
    ("producer.__main__", "producer.http.server"),
}
# Entry points import inside of main(), while signals end them.
IMPORTED_ON_DEMAND = {
    (importer, each.name)
    for importer in WHOLE
    for each in IMPORTS[importer]
    if each.name in MODULES and each.when == "demand"
}


def layer(module: str) -> str:
    """The longest declared name that holds it."""
    return max((name for name in RANKS if within(module, (name,))), key=len, default="")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_own_package_and_lower_layers(module: str) -> None:
    own = layer(module)
    for name, when in IMPORTS[module]:
        if name not in MODULES or (when == "demand" and (module, name) in ON_DEMAND):
            continue
        imported = layer(name)
        assert imported == own or RANKS[imported] < RANKS[own] or name in ("common", own), f"{module} imports {name}"


@pytest.mark.parametrize("module", [name for name in MODULES if "." in name])
def test_every_module_is_in_a_layer(module: str) -> None:
    assert layer(module) or module in ("common", "common.process")


def test_every_layer_has_its_modules() -> None:
    """None is declared that is gone, unless it is one that can be deleted."""
    deletable = tuple(name for names in OPTIONAL.values() for name in names)
    assert [name for name in RANKS if name not in MODULES and not within(name, deletable)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not even inside of functions: each can be read, and tested, before those that use it. Raises CycleError."""
    graph = {
        module: {name for name, when in IMPORTS[module] if name in MODULES and when != "types"} - {module}
        for module in MODULES
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("what", OPTIONAL)
def test_what_can_be_deleted_is_imported_by_nothing_at_its_start(what: str) -> None:
    """And on demand only where it is declared."""
    names = OPTIONAL[what]
    for module in MODULES:
        used = {each for each in IMPORTS[module] if within(each.name, names)}
        if not within(module, names):
            assert not {each.name for each in used if each.when == "start"}, module
            assert {(module, each.name) for each in used} <= ON_DEMAND


def test_every_declared_import_on_demand_is_there() -> None:
    """An entry of the list that nothing needs any more goes."""
    deleted = {pair for pair in ON_DEMAND if pair[1] not in MODULES}
    assert ON_DEMAND - deleted <= IMPORTED_ON_DEMAND
    assert all(any(within(name, names) for names in OPTIONAL.values()) for _, name in ON_DEMAND)


def test_the_commands_of_the_consumer_are_modules_or_deleted() -> None:
    """They are named by strings, which no import shows."""
    for name in import_module("consumer.__main__").COMMANDS.values():
        assert name in MODULES or not any(within(module, (name.rpartition(".")[0],)) for module in MODULES)
