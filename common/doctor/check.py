"""Check: one thing that was looked at, and how it was found. Pure."""

from enum import Enum
from typing import NamedTuple

from common.amqp.errors import ADVICE, Refusal


class Verdict(Enum):
    """Only what FAILED keeps the services from working."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILED = "failed"


class Check(NamedTuple):
    """`seconds` is how long it took, where that says something; `exit_code` a `Kind`, or 0."""

    name: str
    verdict: Verdict
    text: str
    advice: str = ""
    seconds: float | None = None
    exit_code: int = 0


def refused(name: str, refusal: Refusal, seconds: float | None = None, *, fatal: bool = True) -> Check:
    """What somebody refused; `fatal` when the services cannot work without."""
    advice = refusal.advice or ADVICE[refusal.kind]
    if fatal:
        return Check(name, Verdict.FAILED, refusal.text, advice, seconds, int(refusal.kind))
    return Check(name, Verdict.WARNING, refusal.text, advice, seconds)


def exit_code(checks: list[Check]) -> int:
    """That of the first that failed: what comes after it may be its consequence."""
    return next((check.exit_code for check in checks if check.verdict is Verdict.FAILED), 0)
