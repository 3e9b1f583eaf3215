"""Acks: which delivery tags are settled, told to the broker in as few frames as are true. Pure."""

import math
from collections.abc import Sequence


class Unsettled:
    """The delivery tags of one channel that are not settled, and those of which the broker is still to be told."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}  # by tag, in the order of the tags
        self.size = 0  # in bytes, of all that they keep
        self._untold: list[int] = []

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def untold(self) -> int:
        """How many are settled and the broker does not know."""
        return len(self._untold)

    def clear(self) -> None:
        """A new channel: its tags begin at 1."""
        self._sizes.clear()
        self._untold.clear()
        self.size = 0

    def delivered(self, tags: Sequence[int], sizes: Sequence[int]) -> None:
        """Deliveries came, of these sizes in bytes. Tags count up on a channel."""
        self._sizes.update(zip(tags, sizes, strict=True))
        self.size += sum(sizes)

    def rejected(self, tag: int) -> None:
        """The broker was told otherwise of this one."""
        self.size -= self._sizes.pop(tag, 0)

    def settle(self, tags: list[int]) -> int:
        """Settle `tags`; how many are to be acknowledged now."""
        pop = self._sizes.pop
        self.size -= sum([pop(tag, 0) for tag in tags])
        self._untold += tags
        return len(self._untold)

    def acknowledge(self) -> tuple[int, list[int]]:
        """One tag to acknowledge with `multiple` (0: none), and those to acknowledge each by itself.

        `multiple` acknowledges all that is older, so it goes only up to the oldest that is not settled.
        """
        untold, self._untold = self._untold, []
        oldest = next(iter(self._sizes), math.inf)
        return max((tag for tag in untold if tag < oldest), default=0), [tag for tag in untold if tag > oldest]
