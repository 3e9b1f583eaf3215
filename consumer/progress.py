"""Progress: one line about long work, with a bar on a terminal."""

import shutil
from typing import TextIO

from common.observe.stream import Stream
from common.terminal import printable, rewrites

FIRST = 0.5  # seconds; what is done sooner says nothing
ON_TERMINAL, ELSEWHERE = 0.2, 5.0  # seconds between lines
CLEAR = "\r\x1b[K"
WIDTH = 20  # characters of the bar


def bar(done: float) -> str:
    """`[#####...............]  25%` of a quarter."""
    share = min(1.0, done)
    full = int(share * WIDTH)
    return f"[{'#' * full}{'.' * (WIDTH - full)}] {int(share * 100):3}%"


class Progress:
    """On a terminal the line is written anew in its place; elsewhere a new one every few seconds."""

    def __init__(self, stream: Stream | TextIO) -> None:
        self._stream = stream
        self._terminal = rewrites(stream)
        self._next = float("inf")
        self._begun = self._written = False

    def tick(self, now: float, text: str, done: float) -> None:
        """Say `text` if it is time; `done` is how much of the work, from 0 to 1."""
        if not self._begun:
            self._begun, self._next = True, now + (FIRST if self._terminal else ELSEWHERE)
        if now >= self._next:
            text = printable(text)  # with a broker's words
            self._next, self._written = now + (ON_TERMINAL if self._terminal else ELSEWHERE), True
            if self._terminal:
                self._draw(f"{bar(done)}  {text}")
            else:
                self._write(f"{text}\n")

    def end(self) -> None:
        """Leave a clean line, and say nothing more."""
        self._next = float("inf")
        if self._terminal and self._written:
            self._write(CLEAR)

    def _draw(self, line: str) -> None:
        # One that wraps could not be written anew in its place.
        self._write(CLEAR + line[: shutil.get_terminal_size().columns - 1])

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
