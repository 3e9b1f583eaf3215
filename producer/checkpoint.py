"""Checkpoint: how far a file is confirmed, remembered in a small file of its own."""

import os
from collections import deque
from pathlib import Path


class Checkpoint:
    """Positions go out in order and are confirmed in any order; `position` is how far all are. I/O thread only."""

    def __init__(self, path: Path, position: int) -> None:
        """Everything before `position` is confirmed already."""
        self._path = path
        self._waiting: deque[int] = deque()
        self._confirmed: set[int] = set()
        self._saved = self.position = position

    def taken(self, position: int) -> None:
        """A message left the source, which stands at `position` behind it."""
        self._waiting.append(position)

    def confirmed(self, position: int) -> None:
        """The message before `position` needs no second sending."""
        self._confirmed.add(position)
        while self._waiting and self._waiting[0] in self._confirmed:
            self.position = self._waiting.popleft()
            self._confirmed.remove(self.position)

    def save(self) -> None:
        """Write it down if it moved, so that a crash leaves the old or the new one whole. Raises OSError."""
        if self.position == self._saved:
            return
        new = self._path.with_name(f"{self._path.name}.new")
        with new.open("w") as file:
            file.write(f"{self.position}\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._saved = self.position


def read_checkpoint(path: Path | None) -> int:
    """Bytes that are confirmed; 0 when there is no file yet. Raises OSError, ValueError for a foreign content."""
    try:
        position = int(path.read_text() or 0) if path else 0
    except FileNotFoundError:
        return 0
    if position < 0:
        raise ValueError(position)
    return position
