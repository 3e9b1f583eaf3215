"""A line that shows what goes on: on a terminal in place, elsewhere not at all."""

import sys
import threading
import time
from typing import Self


class Progress:
    """Shows the last thing that it was told, and for how long it goes on."""

    def __init__(self) -> None:
        self._text, self._since = "", time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._shown = sys.stdout.isatty()

    def tell(self, text: str) -> None:
        """Show this from now on."""
        self._text, self._since = text, time.monotonic()

    def print(self, text: str) -> None:
        """A line that stays."""
        print(("\r\x1b[K" if self._shown else "") + text, flush=True)

    def _run(self) -> None:
        while not self._end.wait(0.5):
            print(f"\r\x1b[K{time.monotonic() - self._since:4.0f} s  {self._text[:100]}", end="", flush=True)

    def __enter__(self) -> Self:
        if self._shown:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._shown:
            self._thread.join(5)
            print("\r\x1b[K", end="", flush=True)
