"""Table: rows for people, as wide as their terminal. Pure."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from consumer.dead_letters.parked import Row

HEAD = ("#", "ID", "AGE", "ATTEMPT", "REPLAYS", "BYTES", "ERROR")
RIGHT = {"#", "AGE", "ATTEMPT", "REPLAYS", "BYTES"}
GAP = "  "
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def table(rows: Sequence[Row], width: int | None) -> Iterator[str]:
    """A line for each row under a line of heads, none for no rows; lines longer than `width` columns are cut."""
    if not rows:
        return
    widths = [columns(head) for head in HEAD[:-1]]
    for row in rows:
        widths = list(map(max, widths, map(columns, _cells(row))))
    yield cut(_line(HEAD, widths), width)
    for row in rows:
        yield cut(_line(_cells(row), widths), width)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for head, cell, wide in zip(HEAD, cells, widths, strict=False):
        blank = " " * (wide - columns(cell))
        padded.append(blank + cell if head in RIGHT else cell + blank)
    return GAP.join([*padded, cells[-1]])


def _cells(row: Row) -> tuple[str, ...]:
    age = "-" if row.age is None else short_age(row.age)
    numbers = (str(row.attempt), str(row.replays), str(row.bytes))
    return (str(row.position), printable(row.id or "-"), age, *numbers, printable(row.error or "-"))


def short_age(seconds: float) -> str:
    """`3d`, `5h`, `12m`, `8s`."""
    return next((f"{int(seconds // size)}{unit}" for unit, size in UNITS if seconds >= size), "0s")


def printable(text: str, keep: str = "") -> str:
    """`text` with what would move a terminal's cursor or change its colours written out, but for those of `keep`."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def columns(text: str) -> int:
    """How many columns a terminal needs for it."""
    return sum(map(_columns, text)) if not text.isascii() else len(text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int | None) -> str:
    """`text` in at most `width` columns."""
    if width is None or columns(text) <= width:
        return text
    return "".join(_fitting(text, width - 1)) + "…"


def _fitting(text: Iterable[str], width: int) -> Iterator[str]:
    for character in text:
        width -= _columns(character)
        if width < 0:
            return
        yield character
