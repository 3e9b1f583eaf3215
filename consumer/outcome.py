"""Outcome: what a handler's end means, as a value; and the one place that decides it. Pure."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import FrameType

ERROR_LENGTH = 500  # characters of an error that travel in a header
LIBRARY = str(Path(os.__file__).parent)  # the standard one
OURS = {"common", "consumer"}
FINISHED = (int, float, str, bytes)  # what a handler may return besides nothing: these can hide no work to be done


class Reject(Exception):  # noqa: N818 - a verdict, not an error
    """Raised by a handler: this message can never be handled; park it, with this text as the reason."""


@dataclass(frozen=True, slots=True)
class Ack:
    """Handled."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Failed; try again in `delay` seconds."""

    delay: float
    error: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Park:
    """Put it into the dead-letter queue: rejected by the handler, or failed at its last attempt."""

    error: str
    where: str = ""


Outcome = Ack | Retry | Park
ACK = Ack()


def check_returned(value: object) -> None:
    """Raise TypeError unless all that the handler does is done.

    A coroutine, a future, a `map`, a list of them: nobody would see the error in what runs later, or never.
    """
    if value is False:
        raise TypeError("the handler returned False: raise an exception when it failed, and return nothing when not")
    if value is not None and not isinstance(value, FINISHED):
        raise TypeError(
            f"the handler returned a {type(value).__qualname__}, whose work may not be done: "
            "wait for its result in the handler, and return nothing"
        )


def decide(error: BaseException, attempt: int, delays: Sequence[float]) -> Outcome:
    """What follows when attempt number `attempt` (from 1) ended with `error`, with a retry after each of `delays`."""
    text, where = describe(error), location(error)
    if isinstance(error, Reject) or attempt > len(delays):
        return Park(text, where)
    return Retry(delays[attempt - 1], text, where)


def describe(error: BaseException) -> str:
    """Type and message in one bounded line that UTF-8 can hold."""
    try:
        said = str(error)
    except BaseException:  # noqa: BLE001 - the user's code, too: SystemExit here would end the handler's thread
        said = ""
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    text = " ".join(text.encode(errors="backslashreplace").decode().split())
    return text if len(text) <= ERROR_LENGTH else text[: ERROR_LENGTH - 1] + "…"


def location(error: BaseException) -> str:
    """`file.py:12`: the last line that is no library's and not ours, else where it was raised; empty when unknown."""
    places = list(walk_tb(error.__traceback__))
    users = [(frame, line) for frame, line in places if not _is_library(frame)]
    return "".join(f"{frame.f_code.co_filename}:{line}" for frame, line in (users or places)[-1:])


def _is_library(frame: FrameType) -> bool:
    file, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__"))
    return file.startswith((LIBRARY, "<")) or "-packages" in file or module.partition(".")[0] in OURS
