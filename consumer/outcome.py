"""Outcome: what a handler's end means, as a value; and the one place that decides it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

ERROR_LENGTH = 500  # characters of an error that travel in a header


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


def decide(error: BaseException, attempt: int, delays: Sequence[float]) -> Outcome:
    """What follows when attempt number `attempt` (from 1) ended with `error`, with a retry after each of `delays`."""
    text = describe(error)
    where = location(error)
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
    """`file.py:12`, where it was raised; empty when unknown."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
