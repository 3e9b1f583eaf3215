"""Shown: which messages a person was asked about, known again by eight bytes each. Pure."""

from array import array
from bisect import bisect_left
from hashlib import blake2b

from consumer.dead_letters.parked import Parked

BYTES = 8


class Shown:
    """Added to first, then asked."""

    def __init__(self) -> None:
        self._prints = array("Q")
        self._sorted = True

    def add(self, parked: Parked) -> None:
        """It was counted."""
        self._prints.append(fingerprint(parked))
        self._sorted = False

    def has(self, parked: Parked) -> bool:
        """Whether it was; a `Match`."""
        if not self._sorted:
            self._prints, self._sorted = array("Q", sorted(self._prints)), True
        wanted = fingerprint(parked)
        place = bisect_left(self._prints, wanted)
        return place < len(self._prints) and self._prints[place] == wanted


def fingerprint(parked: Parked) -> int:
    """Of all that stays the same while a message is parked: the broker counts each look in a header of its own."""
    message = parked.message
    headers = sorted((str(key), repr(value)) for key, value in message.headers.items() if not str(key).startswith("x-"))
    named = repr((message.message_id, message.properties.timestamp, headers)).encode()
    digest = blake2b(named, digest_size=BYTES)
    digest.update(message.body)
    return int.from_bytes(digest.digest(), "big")
