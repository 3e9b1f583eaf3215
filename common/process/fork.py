"""Fork: what a child that the user's code forks must not have of the service. Imports next to nothing.

Such a child is no consumer and no producer, but has a copy of all: of the handlers of our signals, so that it ignored
them; of the sockets, so that the next start found the port taken, and the broker a connection that nobody closed; and
of our thread below the user's function, which went on with the next message.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from traceback import print_exception
from typing import NoReturn

from common.process.exit import ExitCode

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)  # which a service handles
BYTE = 0xFF  # of an exit code, what a parent is told
child = False  # True in a child that was forked while a service ran
at_end: list[Callable[[], None]] = []  # what such a child does last, as `atexit` does for a program
# Descriptors to be closed in each child to come. One that is closed must leave: its number may be a file's of the user.
sockets: set[int] = set()
_serving = _hooked = False


def serving(begins: bool) -> None:
    """Whether a service runs from now on."""
    global _serving, _hooked  # noqa: PLW0603 - there is one process, and its hooks stay
    _serving = begins
    if not _hooked:
        _hooked = True
        os.register_at_fork(after_in_child=_become_child)


def end_child(error: BaseException | None) -> NoReturn:
    """End this child as Python ends a program: the user's function returned, or raised `error`."""
    code = error.code if isinstance(error, SystemExit) else ExitCode.FAILED if error else ExitCode.DONE
    with suppress(Exception):  # nobody may be reading
        if error and not isinstance(error, SystemExit):
            print_exception(error)
        elif not isinstance(code, int | None):
            sys.stderr.write(f"{code}\n")
        sys.stdout.flush()
        sys.stderr.flush()
    for each in at_end:
        each()
    number = code if isinstance(code, int) else ExitCode.FAILED if code else ExitCode.DONE
    os._exit(number & BYTE)


def _become_child() -> None:
    global child  # noqa: PLW0603 - there is one process
    if not _serving:
        return
    child = True
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in sockets:  # not closed: our objects, which are copied too, may use the number again
        os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)
