"""What is mutated is there, and has unit tests."""

import pytest

from tests.mutants import scope


@pytest.mark.parametrize("pattern", [each for each in scope.MODULES if "*" not in each])
def test_every_module_that_is_named_exists(pattern: str) -> None:
    assert pattern in scope.modules()


@pytest.mark.parametrize("module", scope.modules())
def test_every_module_has_its_tests(module: str) -> None:
    for each in scope.tests(module):
        assert (scope.ROOT / each).is_file()


def test_other_files_of_tests_come_after_the_twin_and_are_those_of_modules_in_the_scope() -> None:
    assert scope.tests("consumer/acks.py") == ["tests/unit/consumer/test_acks.py"]
    assert {*scope.ALSO} <= {*scope.modules()}
