"""Report: what was checked and how it was found, as a person or a program reads it. Pure."""

import textwrap
from enum import Enum
from typing import Any, NamedTuple

from common.amqp.errors import ADVICE, BrokerError
from common.doctor.settings import CheckSettings
from common.settings.flags import USER, written
from common.terminal import printable

WIDTH = 88  # of a check's text


class Status(Enum):
    """Only what FAILED keeps the services from working."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILED = "failed"


# On a terminal, in its colour; elsewhere.
MARKS = {
    Status.OK: ("✓", 32, "ok"),
    Status.NOTE: ("·", 90, "-"),
    Status.WARNING: ("!", 33, "warning"),
    Status.FAILED: ("✗", 31, "FAILED"),
}


class Check(NamedTuple):
    """`seconds` is how long it took, where that says something; `exit_code` a `Kind`, or 0."""

    name: str
    status: Status
    text: str
    advice: str = ""
    seconds: float | None = None
    exit_code: int = 0


Brokers = list[tuple[str, list[Check]]]  # the checks of each


def refused(name: str, broker_error: BrokerError, seconds: float | None = None, *, fatal: bool = True) -> Check:
    """What somebody refused; `fatal` when the services cannot work without."""
    advice = broker_error.advice or ADVICE[broker_error.kind]
    if fatal:
        return Check(name, Status.FAILED, broker_error.text, advice, seconds, int(broker_error.kind))
    return Check(name, Status.WARNING, broker_error.text, advice, seconds)


def exit_code(checks: list[Check]) -> int:
    """That of the first that failed: what comes after it may be its consequence."""
    return next((check.exit_code for check in checks if check.status is Status.FAILED), 0)


def row(check: Check, width: int, *, pretty: bool, colours: bool = False) -> str:
    """A check, its name in `width` columns, and below it what to do. `pretty`: with symbols.

    A broker says what it likes of itself: what could act on the terminal is written out.
    """
    symbol, colour, word = MARKS[check.status]
    mark = symbol if pretty else f"{word:<7}"
    mark = f"\x1b[{colour}m{mark}\x1b[0m" if colours else mark
    took = "" if check.seconds is None else f"{check.seconds * 1000:,.1f} ms"
    text = [*check.text.split("\n"), *([f"{'→' if pretty else '->'} {check.advice}"] if check.advice else [])]
    lines = [part for each in text for part in textwrap.wrap(printable(each), WIDTH, break_on_hyphens=False)]
    indent = " " * (width + (17 if pretty else 23))
    return f"  {mark} {printable(check.name):<{width}} {took:>10}  " + f"\n{indent}".join(lines)


def conclusion(brokers: Brokers) -> str:
    """The last line."""
    codes = [exit_code(checks) for _, checks in brokers]
    warnings = sum(check.status is Status.WARNING for _, checks in brokers for check in checks)
    seen = f"; {warnings} warning{'s' * (warnings > 1)}" if warnings else ""
    if len(codes) == 1:
        return "the broker " + (f"cannot be used: exit code {codes[0]}" if codes[0] else f"can be used{seen}")
    return f"{codes.count(0)} of {len(codes)} brokers can be used{seen}"


def in_force(settings: CheckSettings) -> dict[str, str]:
    """What the services would go by, without the passwords."""
    values = {name: written(getattr(settings, name)) for name in CheckSettings.model_fields}
    values["mq_url"] = ", ".join(map(str, settings.broker_urls()))
    values["otel_exporter_otlp_endpoint"] = USER.sub("://…@", values["otel_exporter_otlp_endpoint"])
    return {name.upper(): value for name, value in values.items()}


def settings_lines(settings: CheckSettings) -> list[str]:
    """Those that were given, a line each; then the others."""
    values = in_force(settings)
    given = {"MQ_URL", *(name.upper() for name in settings.model_fields_set)}
    others = ", ".join(f"{name} {value}" for name, value in values.items() if name not in given and value != "-")
    lines = [f"  {name:<20} {value}" for name, value in values.items() if name in given]
    return lines + textwrap.wrap(others, 110, initial_indent="  by default: ", subsequent_indent="    ")


def as_object(settings: CheckSettings, brokers: Brokers, clock: Check, code: int) -> dict[str, Any]:
    """All of it for JSON; a check's `seconds` is null where it has none."""
    return {
        "brokers": [
            {"url": name, "exit_code": exit_code(checks), "checks": [_fields(check) for check in checks]}
            for name, checks in brokers
        ],
        "clock": _fields(clock),
        "settings": in_force(settings),
        "exit_code": code,
    }


def _fields(check: Check) -> dict[str, Any]:
    fields = check._asdict()
    return {"name": fields.pop("name"), "verdict": fields.pop("status").value, **fields}
