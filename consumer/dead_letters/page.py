"""Page: all of one message, for people. Pure."""

from collections.abc import Iterator
from typing import Any

from consumer.dead_letters.table import printable, short_age

KEPT = "\n\t"  # of a body's characters that are not printable
DUMPED = 16  # bytes a line


def page(whole: dict[str, Any]) -> Iterator[str]:
    """The lines for `Parked.whole`; a body that is no text as hexadecimal digits."""
    age = whole["age"]
    yield f"position    {whole['position']}"
    yield f"id          {printable(whole['id'] or '-')}"
    yield f"age         {'-' if age is None else short_age(age)}"
    yield f"attempt     {whole['attempt']}, replayed {whole['replays']} times"
    yield f"error       {printable(whole['error'] or '-')}"
    for name in ("properties", "headers"):
        yield f"{name}"
        yield from (f"  {printable(key)} = {printable(str(value))}" for key, value in whole[name].items())
    yield f"body        {whole['bytes']} bytes"
    if "body" in whole:
        yield printable(whole["body"], KEPT)
    else:
        digits = whole["body_hex"]
        lines = (digits[start : start + 2 * DUMPED] for start in range(0, len(digits), 2 * DUMPED))
        yield from (f"  {' '.join(line[i : i + 2] for i in range(0, len(line), 2))}" for line in lines)
