"""Outcome: what a handler's end means, as a value; and the one place that decides it. Pure."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from types import FrameType

from common.message import BodyError, Message
from common.settings.types import parse_duration
from consumer.forward import Forward, messages

ERROR_LENGTH = 500  # characters of an error that travel in a header
LIBRARY = str(Path(os.__file__).parent)  # the standard one
OURS = {"common", "consumer"}
FINISHED = (int, float, str, bytes)  # what a handler may return besides nothing: these can hide no work to be done
# What a message's content makes a handler raise, or a defect of the handler. An outage raises others: OSError
# (connections, time-outs), or the classes of a client library.
OF_THE_CONTENT = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError, ValueError)


class Reject(Exception):  # noqa: N818 - a verdict, not an error
    """Raised by a handler: this message can never be handled; park it, with this text as the reason."""


class Postpone(Exception):  # noqa: N818 - a verdict, not an error
    """Raised by a handler: not now; try again after `delay` at the earliest, which is no attempt.

    The message waits in the retry queue whose delay is the next longer one, or the longest there is. After
    CONSUMER_POSTPONE_MAX_AGE it is parked, with this text as the reason.
    """

    def __init__(self, reason: str, delay: str | float = 0.0) -> None:
        """`delay` as in settings (`30s`), or in seconds. Raises ValueError for a text that is no duration."""
        super().__init__(reason)
        self.delay = parse_duration(delay)


@dataclass(frozen=True, slots=True)
class Ack:
    """Handled."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Handled, as soon as the broker has confirmed the `messages` of these."""

    forwards: tuple[Forward, ...]
    messages: tuple[Message, ...] = field(default=(), repr=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes of the bodies."""
        return sum(len(each.body) for each in self.messages)


@dataclass(frozen=True, slots=True)
class Retry:
    """Failed; try again in `delay` seconds. `outage`: the error may be of something that the handler needs."""

    delay: float
    error: str
    where: str = ""
    outage: bool = False
    trace: str = ""  # a traceback, for the log alone


@dataclass(frozen=True, slots=True)
class Park:
    """Put it into the dead-letter queue: rejected by the handler, or failed at its last attempt."""

    error: str
    where: str = ""
    outage: bool = False
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Postponed:
    """Try again in `delay` seconds at the earliest; no attempt."""

    delay: float
    error: str
    where: str = ""
    trace: str = ""


Outcome = Ack | Forwarded | Retry | Park | Postponed
ACK = Ack()


def check_returned(value: object) -> tuple[Forward, ...]:
    """The forwards that a handler returned, if any. Raises TypeError unless all that the handler does is done.

    A coroutine, a future, a `map`, a list of them: nobody would see the error in what runs later, or never.
    """
    listed = value if isinstance(value, list | tuple) else (value,)
    if all(isinstance(each, Forward) for each in listed):
        return tuple(listed)
    if value is False:
        raise TypeError("the handler returned False: raise an exception when it failed, and return nothing when not")
    if value is not None and not isinstance(value, FINISHED):
        raise TypeError(
            f"the handler returned a {type(value).__qualname__}, whose work may not be done: "
            "wait for its result in the handler, and return nothing, or what to forward"
        )
    return ()


def succeeded(returned: object, original: Message, queue: str = "", max_body: int = sys.maxsize) -> Ack | Forwarded:
    """What follows when a handler has returned: the one judgement of that. `original` is as it came from `queue`.

    Raises TypeError or ValueError for what cannot be forwarded, or may hide unfinished work.
    """
    forwards = check_returned(returned)
    return Forwarded(forwards, tuple(messages(forwards, original, queue, max_body))) if forwards else ACK


def decide(
    error: BaseException,
    attempt: int,
    delays: Sequence[float],
    trace: Callable[[BaseException, str], str] = lambda *_: "",
) -> Outcome:
    """What follows when attempt number `attempt` (from 1) ended with `error`, with a retry after each of `delays`.

    `trace(error, where)` is the traceback that a failure gets; a verdict gets none.
    """
    text, where = describe(error), location(error)
    if isinstance(error, Reject | BodyError):
        return Park(text, where)
    if isinstance(error, Postpone):
        return Postponed(error.delay, text, where)
    outage = isinstance(error, OSError) or not isinstance(error, OF_THE_CONTENT)
    return failed(Park(text, where, outage, trace(error, where)), attempt, delays)


def failed(failure: Retry | Park, attempt: int, delays: Sequence[float]) -> Retry | Park:
    """What follows when attempt number `attempt` ended so."""
    told = failure.error, failure.where, failure.outage, failure.trace
    return Park(*told) if attempt > len(delays) else Retry(delays[attempt - 1], *told)


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
