"""Report: checks as a person, or a program, reads them. Pure."""

import re
import textwrap
from typing import Any

from common.doctor.check import Check, Verdict, exit_code
from common.doctor.settings import Needs
from common.settings.flags import written

# On a terminal, in its colour; elsewhere.
MARKS = {
    Verdict.OK: ("✓", 32, "ok"),
    Verdict.NOTE: ("·", 90, "-"),
    Verdict.WARNING: ("!", 33, "warning"),
    Verdict.FAILED: ("✗", 31, "FAILED"),
}

WIDTH = 88  # of a check's text
Findings = list[tuple[str, list[Check]]]  # of each broker


def row(check: Check, width: int, pretty: bool) -> str:
    """A check, its name in `width` columns, and below it what to do. `pretty`: a terminal with symbols and colours."""
    symbol, colour, word = MARKS[check.verdict]
    mark = f"\x1b[{colour}m{symbol}\x1b[0m" if pretty else f"{word:<7}"
    took = "" if check.seconds is None else f"{check.seconds * 1000:,.1f} ms"
    text = [*check.text.split("\n"), *([f"{'→' if pretty else '->'} {check.advice}"] if check.advice else [])]
    lines = [part for each in text for part in textwrap.wrap(each, WIDTH, break_on_hyphens=False)]
    indent = " " * (width + (17 if pretty else 23))
    return f"  {mark} {check.name:<{width}} {took:>10}  " + f"\n{indent}".join(lines)


def conclusion(brokers: Findings) -> str:
    """The last line."""
    codes = [exit_code(checks) for _, checks in brokers]
    warnings = sum(check.verdict is Verdict.WARNING for _, checks in brokers for check in checks)
    seen = f"; {warnings} warning{'s' * (warnings > 1)}" if warnings else ""
    if len(codes) == 1:
        return "the broker " + (f"cannot be used: exit code {codes[0]}" if codes[0] else f"can be used{seen}")
    return f"{codes.count(0)} of {len(codes)} brokers can be used{seen}"


def in_force(settings: Needs) -> dict[str, str]:
    """What the services would go by, without the passwords."""
    values = {name: written(getattr(settings, name)) for name in Needs.model_fields}
    values["mq_url"] = ", ".join(map(str, settings.broker_urls()))
    endpoint = values["otel_exporter_otlp_endpoint"]
    values["otel_exporter_otlp_endpoint"] = re.sub(r"://\S*@", "://…@", endpoint)
    return {name.upper(): value for name, value in values.items()}


def settings_lines(settings: Needs) -> list[str]:
    """Those that were given, a line each; then the others."""
    values = in_force(settings)
    given = {"MQ_URL", *(name.upper() for name in settings.model_fields_set)}
    others = ", ".join(f"{name} {value}" for name, value in values.items() if name not in given and value != "-")
    lines = [f"  {name:<20} {value}" for name, value in values.items() if name in given]
    return lines + textwrap.wrap(others, 110, initial_indent="  by default: ", subsequent_indent="    ")


def as_object(settings: Needs, brokers: Findings, clock: Check, code: int) -> dict[str, Any]:
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
    return {**check._asdict(), "verdict": check.verdict.value}
