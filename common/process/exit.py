"""Leaving: the process ends by its deadline, whatever hangs: a log that nobody reads, or a thread of the user's."""

import os
import select
import signal
from contextlib import suppress
from typing import NoReturn


def leave(why: str) -> NoReturn:
    """End at once, with 1; `why` is written where standard error takes it."""
    with suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, f"{why}: leaving at once; what is not confirmed or settled stays where it was\n".encode())
    os._exit(1)


def end_on_signals() -> None:
    """The process that cared for signals is over: from here on one ends the program, as it does any other."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def leave_in(seconds: float, why: str) -> None:
    """Unless it has ended by then; 0 calls it off. Main thread only: a signal reaches it in what it waits for."""
    signal.signal(signal.SIGALRM, lambda *_: leave(why))
    signal.setitimer(signal.ITIMER_REAL, seconds)
