"""Terminal: foreign text made printable and cut to columns, and what a terminal can show."""

import os
import unicodedata
from itertools import accumulate, takewhile
from typing import Protocol


class Stream(Protocol):
    """Where text is written."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""


def printable(text: str, keep: str = "") -> str:
    r"""`text` with every character that is not visible written out (`\x1b`), except those of `keep` and the space.

    Terminals obey control characters, also C1, and marks that turn the direction of writing deceive the reader. No
    output takes a lone surrogate.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def columns(text: str) -> int:
    """How many columns a terminal needs for `text`."""
    return sum(map(_columns, text)) if not text.isascii() else len(text)


def cut(text: str, width: int | None) -> str:
    """`text` in at most `width` columns."""
    if width is None or columns(text) <= width:
        return text
    fitting = takewhile(lambda pair: pair[1] < width, zip(text, accumulate(map(_columns, text)), strict=True))
    return "".join(character for character, _ in fitting) + "…"


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def rewrites(stream: Stream) -> bool:
    """Whether a line of `stream` can be written anew in its place."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(stream: Stream) -> bool:
    """Whether `stream` gets colours, as Python itself decides: NO_COLOR, FORCE_COLOR, TERM=dumb, a terminal."""
    return not os.environ.get("NO_COLOR") and (bool(os.environ.get("FORCE_COLOR")) or rewrites(stream))
