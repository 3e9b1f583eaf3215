"""Chunks: how many messages are asked for at a time. Pure.

RabbitMQ puts a message that comes back behind those that came back before it, and all of them before the others. So a
look at a queue that was looked at before keeps the order only if it holds all of them, and is sure to keep it through a
`kill -9` only if it asked for all of them at once. The broker reads into memory what it is asked for, whence the bound.
"""

FIRST = 16  # messages, to learn how large they are
LOOK = 128 * 1024 * 1024  # bytes of bodies that the broker holds for a look
WORK = 16 * 1024 * 1024  # bytes of bodies that we hold to publish them
LEAST, MOST = 512, 20_000  # messages
CREDIT = 65535  # the most that one consumer can ask for


def look_chunk(seen: int, size: int, left: int) -> int:
    """How many of the `left` messages to ask for, after `seen` of `size` bytes together whose bodies were dropped."""
    return min(left, FIRST) if not seen else max(1, min(left, LOOK * seen // max(1, size)))


def work_chunk(seen: int, size: int, left: int, held: int) -> int:
    """The same when bodies are kept; `held` of `seen` are not acknowledged.

    Each chunk is a consumer to the broker until it is acknowledged. RabbitMQ 3.10 puts back in order what up to 32
    consumers held, so a chunk grows with what is held: 32 are enough for some 500,000 messages.
    """
    return min(look_chunk(seen, size * (LOOK // WORK), left), max(LEAST, held // 2), MOST)


def credits_of(size: int) -> list[int]:
    """The credit of each of the consumers that together ask for `size` messages."""
    return [min(CREDIT, size - start) for start in range(0, size, CREDIT)]
