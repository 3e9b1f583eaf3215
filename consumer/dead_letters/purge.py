"""Purge: deletes what is asked for."""

from consumer.dead_letters.parked import Parked
from consumer.dead_letters.walk import Walk


class Purge(Walk):
    """Acknowledges what is taken."""

    command = "purge"
    settles = True

    def take(self, tag: int, _parked: Parked) -> None:
        """Delete it."""
        self.browser.settlement.add([tag])
