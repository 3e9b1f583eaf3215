"""The queue's name, as the broker would take it: pika waits for ever for the answer to some that it does not."""

from unicodedata import category

LONGEST_SUFFIX = len(b".retry.31536000000ms")  # a year


def check_queue_name(name: str) -> str:
    """`name` if the broker takes it, with the suffixes of its retry and dead-letter queues. Raises ValueError."""
    if not name:
        raise ValueError("empty, and the broker would invent a name")
    if len(name.encode()) > 255 - LONGEST_SUFFIX:
        raise ValueError(f"longer than {255 - LONGEST_SUFFIX} bytes (255 with the suffix of a retry queue)")
    if any(category(character) == "Cc" for character in name):
        raise ValueError("holds a control character")
    if name.startswith("amq."):
        raise ValueError("names that begin with amq. belong to the broker")
    return name
