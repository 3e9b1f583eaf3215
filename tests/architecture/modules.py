"""The modules of the services, parsed, and what each imports."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("common", "consumer", "producer")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
WHOLE = [name for name, path in MODULES.items() if path.name != "__init__.py"]  # modules that hold something
# What can be deleted, by what is left without it: common/wire makes the pair quick, each of the others does more.
OPTIONAL = {
    "wire": ("common.wire",),
    "doctor": ("common.doctor",),
    "dead_letters": ("consumer.dead_letters",),
    "verify": ("consumer.verify",),
    "http": ("producer.http",),
    "tracing": ("common.observe.tracing", "consumer.tracing", "producer.tracing"),
    "testing": ("consumer.testing",),
}
BESIDE_THE_PAIR = tuple(name for what, names in OPTIONAL.items() if what != "tracing" for name in names)


When = Literal["start", "demand", "types"]


class Import(NamedTuple):
    """Of a module or a package: when the importer is imported, when a function of it is called, or for types alone."""

    name: str
    when: When


def within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether `module` is one of `packages` or in one."""
    return any(module == each or module.startswith(f"{each}.") for each in packages)


def imports(tree: ast.AST, when: When = "start") -> Iterator[Import]:
    """All that a module imports."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names):
                yield from (Import(alias.name, when) for alias in names)
            case ast.ImportFrom(module=str(origin), names=names):
                inner = (f"{origin}.{alias.name}" for alias in names)
                yield from (Import(each if each in MODULES else origin, when) for each in inner)
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                yield from imports(node, "types")
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from imports(node, "demand")
            case _:
                yield from imports(node, when)


IMPORTS = {name: sorted(set(imports(tree))) for name, tree in TREES.items()}


def lines(module: str) -> int:
    """How many it has."""
    return len(MODULES[module].read_text().splitlines())


def package_of(module: str) -> str:
    """The package whose folder it is in."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def files() -> list[Path]:
    """All files of the project, relative to ROOT: what git keeps, and what it would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
