"""The producer's source, PRODUCER_SOURCE=acme.source:pending: what it yields is published."""

import itertools
from collections.abc import Iterator


def pending() -> Iterator[object]:
    """Orders without end. Give each a `Message(..., message_id=...)` of your own where a duplicate must be known."""
    for number in itertools.count(1):
        yield {"order": number, "total": number * 1.5}
