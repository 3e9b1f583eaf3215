"""Source: where messages come from. One of the two extension points."""

import inspect
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, nullcontext
from functools import partial
from itertools import count, starmap
from pathlib import Path
from typing import Any

from common.plugins import ConfigError, is_any, is_context, load_callable
from producer.follower import Confirms, Follower, Item
from producer.lines import Line, read_lines
from producer.pump import Pump
from producer.settings import ProducerSettings


def open_source(
    settings: ProducerSettings,
    offset: int = 0,
    descriptor: int | None = None,
    follow: Callable[[Follower], None] = lambda _: None,
) -> Callable[[], Iterable[Item]]:
    """The source that PRODUCER_SOURCE names, a file's lines from `offset` on. Raises ConfigError.

    `descriptor` is of that file, if it is open already. `follow` is called in the source thread, before the first item,
    if the source wants to hear of confirms.
    """
    name = settings.producer_source
    if name == "heartbeat":
        return heartbeat
    if name == "lines":
        if sys.stdin is None:
            raise ConfigError("standard input is closed")
        return lambda: starmap(Item, line_reader(settings)(sys.stdin.fileno()))
    if (path := name.removeprefix("lines:")) not in (name, ""):
        return file_lines(settings, Path(path), offset, descriptor)
    source = load_callable(name, "heartbeat, lines, lines:PATH, http or package.module:callable", arguments=0)
    if is_any(source, (inspect.iscoroutinefunction,)):
        raise ConfigError(f"{name} is async without a yield, so a call gives no iterable. Yield the messages in it")
    return PluginSource(source, follow)


class PluginSource:
    """The user's source: an iterable, plain or async, or a context manager that gives one."""

    def __init__(self, source: Callable[[], object], follow: Callable[[Follower], None]) -> None:
        self._source, self._follow = source, follow
        self._pump: Pump | None = None
        self._confirms: Confirms | None = None

    def __call__(self) -> Iterator[Item]:
        """Source thread only. Raises TypeError for anything else."""
        found: Any = self._source()
        if isinstance(found, Iterable) or not (is_context(found) or hasattr(found, "__aiter__")):
            return self._items(found)
        if hasattr(found, "__enter__"):
            return self._within(found)
        self._pump = Pump(nullcontext(found) if hasattr(found, "__aiter__") else found)
        return self._within(closing(self._pump.values()))

    def stop(self) -> bool:
        """Ask the source to end by itself; False if only an async one could. Any thread."""
        return self._pump is not None and self._pump.stop()

    def _within(self, context: Any) -> Iterator[Item]:
        with context as values:
            try:
                yield from self._items(values)
            finally:
                if self._confirms:
                    self._confirms.wait()

    def _items(self, values: object) -> Iterator[Item]:
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise TypeError(
                f"the source returned a {type(values).__name__} and no iterable of messages, such as a list"
            )
        if callable(tell := getattr(values, "confirmed", None)):
            self._confirms = Confirms(values, tell)
            self._follow(self._confirms)
            return self._confirms.items()
        return (Item(value, number) for number, value in enumerate(values, 1))


def heartbeat() -> Iterator[Item]:
    """The original example's messages."""
    return (Item(f"Hello World {number}!", number) for number in count(1))


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
