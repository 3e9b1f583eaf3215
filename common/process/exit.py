"""Exit: every exit code of the programs, signals while a program loads, and exits that nothing can hold up.

Imports next to nothing: the programs begin here, and react to signals from then on.
"""

import gc
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import NoReturn


class ExitCode(IntEnum):
    """The table in docs/settings.md is made of this. The preflight, the doctor and `dead-letters` use 10 to 19."""

    DONE = 0  # done, or stopped cleanly
    FAILED = 1  # messages are left unconfirmed or unhandled (the last log line counts them), or a defect
    CONFIGURATION = 2  # a wrong setting; standard error has a line for each
    DNS = 10  # the broker's name does not resolve
    TCP = 11  # no TCP connection to the broker
    TLS = 12  # TLS failed
    HANDSHAKE = 13  # no AMQP handshake
    CREDENTIALS = 14  # wrong user or password
    VHOST = 15  # no such virtual host, or no access to it
    PERMISSION = 16  # a permission is missing
    TOPOLOGY = 17  # a queue is missing, or is another than it should be
    LIMIT = 18  # a limit of the broker
    OTHER = 19  # the broker cannot be used for another reason
    INTERRUPTED = 130  # SIGINT (Ctrl-C) before the program had begun to work
    TERMINATED = 143  # SIGTERM before the program had begun to work


def _end(number: int, _frame: object) -> None:
    os._exit(128 + number)


@contextmanager
def loading() -> Iterator[None]:
    """For the imports of a program. Main thread only.

    From here on SIGINT and SIGTERM end the program at once, until the loop has handlers of its own: nothing needs to be
    finished yet. By default a SIGINT would show a traceback, and the kernel would drop a SIGTERM to the first process
    of a container. The garbage collector is off, and never scans what was loaded: scanning the growing modules again
    and again took an eighth of the time to the first confirm.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def end_on_signals() -> None:
    """From here on a signal ends the program by the system's default, also inside a blocking call."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def exit_now(why: str) -> NoReturn:
    """Exit with 1, whatever threads and handlers do; write `why` if standard error takes it at once."""
    with suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, f"{why}: leaving at once; what is not confirmed or settled stays where it was\n".encode())
    os._exit(ExitCode.FAILED)


def exit_within(seconds: float, why: str) -> None:
    """Call `exit_now` after so many seconds unless the program has ended; 0 cancels.

    Main thread only: the alarm interrupts whatever that thread waits for, such as a log that nobody reads.
    """
    signal.signal(signal.SIGALRM, lambda *_: exit_now(why))
    signal.setitimer(signal.ITIMER_REAL, seconds)
