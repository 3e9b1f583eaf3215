"""Plugins: finds the user's callable for an extension point (source, handler) by its name."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Which names of Python's library these have replaced.
PATCHERS = {"gevent.monkey": "is_module_patched", "eventlet.patcher": "is_monkey_patched"}
NEEDED = ("select", "socket", "thread", "threading")


class ConfigError(Exception):
    """A configured value, such as a plugin's name, cannot be used. Its text is for people."""


def load_callable(name: str, wanted: str, *, arguments: int) -> Callable[..., Any]:
    """The callable at `package.module:name`, searched in the current folder too; `wanted` lists the valid names.

    Raises ConfigError if there is none, or if it does not take so many `arguments`. An error raised inside the user's
    module passes through.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name.strip(".") or module_name.startswith(".") or not attribute:
        raise ConfigError(f"{name!r} is none of {wanted}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(f"no module {module_name!r} in {here} or among the installed packages") from None
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
    try:
        signature = inspect.signature(found if inspect.isroutine(found) or inspect.isclass(found) else found.__call__)
    except (TypeError, ValueError):  # a callable written in C may have no signature
        return found  # type: ignore[no-any-return]
    try:
        signature.bind(*[None] * arguments)
    except TypeError as error:
        raise ConfigError(f"{name} is called with {('nothing', 'one message')[arguments]}: {error}") from None
    return found  # type: ignore[no-any-return]


def patched_by() -> str:
    """What has replaced something that we need of Python's library; empty when nothing has."""
    asked = {name: getattr(sys.modules.get(name), question, None) for name, question in PATCHERS.items()}
    return next((name for name, patched in asked.items() if patched and any(map(patched, NEEDED))), "")


def is_any(found: Callable[..., Any], kinds: Iterable[Callable[[object], bool]]) -> bool:
    """Whether `found` or its `__call__` is of one of these kinds, such as `inspect.iscoroutinefunction`."""
    return any(kind(each) for each in (found, getattr(found, "__call__", None)) for kind in kinds)  # noqa: B004
