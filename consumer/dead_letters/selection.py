"""Selection: of the messages that are looked at, those that are asked for. Pure."""

from collections.abc import Sequence

from consumer.copies import replays
from consumer.dead_letters.match import Match
from consumer.dead_letters.parked import Parked

REPLAYS = 2  # a message that came back twice will come back again


class Selection:
    """Counts while it selects: `looked` at, `taken`, and `worn`, which match and were replayed too often."""

    def __init__(self, matches: Sequence[Match], most: int | None = None, *, fresh: bool = False) -> None:
        """All of `matches` must hold; at most `most` are taken; with `fresh` none that was replayed REPLAYS times."""
        self.looked = self.taken = self.worn = 0
        self.more = False  # others would have been taken too
        self._matches, self._most, self._fresh = matches, most, fresh

    @property
    def enough(self) -> bool:
        """Whether nothing more will be taken."""
        return self._most is not None and self.taken >= self._most

    def takes(self, parked: Parked) -> bool:
        """Whether this one is asked for."""
        self.looked += 1
        if not all(match(parked) for match in self._matches):
            return False
        if self._fresh and replays(parked.message) >= REPLAYS:
            self.worn += 1
            return False
        if self.enough:
            self.more = True
            return False
        self.taken += 1
        return True
