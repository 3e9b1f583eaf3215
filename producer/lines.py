"""Lines of a file or of standard input, as they are: bytes, without their newline, bounded in length."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import starmap
from pathlib import Path

from common.plugins import ConfigError
from producer.follower import Item
from producer.settings import ProducerSettings

CHUNK = 64 * 1024
Line = bytes | ValueError  # one that is longer than the limit was passed over


def file_lines(
    settings: ProducerSettings, path: Path, offset: int, descriptor: int | None = None
) -> Callable[[], Iterable[Item]]:
    """The lines of a file, which may be open as `descriptor`, from `offset` bytes on. Raises ConfigError."""
    read = line_reader(settings)
    try:
        if descriptor is None:
            if stat.S_ISFIFO(path.stat().st_mode):  # its `open` waits for a writer, so it is the source's own thread's
                if offset:
                    raise ConfigError(f"{path}: is a pipe, and cannot go on where its checkpoint says")
                return lambda: starmap(Item, read(os.open(path, os.O_RDONLY | os.O_CLOEXEC)))
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise ConfigError(f"{path}: is a folder")
        if offset:
            size = os.fstat(descriptor).st_size
            if offset > size:
                raise ConfigError(
                    f"{path} has fewer bytes than the {offset} that its checkpoint says are done: remove that"
                )
            if offset < size:
                offset = _line_start(descriptor, offset, settings)
            os.lseek(descriptor, offset, os.SEEK_SET)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    return lambda: starmap(Item, read(descriptor, offset=offset))


def line_reader(settings: ProducerSettings) -> Callable[..., Iterator[tuple[Line, int]]]:
    """`read_lines` of a descriptor, as the settings want the lines."""
    return partial(read_lines, limit=settings.mq_max_body, crlf=settings.producer_line_ends == "any")


def _line_start(descriptor: int, offset: int, settings: ProducerSettings) -> int:
    """`offset`, or where its line begins: one that was not written to its end when it was sent comes again, whole.

    One that has got nothing since but its newline is behind us.
    """
    # What is longer than may be sent need not be looked through: what is left of it is so, too.
    looked = min(offset, settings.mq_max_body + 1)
    before = os.pread(descriptor, looked, offset - looked)
    start = offset - looked + before.rfind(b"\n") + 1
    ends = (b"\n", b"\r\n") if settings.producer_line_ends == "any" else (b"\n",)
    got = [len(end) for end in ends if start < offset and os.pread(descriptor, len(end), offset) == end]
    return offset + got[0] if got else start


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
