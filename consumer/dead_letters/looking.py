"""Looking: for `list`, `show` and `--dry-run`."""

from collections.abc import Callable
from typing import Any

from consumer.dead_letters.parked import Parked
from consumer.dead_letters.walk import Walk


class Looking(Walk):
    """Keeps of each that is taken what `view` makes of it, in `views`; the bodies go at once."""

    def __init__(self, *given: Any, view: Callable[[Parked], Any]) -> None:
        """`given` as for `Walk`."""
        super().__init__(*given)
        self.views: list[Any] = []
        self._view = view

    def take(self, _tag: int, parked: Parked) -> None:
        """Keep it."""
        self.views.append(self._view(parked))
