"""Exit: every exit code of the programs, and the ways out that nothing can hold up.

====  =========================================================================================
code  meaning
====  =========================================================================================
0     done, or stopped cleanly
1     messages are left unconfirmed or unhandled (the last log line counts them), or a defect
2     a wrong setting; standard error has a line for each
10    the broker's name does not resolve
11    no TCP connection to the broker
12    TLS failed
13    no AMQP handshake
14    wrong user or password
15    no such virtual host, or no access to it
16    a permission is missing
17    a queue is missing, or is another than it should be
18    a limit of the broker
19    the broker cannot be used for another reason
130   SIGINT (Ctrl-C) before the program had begun to work
143   SIGTERM before the program had begun to work
====  =========================================================================================

Those from 10 to 19 are of the preflight, the doctor and the commands for dead letters.

Imports next to nothing: the programs begin here, and hear a signal from then on.
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
    """The table above; 10 to 19 are the kinds of errors of `common.amqp.errors`."""

    DONE = 0
    FAILED = 1
    CONFIGURATION = 2
    DNS = 10
    TCP = 11
    TLS = 12
    HANDSHAKE = 13
    CREDENTIALS = 14
    VHOST = 15
    PERMISSION = 16
    TOPOLOGY = 17
    LIMIT = 18
    OTHER = 19
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


def _end(number: int, _frame: object) -> None:
    os._exit(128 + number)


@contextmanager
def loading() -> Iterator[None]:
    """While a program imports what it needs. Main thread only.

    From here on SIGINT and SIGTERM end the program at once, until its loop has handlers of its own: there is nothing to
    finish yet, a SIGINT would be a traceback through whatever is loading, and the kernel keeps a SIGTERM from the first
    process of a container unless a handler is set. The garbage collector is off, and never looks at what was loaded:
    to look through it again and again, while it grows, took an eighth of the time until the first confirm.
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
    """From here on a signal ends the program as the system does it, also inside a call that Python waits for."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def exit_now(why: str) -> NoReturn:
    """End with 1, whatever threads and handlers do; `why` is written where standard error takes it."""
    with suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, f"{why}: leaving at once; what is not confirmed or settled stays where it was\n".encode())
    os._exit(ExitCode.FAILED)


def exit_within(seconds: float, why: str) -> None:
    """End as `exit_now` unless the program has ended by then; 0 calls it off.

    Main thread only: the signal interrupts whatever that thread waits for, such as a log that nobody reads.
    """
    signal.signal(signal.SIGALRM, lambda *_: exit_now(why))
    signal.setitimer(signal.ITIMER_REAL, seconds)
