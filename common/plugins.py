"""Plugins: finds the user's callable for an extension point (source, handler) by its name."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Which names of Python's library these have replaced.
PATCHERS = {"gevent.monkey": "is_module_patched", "eventlet.patcher": "is_monkey_patched"}
NEEDED = ("select", "socket", "thread", "threading")
LIBRARY = str(Path(os.__file__).parent)  # the standard one
DECORATED = {getattr(decorate, "__code__", None) for decorate in (contextmanager(iter), asynccontextmanager(aiter))}
HOME = Path(__file__).resolve().parent.parent  # of our packages; in the image users' modules stand there, too


class ConfigError(Exception):
    """A configured value, such as a plugin's name, cannot be used. Its text is for people."""


def load_callable(name: str, wanted: str, *, arguments: int, or_none: bool = False) -> Callable[..., Any]:
    """The callable at `package.module:name`, searched in the current folder too; `wanted` lists the valid names.

    Raises ConfigError if there is none, or if it does not take so many `arguments` (`or_none`, as what makes a context
    manager does). An error raised inside the user's module passes through.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name.strip(".") or module_name.startswith(".") or not attribute:
        raise ConfigError(f"{name!r} is none of {wanted}")
    _search_here()
    check_free(module_name)
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name
        if missing and f"{module_name}.".startswith(f"{error.name}."):
            where = "by PYTHONSAFEPATH not in" if sys.flags.safe_path else "in"
            raise ConfigError(
                f"no module {module_name!r} {where} {Path.cwd()} or among the installed packages"
            ) from None
        check_free(error.name or "")
        raise
    if patcher := patched_by():
        raise ConfigError(
            f"{patcher} has replaced threads, sockets or select of Python's library, which this program works with; "
            f"leave out its monkey patching, in {module_name} and what that imports"
        )
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ConfigError(f"module {module_name!r} has no callable {attribute!r}")
    if (why := refused(found, arguments)) and not (or_none and not refused(found, 0)):
        raise ConfigError(f"{name} is called with {('nothing', 'one message')[arguments]}: {why}")
    return found  # type: ignore[no-any-return]


def refused(found: Any, arguments: int) -> str:
    """Why `found` cannot be called with so many arguments; empty if it can."""
    try:
        signature = inspect.signature(found if inspect.isroutine(found) or inspect.isclass(found) else found.__call__)
    except (TypeError, ValueError):  # a callable written in C may have no signature
        return ""
    try:
        signature.bind(*[None] * arguments)
    except TypeError as error:
        return str(error)
    return ""


def is_context(value: object) -> bool:
    """Whether it is a context manager, plain or async; or a class of them."""
    return hasattr(value, "__enter__") or hasattr(value, "__aenter__")


def makes_context(found: Callable[..., Any]) -> bool:
    """Whether a call without arguments is to make a context manager, where others take one argument."""
    if inspect.isclass(found):
        return is_context(found)
    return getattr(found, "__code__", None) in DECORATED or bool(refused(found, 1))


def patched_by() -> str:
    """What has replaced something that we need of Python's library; empty when nothing has."""
    asked = {name: getattr(sys.modules.get(name), question, None) for name, question in PATCHERS.items()}
    return next((name for name, patched in asked.items() if patched and any(map(patched, NEEDED))), "")


def _search_here() -> None:
    """Search the working folder, unless that is not trusted; and behind Python's own modules, whoever imports them."""
    if sys.flags.safe_path or {"", str(Path.cwd())} & set(sys.path):
        return
    own = [place for place, each in enumerate(sys.path) if each in (LIBRARY, f"{LIBRARY}/lib-dynload")]
    sys.path.insert(max(own, default=-1) + 1, str(Path.cwd()))


def check_free(module_name: str) -> None:
    """Raises ConfigError if a file of the user's has this module's name, and another module is what Python finds."""
    top = module_name.partition(".")[0]
    spec = None
    with suppress(ValueError):  # no name, or __main__
        spec = find_spec(top)
    if not spec:
        return
    found = {Path(each).resolve() for each in (spec.origin, *(spec.submodule_search_locations or ())) if each}
    for folder in (Path.cwd(), HOME):
        package, module = folder / top, folder / f"{top}.py"
        ours = package.resolve() in found
        for file in [module] * (not ours or folder == HOME) + sorted(package.glob("*.py")) * (not ours):
            if file.is_file() and file.resolve() not in found:
                taker = spec.origin if spec.has_location else "Python itself"
                raise ConfigError(f"{file}: the name {top} is taken by {taker}: rename yours")


def is_any(found: Callable[..., Any], kinds: Iterable[Callable[[object], bool]]) -> bool:
    """Whether `found` or its `__call__` is of one of these kinds, such as `inspect.iscoroutinefunction`."""
    return any(kind(each) for each in (found, getattr(found, "__call__", None)) for kind in kinds)  # noqa: B004
