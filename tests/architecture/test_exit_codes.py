"""Exit codes stand in one module: no other writes the number of one."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.modules import TREES, WHOLE

TABLE = "common.process.exit"
EXITS = {"sys.exit", "os._exit", "SystemExit", "exit", "quit"}


def numbers(tree: ast.AST) -> Iterator[str]:
    """Each number by itself: as an argument of what exits, in an enumeration, or as a constant that EXIT begins."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(function, arguments) if ast.unparse(function) in EXITS:
                written = [part for argument in arguments for part in ast.walk(argument)]
                # None says 0 and a sentence says 1, but a sentence is for people: nobody compares it.
                if not arguments or any(isinstance(part, ast.Constant) and part.value is None for part in written):
                    yield ast.unparse(node)
            case ast.Raise(ast.Name("SystemExit")):
                yield ast.unparse(node)
                continue
            case ast.ClassDef(bases=bases) if any("Enum" in ast.unparse(base) for base in bases):
                written = [part for each in node.body if isinstance(each, ast.Assign) for part in ast.walk(each.value)]
            case ast.Assign([ast.Name(name)], value) if "EXIT" in name and "TIMEOUT" not in name:
                written = [*ast.walk(value)]
            case _:
                continue
        yield from (ast.unparse(node) for part in written if isinstance(part, ast.Constant) and type(part.value) is int)


@pytest.mark.parametrize("module", [name for name in WHOLE if name != TABLE])
def test_no_other_module_writes_an_exit_code_as_a_number(module: str) -> None:
    assert [*numbers(TREES[module])] == []


def test_the_table_has_numbers() -> None:
    """And its module ends the process by them."""
    assert "128 + number" in " ".join(numbers(TREES[TABLE]))


@pytest.mark.parametrize(
    "code",
    [
        "sys.exit(3)",
        "sys.exit()",
        "sys.exit(code or 1)",
        "os._exit(128 + number)",
        "raise SystemExit(2)",
        "raise SystemExit",
        "class Kind(IntEnum):\n    DNS = 10",
        "EXIT_PARTLY = 1",
    ],
)
def test_each_way_to_write_one_is_seen(code: str) -> None:
    assert [*numbers(ast.parse(code))]


@pytest.mark.parametrize(
    "code", ["sys.exit(ExitCode.DONE)", "sys.exit(run(service))", "class K(IntEnum):\n    A = X.A"]
)
def test_a_name_is_no_number(code: str) -> None:
    assert [*numbers(ast.parse(code))] == []
