"""The list of survivors is complete, and of code that is there."""

import tomllib
from pathlib import Path

import pytest

from tests.mutants.mutations import Mutant, mutants
from tests.mutants.scope import ROOT, modules
from tests.mutants.survivors import entry, load

MUTANT = Mutant(12, "C.f", "constant", "return 'a', \"b\\n\", 1", "return 'a', \"b\\n\", 2", "")


def test_every_entry_is_of_a_mutant_that_is_made() -> None:
    """Else its code has changed, and whether the reason still holds is to be looked at again."""
    for survivor in load():
        assert survivor.module in modules(), survivor
        made = mutants((ROOT / survivor.module).read_text())
        assert any(survivor.is_of(survivor.module, each) for each in made), survivor


def test_the_tests_that_kill_listed_mutants_exist_outside_of_the_unit_tests() -> None:
    for survivor in load():
        file, _, test = survivor.killed_by.partition("::")
        assert not file.startswith("tests/unit/"), survivor
        assert not file or f"def {test}(" in (ROOT / file).read_text(), survivor


def test_what_is_printed_can_be_put_into_the_file(tmp_path: Path) -> None:
    file = tmp_path / "survivors.toml"
    file.write_text(entry("consumer/acks.py", MUTANT).replace('reason = ""', 'reason = "none"'))
    (survivor,) = load(file)
    assert survivor.is_of("consumer/acks.py", MUTANT)
    assert not survivor.is_of("consumer/delivery.py", MUTANT)


def test_an_entry_without_a_reason_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "survivors.toml"
    file.write_text(entry("consumer/acks.py", MUTANT))
    assert tomllib.loads(file.read_text())
    with pytest.raises(ValueError, match="no reason"):
        load(file)
