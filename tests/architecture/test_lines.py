"""How much code there is: of a module, a package, the pair, all. Each figure is true, and rises only by a commit."""

from collections import Counter

import pytest

from tests.architecture.modules import BESIDE_THE_PAIR, MODULES, ROOT, WHOLE, lines, package_of, within

SHORTEST, LONGEST = 30, 250  # lines of a module, which is one whole noun
# What the whole must come to. A second number is the one that is wanted, where the tree is not there yet.
MOST_MODULES = 84
MOST_LINES = 10524  # wanted: 7300
MOST_LINES_OF_THE_PAIR = 7010  # wanted: 4000
MOST_LINES_OF_LOCAL = 805  # wanted: 600
SLACK = 40  # lines by which a package may be shorter than its figure
# Lines of each package's own modules. A commit that needs more says here how many, and why in its message.
LINES = {
    "common": 503,
    "common.amqp": 1255,
    "common.doctor": 971,
    "common.observe": 644,
    "common.process": 431,
    "common.settings": 524,
    "common.wire": 628,
    "consumer": 2598,
    "consumer.dead_letters": 944,
    "consumer.verify": 427,
    "producer": 1138,
    "producer.http": 461,
}


@pytest.mark.parametrize("module", WHOLE)
def test_a_module_is_one_whole_noun_of_30_to_250_lines(module: str) -> None:
    assert SHORTEST <= lines(module) <= LONGEST, f"{module} has {lines(module)}: it is a part of another, or holds two"


def test_each_package_has_the_lines_that_are_stated() -> None:
    """More only by a commit that says so; and fewer are stated soon, or the next could grow unseen."""
    found = Counter[str]()
    for module in MODULES:
        found[package_of(module)] += lines(module)
    wrong = {name: found[name] for name in LINES.keys() | found if name in found or not within(name, BESIDE_THE_PAIR)}
    wrong = {name: have for name, have in wrong.items() if not 0 <= LINES.get(name, 0) - have <= SLACK}
    assert wrong == {}, f"state in LINES, where that is right: {wrong}"


def test_all_of_it_is_at_most_so_much() -> None:
    assert len(WHOLE) <= MOST_MODULES
    total = sum(map(lines, MODULES))
    assert total <= MOST_LINES


def test_the_pair_can_be_read_in_an_afternoon() -> None:
    """Both services, without what can be deleted."""
    total = sum(lines(module) for module in MODULES if not within(module, BESIDE_THE_PAIR))
    assert total <= MOST_LINES_OF_THE_PAIR


def test_make_run_needs_at_most_so_much() -> None:
    """`local/`, which no service imports: each module a whole noun, too."""
    found = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "local").glob("*.py")}
    wrong = {name for name, count in found.items() if not SHORTEST <= count <= LONGEST and name != "__init__.py"}
    assert wrong == set()
    assert 0 <= MOST_LINES_OF_LOCAL - sum(found.values()) <= SLACK, "state it, where that is right"
