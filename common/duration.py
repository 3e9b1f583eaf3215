"""Durations as people write them."""

import re
from typing import Annotated

from pydantic import PlainValidator

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str | float) -> float:
    """Seconds of `250ms`, `5s`, `2m`, `1h`; a number is taken as seconds already. Raises ValueError."""
    if isinstance(text, int | float):
        return float(text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text.strip())
    if not match:
        raise ValueError("a duration is a number and its unit: ms, s, m or h")
    seconds = float(match[1]) * UNITS[match[2]]
    if seconds > 365 * 24 * 3600:
        raise ValueError("longer than a year")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest of 250ms, 5s, 2m, 1h that says the same."""
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{round(seconds / size)}{unit}"
    return f"{round(seconds * 1000)}ms"


Duration = Annotated[float, PlainValidator(parse_duration)]
