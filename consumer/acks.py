"""Acks: which delivery tags are settled, told to the broker in as few frames as are true. Pure."""


class Unsettled:
    """The delivery tags of one channel that are not settled, and those of which the broker is still to be told."""

    def __init__(self) -> None:
        self._tags: set[int] = set()
        self._untold: list[int] = []
        self._last = 0

    def __len__(self) -> int:
        return len(self._tags)

    def clear(self) -> None:
        """A new channel: its tags begin at 1."""
        self._tags.clear()
        self._untold.clear()
        self._last = 0

    def delivered(self, tag: int) -> None:
        """A delivery came. Tags count up on a channel."""
        self._tags.add(tag)
        self._last = tag

    def rejected(self, tag: int) -> None:
        """The broker was told otherwise of this one."""
        self._tags.discard(tag)

    def settle(self, tags: list[int]) -> int:
        """Settle `tags`; how many are to be acknowledged now."""
        self._tags.difference_update(tags)
        self._untold += tags
        return len(self._untold)

    def acknowledge(self) -> tuple[int, list[int]]:
        """One tag to acknowledge with `multiple` (0: none), and those to acknowledge each by itself.

        `multiple` acknowledges all that is older, so it goes only up to the oldest that is not settled.
        """
        untold, self._untold = self._untold, []
        oldest = min(self._tags, default=self._last + 1)
        return max((tag for tag in untold if tag < oldest), default=0), [tag for tag in untold if tag > oldest]
