"""Startup: imported first, it keeps the garbage collector still until all is loaded, and hears signals from then on.

What a module makes as it loads, it keeps. To look through that again and again, while it grows, took an eighth of the
time from the start to the first confirm. A signal has nothing to wait for yet: SIGINT would be a traceback through what
is loading, and a container's first process would never hear of a SIGTERM that it has no handler for. pika, structlog
and pydantic-settings import asyncio for what is not called here, so it waits until somebody needs it: a twentieth of
the start, and 2 MiB. So does what looks through all that is installed for plugins of pydantic, which the producer's
settings have no need of: as much again. (Both deletable.)
"""

import gc
import os
import signal

from common.later import Later


def loaded() -> None:
    """All is loaded: collect from here on, and never look at what was there before.

    SIGINT is whose it was; SIGTERM stays until process.py has a handler of its own.
    """
    signal.signal(signal.SIGINT, _interrupt)
    for module in _LATER:
        module.give_way()
    gc.freeze()
    gc.enable()


def _leave(number: int, _frame: object) -> None:
    os._exit(128 + number)


_interrupt = signal.signal(signal.SIGINT, _leave)
signal.signal(signal.SIGTERM, _leave)
gc.disable()
_LATER = (Later("asyncio"), Later("pydantic.plugin._loader", get_plugins=tuple, __path__=[]))
for _module in _LATER:
    _module.stand_in()
