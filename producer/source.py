"""Source: where messages come from. One of the two extension points."""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, closing, nullcontext, suppress
from itertools import count, starmap
from pathlib import Path
from typing import Any

from common.plugins import ConfigError, is_any, is_context, load_callable
from producer.follower import Confirms, Follower, Item
from producer.lines import file_lines, line_reader
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


class Pump:
    """Runs an async source on an event loop in the source's thread, and gives its values to a plain `for`.

    One task enters the context, iterates over what that gives, and leaves it. So a time-out or a task group that is
    open across a `yield` stays in its task. The loop turns while a value is waited for; it stands still while there is
    no room for more.
    """

    def __init__(self, context: AbstractAsyncContextManager[object]) -> None:
        self._context = context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def stop(self) -> bool:
        """Cancel the source where it waits; what it has yielded stays. False before it began. Any thread."""
        if not self._loop or not self._task:
            return False
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._task.cancel)
        return True

    def values(self) -> Iterator[object]:
        """The values, in the thread that iterates. Raises what the source raises."""
        with asyncio.Runner() as runner:
            self._loop = loop = runner.get_loop()
            self._value: asyncio.Future[object] = loop.create_future()
            self._taken: asyncio.Future[None] = loop.create_future()
            self._task = task = loop.create_task(self._run(loop))
            task.add_done_callback(lambda _: self._value.done() or self._value.cancel())
            try:
                while not task.done():
                    with suppress(asyncio.CancelledError):
                        value = loop.run_until_complete(self._value)
                    if self._value.cancelled():
                        break
                    yield value
                    self._value = loop.create_future()
                    if not self._taken.done():  # or the stop came in the same turn
                        self._taken.set_result(None)
            finally:
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
                if not task.cancelled():
                    task.result()

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        async with self._context as values:
            if not isinstance(values, AsyncIterable):
                raise TypeError(f"the source's context manager gave a {type(values).__name__} and no async iterable")
            if hasattr(values, "confirmed"):
                raise TypeError("confirmed() of an async source would never be called: write a plain source for it")
            iterator = aiter(values)
            try:
                async for value in iterator:
                    self._taken = loop.create_future()
                    self._value.set_result(value)
                    await self._taken
            finally:
                if close := getattr(iterator, "aclose", None):
                    await close()


def heartbeat() -> Iterator[Item]:
    """The original example's messages."""
    return (Item(f"Hello World {number}!", number) for number in count(1))
