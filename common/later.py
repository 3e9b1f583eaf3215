"""Later: stands in a module's place while others load that import it and may never need it."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """Who imports it meanwhile keeps it, and gets through it what the module has, which is imported at the first need.

    The standard library's LazyLoader stays in the module's place, where a handler's threads may meet it half loaded.
    """

    def __init__(self, name: str, **meanwhile: Any) -> None:
        """In place of the module `name`; `meanwhile` is what it has of its own while it stands in."""
        super().__init__(name)
        self.__dict__.update(meanwhile)

    def stand_in(self) -> None:
        """From now on, unless the module is there already."""
        sys.modules.setdefault(self.__name__, self)

    def give_way(self) -> None:
        """Who imports the module from now on gets the real one."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __bool__(self) -> bool:
        """Not there yet: from Python 3.12 on `logging` asks so whether asyncio may have a task to name in a line."""
        return False

    def __getattr__(self, name: str) -> Any:
        self.give_way()
        return getattr(import_module(self.__name__), name)
