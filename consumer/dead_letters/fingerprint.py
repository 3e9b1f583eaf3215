"""Fingerprint: by what a message that a person was asked about is known again. Pure."""

from hashlib import blake2b

from consumer.dead_letters.parked import Parked

BYTES = 8


def fingerprint(parked: Parked) -> int:
    """Of all that stays the same while a message is parked: the broker counts each look in a header of its own."""
    message = parked.message
    headers = sorted((str(key), repr(value)) for key, value in message.headers.items() if not str(key).startswith("x-"))
    named = repr((message.message_id, message.properties.timestamp, headers)).encode()
    digest = blake2b(named, digest_size=BYTES)
    digest.update(message.body)
    return int.from_bytes(digest.digest(), "big")
