"""Lines of a file or of standard input, as they are: bytes, without their newline, bounded in length."""

import os
from collections.abc import Iterator

CHUNK = 64 * 1024
Line = bytes | ValueError  # one that is longer than the limit was passed over


def read_lines(descriptor: int, limit: int, offset: int = 0, *, crlf: bool = False) -> Iterator[tuple[Line, int]]:
    """Each line and the offset behind it, counted from `offset`. A last line without its newline counts too.

    `crlf`: a carriage return before the newline is of the line's end, and no part of the line.

    Holds at most `limit` and a chunk in memory. A longer line gives a `ValueError` in its place. Reads with
    `os.read`: a thread that waits in a buffered reader would hold its lock when the program ends. Raises OSError.
    """
    parts: list[bytes] = []  # of a line whose end has not come; joined once, since it may be of many chunks
    held = skipped = 0
    longest, end = limit + crlf, b"\r" * crlf
    while chunk := os.read(descriptor, CHUNK):
        first, *more = chunk.split(b"\n")
        parts.append(first)
        held += len(first)
        if more:
            *lines, last = b"".join(parts), *more
            for line in lines:
                offset += skipped + len(line) + 1
                yield _checked(line.removesuffix(end), skipped, limit), offset
                skipped = 0
            parts, held = [last], len(last)
        if skipped or held > longest:
            skipped, parts, held = skipped + held, [], 0
    if held or skipped:
        offset += skipped + held
        yield _checked(b"".join(parts).removesuffix(end), skipped, limit), offset


def _checked(line: bytes, skipped: int, limit: int) -> Line:
    length = skipped + len(line)
    return line if length <= limit else ValueError(f"a line of {length} bytes is over MQ_MAX_BODY ({limit})")
