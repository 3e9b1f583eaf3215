"""Which private names a module uses, and which are its own: defined there, or in a module of ours that it extends."""

import ast
import keyword
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import getfile
from pathlib import Path

from tests.architecture.modules import MODULES, TREES

PRIVATE = re.compile("_[A-Za-z][A-Za-z0-9_]*")
# Public in spite of their names: of named tuples, and of the system.
PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit"}


def is_private(name: object) -> bool:
    """Whether it begins with one underscore."""
    return isinstance(name, str) and bool(PRIVATE.fullmatch(name)) and not keyword.iskeyword(name)


def defined(tree: ast.AST) -> Iterator[str]:
    """Functions, classes, variables, attributes of `self` or `cls` that are set or declared, and slots."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name) | ast.arg(name):
                yield name
            case ast.Name(name, ast.Store()) | ast.Attribute(ast.Name("self" | "cls"), name, ast.Store()):
                yield name
            case ast.Assign([ast.Name("__slots__")], value):
                yield from (each.value for each in ast.walk(value) if isinstance(each, ast.Constant))


def bases(tree: ast.AST) -> set[str]:
    """The names of all classes that its classes extend."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {part.id for each in classes for base in each.bases for part in ast.walk(base) if isinstance(part, ast.Name)}


@cache
def own(module: str) -> frozenset[str]:
    """The private names that `module` defines, and those of our modules from which it takes what it extends."""
    names = {name for name in defined(TREES[module]) if is_private(name)}
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            extended = {alias.asname or alias.name for alias in node.names} & bases(TREES[module])
            names |= own(node.module) if extended else set()
    return frozenset(names)


def used(tree: ast.AST) -> Iterator[str]:
    """Private names of anything's: attributes, imports, modules, and strings, which `getattr` may take."""
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(_, name) | ast.Constant(name) if node not in parts:
                names = [name]
            case ast.ImportFrom(module=module, names=aliases):
                names = [*(module or "").split("."), *(alias.name for alias in aliases)]
            case ast.Import(aliases):
                names = [part for alias in aliases for part in alias.name.split(".")]
            case _:
                continue
        yield from (name for name in names if is_private(name) and name not in PUBLIC)


def imported(tree: ast.AST) -> Iterator[str]:
    """Private names that are taken from a module by `from ... import`, ours or not: they are never one's own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if is_private(alias.name))


@cache
def pikas() -> frozenset[str]:
    """Every private name in the sources of the pika that is installed."""
    found = find_spec("pika")
    assert found
    assert found.origin
    trees = [ast.parse(path.read_text()) for path in Path(found.origin).parent.rglob("*.py")]
    return frozenset(name for tree in trees for name in [*defined(tree), *used(tree)] if is_private(name))


def taken_from_pika(module: str) -> set[str]:
    """Private names of classes that extend pika's which pika's own classes there have, too: they would be one."""
    nodes = {node.name: node for node in TREES[module].body if isinstance(node, ast.ClassDef)}
    taken = set[str]()
    for name, node in nodes.items():
        mro = getattr(import_module(module), name).__mro__
        sources = {getfile(each) for each in mro if each.__module__.partition(".")[0] == "pika"}
        trees = [ast.parse(Path(source).read_text()) for source in sources]
        pikas_own = {each for tree in trees for each in [*defined(tree), *used(tree)]}
        taken |= {each for each in [*defined(node), *used(node)] if is_private(each)} & pikas_own
    return taken
