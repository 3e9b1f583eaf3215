"""Source: where messages come from. One of the two extension points."""

import inspect
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, starmap
from pathlib import Path
from typing import NamedTuple

from common.plugins import ConfigError, is_any, load_callable
from producer.lines import read_lines
from producer.settings import ProducerSettings


class Item(NamedTuple):
    """What a source gave: a value for `Message.of`, or an error in its place; and where the source stands behind it.

    Positions rise. They are a file's offsets in bytes, or count from 1.
    """

    value: object
    position: int


class Follower:
    """Hears by their positions what became of a source's messages. I/O thread, which must never wait."""

    def taken(self, position: int) -> None:
        """The message before `position` left the source."""

    def confirmed(self, position: int) -> None:
        """The broker has it."""

    def refused(self, position: int) -> None:
        """It can never be sent."""

    def tick(self, now: float) -> None:
        """Look at what depends on time. `now` is `time.monotonic()`."""

    def close(self) -> None:
        """Nothing more is confirmed."""


def open_source(
    settings: ProducerSettings, offset: int = 0, descriptor: int | None = None
) -> Callable[[], Iterable[Item]]:
    """The source that PRODUCER_SOURCE names, a file's lines from `offset` on. Raises ConfigError.

    `descriptor` is of that file, if it is open already.
    """
    name = settings.producer_source
    if name == "heartbeat":
        return heartbeat
    if name == "lines":
        if sys.stdin is None:
            raise ConfigError("standard input is closed")
        return lambda: starmap(Item, read_lines(sys.stdin.fileno(), settings.mq_max_body))
    if (path := name.removeprefix("lines:")) not in (name, ""):
        return file_lines(Path(path), settings.mq_max_body, offset, descriptor)
    source = load_callable(name, "heartbeat, lines, lines:PATH, http or package.module:callable", arguments=0)
    if is_any(source, (inspect.iscoroutinefunction, inspect.isasyncgenfunction)):
        raise ConfigError(f"{name} is async, and a source is read by a plain `for`. Name a plain function or generator")
    return lambda: _items(source())


def _items(values: object) -> Iterator[Item]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"the source returned a {type(values).__name__} and no iterable of messages, such as a list")
    return (Item(value, number) for number, value in enumerate(values, 1))


def heartbeat() -> Iterator[Item]:
    """The original example's messages."""
    return (Item(f"Hello World {number}!", number) for number in count(1))


def file_lines(path: Path, limit: int, offset: int, descriptor: int | None = None) -> Callable[[], Iterable[Item]]:
    """The lines of a file, which may be open as `descriptor`, from `offset` bytes on. Raises ConfigError."""
    try:
        if descriptor is None and stat.S_ISFIFO(
            path.stat().st_mode
        ):  # its `open` waits for a writer, so it is the source's own thread's
            if offset:
                raise ConfigError(f"{path}: is a pipe, and cannot go on where its checkpoint says")
            return lambda: starmap(Item, read_lines(os.open(path, os.O_RDONLY | os.O_CLOEXEC), limit))
        if descriptor is None:
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
                offset = _line_start(descriptor, offset, limit)
            os.lseek(descriptor, offset, os.SEEK_SET)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    return lambda: starmap(Item, read_lines(descriptor, limit, offset))


def _line_start(descriptor: int, offset: int, limit: int) -> int:
    """`offset`, or where its line begins: one that was not written to its end when it was sent comes again, whole.

    One that has got nothing since but its newline is behind us.
    """
    # What is longer than may be sent need not be looked through: what is left of it is so, too.
    before = os.pread(descriptor, min(offset, limit + 1), offset - min(offset, limit + 1))
    start = offset - len(before) + before.rfind(b"\n") + 1
    return offset + 1 if start < offset and os.pread(descriptor, 1, offset) == b"\n" else start
