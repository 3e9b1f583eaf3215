"""Asking: counts what a purge would delete, and remembers which messages those are."""

from typing import Any

from consumer.dead_letters.parked import Parked
from consumer.dead_letters.shown import Shown
from consumer.dead_letters.walk import Walk


class Asking(Walk):
    """Changes nothing. What is parked later, or was behind `--max`, is in `shown` not at all."""

    def __init__(self, *given: Any) -> None:
        """`given` as for `Walk`."""
        super().__init__(*given)
        self.shown = Shown()

    def take(self, _tag: int, parked: Parked) -> None:
        """Remember it."""
        self.shown.add(parked)
